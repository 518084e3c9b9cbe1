"""After a deploy a paused thread goes on, is brought into its new form, or is refused by name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pytest

from stretto.context import Run, RunContext
from stretto.errors import GraphError, ThreadOutdated
from stretto.graph import END, START, Graph
from stretto.graph.stream import play, thread_standing, thread_state
from stretto.threads.stores import open_store


class State(TypedDict, total=False):
    text: str
    size: int
    heard: str


class Renamed(TypedDict, total=False):
    text: str
    length: str
    heard: str


async def first(state: Any) -> dict[str, Any]:
    return {"text": "begun"}


async def ask(state: Any, ctx: RunContext) -> dict[str, Any]:
    asked.append(ctx.task_id)
    return {"heard": str(ctx.interrupt("Really?"))}


async def done(state: Any) -> dict[str, Any]:
    return {"text": f"{state.get('text')}, {state.get('heard')}"}


@dataclass
class Claim:
    number: str


class Claims(State, total=False):
    claim: Claim


asked: list[str] = []


def line(*names: str, state: type[Any] = State, **options: Any) -> Graph:
    """A graph of nodes in a row; one whose name begins with `ask` waits for an answer."""
    graph, before = Graph(state, **options), START
    for name in names:
        function = ask if name.startswith("ask") else done if name == "done" else first
        graph.add_node(name, function).add_edge(before, name)
        before = name
    return graph.add_edge(before, END)


@pytest.fixture(params=["memory", "sqlite"])
def deploys(request: Any, tmp_path: Path) -> Any:
    """`deploys(graph)`: the graph compiled on one store, as each version of a program has it."""
    kept: list[Any] = []

    @asynccontextmanager
    async def deploy(graph: Graph) -> AsyncIterator[Any]:
        if request.param == "sqlite":
            async with open_store("sqlite", tmp_path / "t.sqlite", *graph.states) as saver:
                yield graph.compile(saver)
            return
        if not kept:
            kept.append(open_store("memory", tmp_path))
            kept.append(await kept[0].__aenter__())
        yield graph.compile(kept[1])

    return deploy


async def paused(deploys: Any, graph: Graph, **given: Any) -> dict[str, Any]:
    async with deploys(graph) as compiled:
        played = await play(compiled, {"text": "hello", **given}, run=Run(), thread_id="t")
        assert played.questions
        return played.questions


async def resumed(deploys: Any, graph: Graph, **answers: Any) -> dict[str, Any]:
    async with deploys(graph) as compiled:
        return (await play(compiled, None, resume=answers or {"ask": "yes"}, run=Run(), thread_id="t")).state


async def test_new_nodes_and_keys_change_nothing(deploys: Any) -> None:
    await paused(deploys, line("first", "ask", "done"))
    more = line("zero", "first", "ask", "extra", "done", state=type("More", (State,), {"__total__": False}))
    assert (await resumed(deploys, more))["text"] == "begun, yes"


async def test_a_node_that_is_gone_is_said_by_name_whatever_is_asked(deploys: Any) -> None:
    await paused(deploys, line("first", "ask", "done"))
    async with deploys(line("first", "ask_him", "done")) as compiled:
        for call in (
            lambda: play(compiled, None, resume={"ask": "yes"}, run=Run(), thread_id="t"),
            lambda: play(compiled, None, run=Run(), thread_id="t"),
            lambda: thread_standing(compiled, "t"),
        ):
            with pytest.raises(
                ThreadOutdated, match=r"`t` waits at.*`ask`.*renamed=\{\"ask\": \"ask_him\"\}"
            ) as caught:
                await call()
            assert caught.value.nodes == ("ask",)
            assert caught.value.thread_id == "t"
        assert (await thread_state(compiled, "t"))["text"] == "begun"  # reading it is no taking up
    assert (await resumed(deploys, line("first", "ask", "done")))["text"] == "begun, yes"


async def test_a_thread_at_a_renamed_node_goes_on_and_its_question_keeps_its_name(deploys: Any) -> None:
    questions = await paused(deploys, line("first", "ask", "done"))
    now = line("begin", "ask_him", "done", renamed={"first": "begin", "ask": "ask_him"})
    async with deploys(now) as compiled:
        standing = await thread_standing(compiled, "t")
        assert standing.questions == questions == {"ask": "Really?"}
        assert await thread_standing(compiled, "t") == standing
    assert (await resumed(deploys, now))["text"] == "begun, yes"


async def test_a_node_to_go_to_next_that_is_gone_is_said_too(deploys: Any) -> None:
    def beside(last: str) -> Graph:
        graph = Graph(State).add_node("quick", done).add_node("ask", ask).add_node(last, first)
        return (
            graph.add_edge(START, "quick").add_edge(START, "ask")
            .add_edge("quick", last).add_edge(last, END).add_edge("ask", END)
        )  # fmt: skip

    await paused(deploys, beside("last"))
    async with deploys(beside("other")) as compiled:
        with pytest.raises(ThreadOutdated, match="`last`"):
            await play(compiled, None, resume={"ask": "yes"}, run=Run(), thread_id="t")


async def test_a_join_that_was_begun_is_not_lost(deploys: Any) -> None:
    def joined(*sources: str) -> Graph:
        graph = Graph(State).add_node("last", done)
        for name in sources:
            graph.add_node(name, ask if name == "ask" else first).add_edge(START, name)
        return graph.add_edge(list(sources), "last").add_edge("last", END)

    await paused(deploys, joined("quick", "ask"))
    async with deploys(joined("quick", "ask", "slow")) as compiled:
        with pytest.raises(ThreadOutdated, match=r"last \(after quick and ask\)"):
            await play(compiled, None, resume={"ask": "yes"}, run=Run(), thread_id="t")


async def test_another_way_to_the_waiting_node_does_not_lose_its_question(deploys: Any) -> None:
    await paused(deploys, line("first", "ask", "done"))
    more = line("first", "ask", "done").add_node("side", first).add_edge(["first", "side"], "ask")
    more.add_edge(START, "side")  # the waiting task has another id now
    async with deploys(more) as compiled:
        assert (await thread_standing(compiled, "t")).questions == {"ask": "Really?"}
    assert (await resumed(deploys, more))["text"] == "begun, yes"


async def test_a_key_that_no_longer_fits_needs_migrate(deploys: Any) -> None:
    await paused(deploys, line("first", "ask", "done"), size=7)
    async with deploys(line("first", "ask", "done", state=Renamed)) as compiled:
        with pytest.raises(
            ThreadOutdated, match=r"`size` is no longer in the state; type Graph\(\.\.\., migrate="
        ) as caught:
            await thread_standing(compiled, "t")
        assert caught.value.keys == ("size",)

    def migrate(state: dict[str, Any], old: Any) -> dict[str, Any]:
        assert old.keys["size"] == ("int",)
        return {"length": f"{state.pop('size')} m", **state}

    now = line("first", "ask", "done", state=Renamed, migrate=migrate)
    async with deploys(now) as compiled:
        standing = await thread_standing(compiled, "t")
        assert standing.questions == {"ask": "Really?"}
        assert standing.state == {"text": "begun", "length": "7 m"}
        assert standing.next
    assert await resumed(deploys, now) == {"text": "begun, yes", "length": "7 m", "heard": "yes"}


async def test_a_key_of_another_type_needs_migrate_unless_it_was_widened(deploys: Any) -> None:
    class Wide(State, total=False):
        size: int | str  # type: ignore[misc]

    class Other(State, total=False):
        size: str  # type: ignore[misc]

    await paused(deploys, line("first", "ask", "done"), size=7)
    async with deploys(line("first", "ask", "done", state=Wide)) as compiled:
        assert (await thread_standing(compiled, "t")).questions
    async with deploys(line("first", "ask", "done", state=Other)) as compiled:
        with pytest.raises(ThreadOutdated, match="`size` was `int` and is `str`"):
            await thread_standing(compiled, "t")


async def test_what_migrate_gives_has_to_be_a_state(deploys: Any) -> None:
    await paused(deploys, line("first", "ask", "done"), size=7)
    for wrong, said in (
        (lambda state, old: state, "returned `size`, which the state"),
        (lambda s, o: 7, "returned int"),
    ):
        async with deploys(line("first", "ask", "done", state=Renamed, migrate=wrong)) as compiled:
            with pytest.raises(GraphError, match=said):
                await thread_standing(compiled, "t")


async def test_a_thread_that_ended_is_not_held_by_nodes_that_are_gone(deploys: Any) -> None:
    async with deploys(line("first", "done")) as compiled:
        await play(compiled, {"text": "hello"}, run=Run(), thread_id="t")
    async with deploys(line("other")) as compiled:
        assert not (await thread_standing(compiled, "t")).next
        assert (await play(compiled, {"text": "again"}, run=Run(), thread_id="t")).state["text"] == "begun"


@pytest.mark.parametrize("name", ["ask", "ask_him"])
async def test_a_thread_that_waits_in_a_sub_graph_goes_on_in_it(deploys: Any, name: str) -> None:
    def outer(inner: str, node: str, **options: Any) -> Graph:
        below = line("first", inner, renamed={"ask": inner} if inner != "ask" else None)
        graph = Graph(State, **options).add_node(node, below).add_node("done", done)
        return graph.add_edge(START, node).add_edge(node, "done").add_edge("done", END)

    questions = await paused(deploys, outer("ask", "talk"))
    assert questions == {"talk/ask": "Really?"}
    async with deploys(line("first", "talk")) as compiled:
        with pytest.raises(ThreadOutdated):
            await thread_standing(compiled, "t")
    now = outer(name, "speak", renamed={"talk": "speak"})
    async with deploys(now) as compiled:
        assert (await thread_standing(compiled, "t")).questions == questions
    state = await resumed(deploys, now, **{"talk/ask": "yes"})
    assert state["text"] == "begun, yes"


async def test_the_journal_and_the_effects_of_a_waiting_task_follow_it(tmp_path: Path) -> None:
    path, asked[:] = tmp_path / "t.sqlite", []
    old, now = line("first", "ask", "done"), line("first", "ask_him", "done", renamed={"ask": "ask_him"})
    async with open_store("sqlite", path, *old.states) as saver:
        await play(old.compile(saver), {"text": "hello"}, run=Run(), thread_id="t")
        then = ("t", asked[-1], 0, b"said")
        await saver.file.transact(lambda c: c.execute("INSERT INTO journal VALUES (?, ?, ?, ?)", then))
    async with open_store("sqlite", path, *now.states) as saver:
        await play(now.compile(saver), None, resume={"ask": "yes"}, run=Run(), thread_id="t")
        rows = await saver.file.transact(lambda c: c.execute("SELECT * FROM journal").fetchall())
    assert asked[0] != asked[-1]
    assert ("t", asked[-1], 0, b"said") in rows


async def test_a_class_that_the_state_no_longer_declares_is_read_where_migrate_names_its_state(
    tmp_path: Path,
) -> None:
    path = tmp_path / "t.sqlite"
    old = line("first", "ask", "done", state=Claims)

    async def standing(graph: Graph) -> Any:
        async with open_store("sqlite", path, *graph.states) as saver:
            return await thread_standing(graph.compile(saver), "t")

    def bare(state: Any, old: Any) -> dict[str, Any]:
        return {"size": int(state.pop("claim").number), **state}

    def named(state: Claims, old: Any) -> dict[str, Any]:
        return bare(state, old)

    async with open_store("sqlite", path, *old.states) as saver:
        given = {"text": "hello", "claim": Claim("7")}
        await play(old.compile(saver), given, run=Run(), thread_id="t")
    with pytest.raises(ThreadOutdated, match="`claim` is no longer in the state"):
        await standing(line("first", "ask", "done"))
    with pytest.raises(ThreadOutdated, match="annotate the first parameter of `migrate`"):
        await standing(line("first", "ask", "done", migrate=bare))
    found = await standing(line("first", "ask", "done", migrate=named))
    assert found.state == {"text": "begun", "size": 7}
    assert found.questions == {"ask": "Really?"}
