"""What is wrong with a graph is said before it runs: the node, and what to do; all of it at once."""

import operator
import threading
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest

from stretto.errors import GraphError
from stretto.graph import END, START, Conversation, Graph, Retry


class Priced(Conversation, total=False):
    price: float
    notes: Annotated[list[str], operator.add]


def node(reads: Any = None, writes: Any = None) -> Any:
    async def function(state: Priced) -> Priced:
        return {}

    if reads is not None:
        function.reads = frozenset(reads)  # type: ignore[attr-defined]
    if writes is not None:
        function.writes = frozenset(writes)  # type: ignore[attr-defined]
    return function


def choose(state: Priced) -> str:
    return ""


def base() -> Graph:
    return Graph(Priced).add_node("search", node()).add_edge(START, "search").add_edge("search", END)


def told(graph: Graph) -> list[str]:
    with pytest.raises(GraphError) as error:
        graph.compile()
    return str(error.value).split("\n")


def pair(first: Any, second: Any) -> Graph:
    """Two nodes at once."""
    graph = Graph(Priced).add_node("a", first).add_node("b", second)
    return graph.add_edge(START, "a").add_edge(START, "b").add_edge("a", END).add_edge("b", END)


def chain(*functions: Any, **options: Any) -> Graph:
    graph = Graph(Priced, **options)
    for number, function in enumerate(functions):
        graph.add_node(f"n{number}", function)
        graph.add_edge(f"n{number - 1}" if number else START, f"n{number}")
    return graph.add_edge(f"n{len(functions) - 1}", END)


def loop(**options: Any) -> Graph:
    graph = Graph(Priced, max_steps=options.pop("max_steps", None)).add_node("a", node(), **options)
    graph.add_node("b", node()).add_edge(START, "a").add_edge("a", "b")
    return graph.add_route("b", choose, {"more": "a", "done": END})


class Locked(TypedDict, total=False):
    lock: threading.Event
    pair: tuple[int, int]


