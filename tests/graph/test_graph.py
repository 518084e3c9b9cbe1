"""Graphs of ours on real langgraph: nodes of every kind, routes, joins, fallbacks, limits."""

import contextvars
import functools
import itertools
import operator
import threading
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, Send

from stretto.context import Run, RunContext, current_context
from stretto.errors import GraphError
from stretto.events import NodeFinished, NodeStarted
from stretto.graph import END, START, Graph
from stretto.graph.stream import play


class Tally(TypedDict, total=False):
    seen: Annotated[list[str], operator.add]
    word: str
    count: int


def says(word: str) -> Any:
    async def node(state: Tally) -> Tally:
        return {"seen": [word]}

    return node


def line(*nodes: tuple[str, Any], **options: Any) -> Graph:
    """The nodes one after the other."""
    graph = Graph(Tally)
    names = [START, *(name for name, _ in nodes), END]
    for name, function in nodes:
        graph.add_node(name, function, **options)
    for source, target in itertools.pairwise(names):
        graph.add_edge(source, target)
    return graph


async def run(
    graph: Graph, given: dict[str, Any] | None = None, **options: Any
) -> tuple[dict[str, Any], Run]:
    shared = Run(**options)
    played = await play(graph.compile(), given or {"seen": []}, run=shared)
    return played.state, shared


def test_start_and_end_are_langgraphs_own() -> None:
    from langgraph.graph import END as theirs_end
    from langgraph.graph import START as theirs_start

    assert (theirs_start, theirs_end) == (START, END)


async def test_compile_gives_langgraphs_graph_which_runs_by_itself() -> None:
    compiled = line(("a", says("a")), ("b", says("b"))).compile()
    assert type(compiled) is CompiledStateGraph
    assert (await compiled.ainvoke({"seen": []}))["seen"] == ["a", "b"]
    assert set(compiled.get_graph().nodes) == {START, "a", "b", END}


def test_a_compiled_graph_runs_from_synchronous_code_too() -> None:
    graph = (
        Graph(Tally).add_node("a", says("a")).add_route(START, lambda state: "a", ["a"]).add_edge("a", END)
    )
    assert graph.compile().invoke({"seen": []})["seen"] == ["a"]


async def test_a_context_is_given_to_whoever_annotates_it_under_any_name() -> None:
    got: list[str] = []

    async def asks(state: Tally, whatever: RunContext) -> None:
        got.append(whatever.node)

    async def asks_by_string(state: Tally, *, ctx: "RunContext | None") -> None:
        got.append(ctx.node if ctx else "")

    async def asks_by_unknown_string(state: "Nowhere", ctx: "context.RunContext") -> None:  # type: ignore[name-defined]  # noqa: F821
        got.append(ctx.node)

    class Asks:
        async def __call__(self, state: Tally, ctx: RunContext) -> None:
            got.append(ctx.node)

    async def with_more(more: str, state: Tally, ctx: RunContext) -> None:
        got.append(ctx.node + more)

    async def does_not(state: Tally, ctx: int = 7) -> None:
        got.append(str(ctx))

    await run(
        line(
            ("a", asks),
            ("b", asks_by_string),
            ("c", asks_by_unknown_string),
            ("d", Asks()),
            ("e", functools.partial(with_more, "!")),
            ("f", does_not),
        )
    )
    assert got == ["a", "b", "c", "d", "e!", "7"]


async def test_a_sync_node_leaves_the_loop_and_keeps_its_context() -> None:
    label: contextvars.ContextVar[str] = contextvars.ContextVar("label")
    got: list[Any] = []

    def sync(state: Tally) -> Tally:
        got.extend(
            [threading.current_thread() is threading.main_thread(), label.get(), current_context().node]
        )
        return {"seen": ["sync"]}

    label.set("mine")
    state, _ = await run(line(("sync", sync)))
    assert got == [False, "mine", "sync"] and state["seen"] == ["sync"]


async def test_a_node_written_for_langgraph_gets_what_langgraph_fills_in() -> None:
    got: list[Any] = []

    def native(state: Tally, config: RunnableConfig, runtime: Runtime[Any], writer: Any, store: Any) -> Tally:
        got.extend(["configurable" in config, runtime.execution_info is not None, callable(writer), store])
        return {"seen": ["native"]}

    async def native_async(state: Tally, config: RunnableConfig) -> Any:
        return Command(update={"seen": ["async"]})

    state, shared = await run(line(("native", native), ("later", native_async)))
    assert got == [True, True, True, None]
    assert state["seen"] == ["native", "async"] and shared.path == ["native", "later"]


async def test_runnables_and_graphs_of_langgraph_are_taken_in() -> None:
    inner = StateGraph(Tally).add_node("deep", says("deep"))
    inner.add_edge(START, "deep").add_edge("deep", END)
    state, shared = await run(
        line(("runnable", RunnableLambda(lambda state: {"seen": ["runnable"]})), ("theirs", inner.compile()))
    )
    assert state["seen"] == ["runnable", "deep"] and shared.path == ["runnable", "theirs"]


