"""The tip of a thread is read without its content: where it stands, what it holds, what runs below it."""

from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.types import Command, Send

from stretto.context import Run, RunContext
from stretto.graph import END, START, Graph
from stretto.graph.stream import play
from stretto.messages import Message
from stretto.threads.checkpoint.tips import Start, in_parts, read_threads, read_tips, tip_of
from stretto.threads.stores import open_store


class State(TypedDict, total=False):
    notes: Annotated[list[Message], lambda old, new: [*old, *new]]
    empty: str
    tags: set[str]


async def first(state: State) -> State:
    return {"notes": [Message.user("x" * 1000)], "empty": "", "tags": {"a"}}


async def ask(state: State, ctx: RunContext) -> State:
    ctx.interrupt("Really?")
    return {}


async def send(state: State) -> Any:
    return Command(goto=[Send("ask", state), Send("ask", state)])


async def tips(path: Path, graph: Graph) -> Any:
    """The tips as read from the file, and the outer one as made from the checkpoint itself."""
    async with open_store("sqlite", path / "t.sqlite", *graph.states) as saver:
        await play(graph.compile(saver), {"notes": []}, run=Run(), thread_id="t")
        read = await saver.file.transact(lambda c: read_tips(c, ["t", "unknown"], saver.packed))
        assert await saver.file.transact(read_threads) == ["t"]
        found = await saver.aget_tuple({"configurable": {"thread_id": "t", "checkpoint_ns": ""}})
    assert list(read) == ["t"]
    return read["t"], tip_of(found.checkpoint, found.metadata, found.pending_writes)


async def test_what_it_waits_at_and_holds_is_read_as_from_the_whole(tmp_path: Path) -> None:
    graph = Graph(State).add_node("first", first).add_node("ask", ask)
    graph.add_edge(START, "first").add_edge("first", "ask").add_edge("ask", END)
    read, whole = await tips(tmp_path, graph)
    assert read == {"": whole}
    assert whole.starts == (Start("ask"),)
    assert whole.asked
    assert whole.held == {"notes", "tags"}
    assert whole.fingerprint


async def test_a_join_that_was_begun_and_what_a_finished_branch_wrote_count(tmp_path: Path) -> None:
    graph = Graph(State).add_node("quick", first).add_node("ask", ask).add_node("last", first)
    graph.add_edge(START, "quick").add_edge(START, "ask").add_edge(["quick", "ask"], "last").add_edge(
        "last", END
    )
    read, whole = await tips(tmp_path, graph)
    assert read == {"": whole}
    begun = Start("quick")  # what it wrote is taken in with the step: until then it has to be there
    assert set(whole.starts) == {begun, Start("ask"), Start("last", ("quick", "ask"))}
    assert whole.starts[-1].label == "last (after quick and ask)"
    assert whole.held == {"notes", "tags"}


async def test_what_was_sent_to_a_node_counts(tmp_path: Path) -> None:
    graph = Graph(State).add_node("send", send, destinations=["ask"]).add_node("ask", ask)
    graph.add_edge(START, "send").add_edge("ask", END)
    read, whole = await tips(tmp_path, graph)
    assert read[""].starts == whole.starts == (Start("ask", sent=True),)


async def test_a_sub_graph_counts_while_its_turn_has_not_ended(tmp_path: Path) -> None:
    inner = Graph(State).add_node("first", first).add_node("ask", ask)
    inner.add_edge(START, "first").add_edge("first", "ask").add_edge("ask", END)
    outer = Graph(State).add_node("talk", inner).add_edge(START, "talk").add_edge("talk", END)
    read, _ = await tips(tmp_path, outer)
    own, below = sorted(read)
    assert (own, below.partition(":")[0]) == ("", "talk")
    assert read[below].starts == (Start("ask"),)
    async with open_store("sqlite", tmp_path / "t.sqlite", *outer.states) as saver:
        answers = {"talk/ask": "yes"}
        await play(outer.compile(saver), None, resume=answers, run=Run(), thread_id="t")
        ended = await saver.file.transact(lambda c: read_tips(c, ["t"], saver.packed))
    assert list(ended["t"]) == [""]
    assert ended["t"][""].starts == ()


@pytest.mark.parametrize(("number", "parts"), [(0, 0), (1, 1), (200, 1), (201, 2)])
def test_many_threads_are_read_in_parts(number: int, parts: int) -> None:
    found = list(in_parts([str(each) for each in range(number)]))
    assert len(found) == parts
    assert sum(map(len, found)) == number