WRONG: dict[str, tuple[Callable[[], Graph], str]] = {
    "an unknown target": (
        lambda: base().add_edge("search", "serch"),
        "node `search` leads to `serch`, which is no node; did you mean `search`?",
    ),
    "an unknown source": (lambda: base().add_edge("find", END), "an edge begins at `find`, which is no node"),
    "an unknown target of a route": (
        lambda: base().add_route("search", choose, {"x": "nowhere"}),
        "node `search` leads to `nowhere`, which is no node",
    ),
    "an edge the wrong way": (
        lambda: base().add_edge(END, "search"),
        "the edge from END to node `search` is the wrong way round",
    ),
    "no start": (lambda: Graph().add_node("a", node()).add_edge("a", END), "nothing follows START"),
    "no node": (lambda: Graph(), "the graph has no node"),
    "an unreachable node": (
        lambda: base().add_node("alone", node()).add_edge("alone", END),
        "node `alone` is never reached",
    ),
    "no way to the end": (
        lambda: base().add_node("trap", node()).add_edge("search", "trap"),
        "node `trap` has no way to END; add `add_edge(..., END)`",
    ),
    "a name twice": (lambda: base().add_node("search", node()), "node `search` is added 2 times"),
    "a reserved name": (lambda: base().add_node("a:b", node()), "node name `a:b` is reserved"),
    "langgraph's own name": (lambda: base().add_node("__x", node()), "node name `__x` is reserved"),
    "two routes": (
        lambda: base().add_route("search", choose, [END]).add_route("search", choose, [END]),
        "node `search` has 2 routes",
    ),
    "a route without targets": (
        lambda: base().add_route("search", choose, {}),
        "the route after node `search` has no targets",
    ),
    "a route that cannot be called": (
        lambda: base().add_route("search", lambda: "x", [END]),  # type: ignore[misc]
        "`choose` of the route after node `search` takes no parameter",
    ),
    "no function": (lambda: base().add_node("n", 7), "node `n` is int, not callable"),
    "a parameter nobody fills": (
        lambda: base().add_node("n", lambda state, other: {}),
        "node `n` has a parameter `other` that nobody fills; annotate it `RunContext`",
    ),
    "a fallback to nowhere": (
        lambda: base().add_node("n", node(), fallback="serch"),
        "node `n` falls back to `serch`, which is no node; did you mean `search`?",
    ),
    "a fallback to itself": (
        lambda: base().add_node("n", node(), fallback="n"),
        "node `n` falls back to itself; use `retry=`",
    ),
    "a fallback in a join": (
        lambda: pair(node(), node()).add_node("c", node(), fallback="a").add_edge(["c", "a"], "b"),
        "node `c` falls back to another node, and a join waits for it",
    ),
    "no time": (lambda: base().add_node("n", node(), timeout=0), "node `n` has timeout=0"),
    "no visits": (lambda: base().add_node("n", node(), max_visits=0), "node `n` has max_visits=0"),
    "an undeclared key": (
        lambda: base().add_node("n", node(reads=["prize"])),
        "node `n` reads `prize`, which `Priced` does not have; did you mean `price`?",
    ),
    "an undeclared key, written": (
        lambda: base().add_node("n", node(), writes=["total"]),
        "node `n` writes `total`, which `Priced` does not have",
    ),
    "a key read too early": (
        lambda: chain(node(writes=[]), node(reads=["price"])),
        "node `n1` reads `price` before any node wrote it on some way from START",
    ),
    "two writers at once": (
        lambda: pair(node(writes=["price"]), node(writes=["price"])),
        "nodes `a` and `b` write `price` at once, and it has no reducer",
    ),
    "a loop without a bound": (
        loop,
        "the loop of `a`, `b` has no bound; give one of its nodes `max_visits=`",
    ),
    "types that do not come back": (
        lambda: Graph(Locked).add_node("n", node()).add_edge(START, "n").add_edge("n", END),
        "state key `lock` of `Locked`: `Event` cannot be kept in a checkpoint",
    ),
    "a join that waits in vain": (
        lambda: (
            Graph(Priced)
            .add_node("a", node())
            .add_node("b", node())
            .add_node("c", node())
            .add_edge(START, "a")
            .add_route("a", choose, {"b": "b", "end": END})
            .add_edge(["a", "b"], "c")
            .add_edge("c", END)
        ),
        "node `c` waits for `a`, `b`, and on some way not all of them run",
    ),
    "a sub-graph's problem": (
        lambda: base().add_node("sub", Graph(Priced).add_node("in", node())).add_edge("search", "sub"),
        "in sub-graph `sub`: nothing follows START",
    ),
    "an input that is no key": (
        lambda: chain(node(), inputs=["mesages"]),
        "the input `mesages` is not a key of `Priced`; did you mean `messages`?",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_is_told_with_the_node_and_the_fix(name: str) -> None:
    make, sentence = WRONG[name]
    assert any(line.startswith(sentence) for line in told(make())), told(make())


def test_all_problems_are_told_at_once_one_a_line() -> None:
    graph = base().add_node("search", node()).add_edge("search", "x").add_node("n", 7)
    assert len(told(graph)) == 3


FINE: dict[str, Callable[[], Graph]] = {
    "plain": base,
    "a key written before": lambda: chain(node(writes=["price"]), node(reads=["price"])),
    "a key that may have been written by a node that declares nothing": lambda: chain(
        node(), node(reads=["price"])
    ),
    "a key that the input gives": lambda: chain(
        node(reads=["price", "messages"]), inputs=["messages", "price"]
    ),
    "the keys of a turn": lambda: chain(node(reads=["messages", "question", "hits", "missing"], writes=[])),
    "two writers with a reducer": lambda: pair(node(writes=["notes"]), node(writes=["notes"])),
    "a loop bounded by visits": lambda: loop(max_visits=3),
    "a loop bounded by steps": lambda: loop(max_steps=9),
    "a key written in all branches before a join": lambda: (
        Graph(Priced)
        .add_node("a", node(writes=["price"]))
        .add_node("b", node(writes=[]))
        .add_node("c", node(reads=["price"]))
        .add_edge(START, "a")
        .add_edge(START, "b")
        .add_edge(["a", "b"], "c")
        .add_edge("c", END)
    ),
    "writers one after the other in parallel branches": lambda: (
        Graph(Priced)
        .add_node("a", node(writes=["price"]))
        .add_node("b", node(writes=[]))
        .add_node("c", node(writes=["price"]))
        .add_edge(START, "a")
        .add_edge(START, "b")
        .add_edge("b", "c")
        .add_edge("a", END)
        .add_edge("c", END)
    ),
    "a fallback to the end": lambda: (
        Graph().add_node("a", node(), fallback=END).add_edge(START, "a").add_edge("a", END)
    ),
}


@pytest.mark.parametrize("name", FINE)
def test_a_right_graph_compiles(name: str) -> None:
    FINE[name]().compile()


def test_a_key_written_on_one_way_only_is_told() -> None:
    graph = Graph(Priced).add_node("a", node(writes=["price"])).add_node("b", node(writes=[]))
    graph.add_node("c", node(reads=["price"])).add_route(START, choose, {"a": "a", "b": "b"})
    graph.add_edge("a", "c").add_edge("b", "c").add_edge("c", END)
    assert told(graph)[0].startswith("node `c` reads `price` before")


def test_a_failed_node_has_not_written_for_its_fallback() -> None:
    graph = (
        Graph(Priced).add_node("a", node(writes=["price"]), fallback="b").add_node("b", node(reads=["price"]))
    )
    graph.add_edge(START, "a").add_edge("a", "b").add_edge("b", END)
    assert told(graph)[0].startswith("node `b` reads `price` before")


def test_declared_in_add_node_wins_over_the_functions_own() -> None:
    graph = (
        Graph(Priced).add_node("a", node(reads=["price"]), reads=[]).add_edge(START, "a").add_edge("a", END)
    )
    graph.check()


def test_many_parallel_nodes_are_checked_in_no_time() -> None:
    graph = Graph(Priced)
    names = [f"n{number}" for number in range(12)]
    for name in names:
        graph.add_node(name, node(), max_visits=2).add_route(name, choose, [*names, END]).add_edge(
            START, name
        )
    graph.check()


@pytest.mark.parametrize("wrong", [dict, int, "Conversation"])
def test_a_state_that_is_no_typed_dict_is_refused(wrong: Any) -> None:
    with pytest.raises(GraphError, match="it takes a TypedDict"):
        Graph(wrong)


@pytest.mark.parametrize(
    "make", [lambda: Graph(max_steps=0), lambda: Retry(attempts=0), lambda: Retry(delay=-1)]
)
def test_numbers_out_of_range_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(GraphError):
        make()


def test_a_new_name_has_to_be_a_node_and_an_old_one_none() -> None:
    async def nothing(state: Any) -> dict[str, Any]:
        return {}

    graph = Graph(renamed={"was": "chek", "check": "check"}, migrate="x")  # type: ignore[arg-type]
    graph.add_node("check", nothing).add_edge(START, "check").add_edge("check", END)
    with pytest.raises(GraphError) as caught:
        graph.check()
    said = str(caught.value)
    assert "`renamed` leads from `was` to `chek`, which is no node; did you mean `check`?" in said
    assert "`renamed` names `check`, which is still a node; leave it out" in said
    assert "`migrate` is str; give `def migrate(state, old) -> dict`" in said