async def test_a_sub_graph_adds_only_what_it_changed_and_its_nodes_are_in_the_path() -> None:
    class Small(TypedDict, total=False):
        seen: Annotated[list[str], operator.add]
        private: str

    async def inner_node(state: Small, ctx: RunContext) -> Small:
        return {"seen": ["inner"], "private": "kept inside"}

    inner = Graph(Small).add_node("deep", inner_node).add_edge(START, "deep").add_edge("deep", END)
    state, shared = await run(line(("a", says("a")), ("sub", inner), ("b", says("b"))))
    assert state == {"seen": ["a", "inner", "b"]}
    assert shared.path == ["a", "sub/deep", "sub", "b"]


async def test_parallel_branches_meet_in_a_join() -> None:
    graph = Graph(Tally)
    for name in ("left", "right", "far", "end"):
        graph.add_node(name, says(name))
    graph.add_edge(START, "left").add_edge(START, "right").add_edge("right", "far")
    graph.add_edge(["left", "far"], "end").add_edge("end", END)
    state, shared = await run(graph)
    assert sorted(state["seen"][:2]) == ["left", "right"] and state["seen"][2:] == ["far", "end"]
    assert shared.path.count("end") == 1


@pytest.mark.parametrize("with_context", [False, True])
async def test_a_route_sees_what_the_node_just_wrote(with_context: bool) -> None:
    async def choose(state: Tally) -> str:
        return "".join(state["seen"]) + state["word"]

    def choose_with_context(state: Tally, ctx: RunContext) -> str:
        assert ctx.node == "first"
        return "".join(state["seen"]) + state["word"]

    async def first(state: Tally) -> Tally:
        return {"seen": ["x"], "word": "y"}

    graph = Graph(Tally).add_node("first", first).add_node("a", says("a")).add_node("b", says("b"))
    graph.add_edge(START, "first").add_edge("a", END).add_edge("b", END)
    graph.add_route("first", choose_with_context if with_context else choose, {"beforexy": "a", "else": "b"})
    events: list[Any] = []
    state, shared = await run(graph, {"seen": ["before"], "word": ""}, sink=events.append)
    assert state["seen"] == ["before", "x", "a"] and shared.path == ["first", "a"]
    assert next(event for event in events if isinstance(event, NodeFinished)).detail == {"route": "beforexy"}


async def test_a_route_may_lead_to_several_nodes_to_the_end_and_send() -> None:
    async def one(state: Tally) -> Tally:
        return {"seen": [state["word"]]}

    graph = Graph(Tally).add_node("a", says("a")).add_node("b", says("b")).add_node("one", one)
    graph.add_route(START, lambda state: state["word"].split("+"), {"a": "a", "b": "b", "stop": END})
    graph.add_route("a", lambda state: [Send("one", {"word": word}) for word in ("p", "q")], ["one"])
    graph.add_edge("b", END).add_edge("one", END)
    assert sorted((await run(graph, {"seen": [], "word": "a+b"}))[0]["seen"]) == ["a", "b", "p", "q"]
    assert (await run(graph, {"seen": [], "word": "stop"}))[1].path == []


@pytest.mark.parametrize("source", [START, "first"])
async def test_a_route_to_nowhere_names_the_choice_and_the_targets(source: str) -> None:
    graph = Graph(Tally).add_node("first", says("a"))
    if source != START:
        graph.add_edge(START, "first")
    else:
        graph.add_edge("first", END)
    graph.add_route(source, lambda state: "elsewhere", {"here": "first" if source == START else END})
    with pytest.raises(GraphError, match="chose 'elsewhere'; its targets are 'here'"):
        await run(graph)


async def test_a_node_may_choose_its_way_by_a_command() -> None:
    async def go(state: Tally) -> Any:
        return Command(update={"seen": ["go"]}, goto="b")

    graph = Graph(Tally).add_node("go", go, destinations=["a", "b"])
    graph.add_node("a", says("a")).add_node("b", says("b"))
    graph.add_edge(START, "go").add_edge("a", END).add_edge("b", END)
    assert (await run(graph))[0]["seen"] == ["go", "b"]


@pytest.mark.parametrize(
    ("result", "told"),
    [({"sen": []}, "wrote `sen`"), ("text", "returned str"), (7, "returned int")],
)
async def test_a_node_that_returns_what_the_state_cannot_take_is_named(result: Any, told: str) -> None:
    async def bad(state: Tally) -> Any:
        return result

    with pytest.raises(GraphError, match=f"node `bad` {told}"):
        await run(line(("bad", bad)))


async def test_events_are_numbered_and_timed_and_the_path_is_kept() -> None:
    events: list[Any] = []
    _, shared = await run(line(("a", says("a")), ("b", says("b"))), sink=events.append)
    assert [(type(event), event.node) for event in events] == [
        (NodeStarted, "a"),
        (NodeFinished, "a"),
        (NodeStarted, "b"),
        (NodeFinished, "b"),
    ]
    assert [event.number for event in events] == [1, 2, 3, 4]
    assert set(shared.timings) == {"a", "b"} and all(seconds >= 0 for seconds in shared.timings.values())
