"""One writer a thread: whoever was overtaken is told so, and leaves nothing behind."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import pytest

from stretto import Agent
from stretto.agent.opened import Opened
from stretto.context import Run
from stretto.errors import ThreadConflict, ThreadError
from stretto.graph import END, START, Conversation, Graph, new_turn
from stretto.graph.stream import play
from stretto.messages import Message
from stretto.testing import ScriptedModel
from stretto.threads.stores import open_store, store_of


class Barrier:
    """Lets everyone go on once all of these questions have come, or their turns have ended."""

    def __init__(self, questions: Iterable[str] = ()) -> None:
        self._away, self._open = set(questions), asyncio.Event()

    def come(self, question: str) -> None:
        self._away.discard(question)
        if not self._away:
            self._open.set()

    async def wait(self, question: str) -> None:
        self.come(question)
        await self._open.wait()


def waiting(barrier: Barrier, *, nested: bool = False) -> Graph:
    """A graph whose turns wait for each other in their node."""

    async def first(state: Conversation) -> Conversation:
        await barrier.wait(state["question"])
        return {}

    async def echo(state: Conversation) -> Conversation:
        said = state["messages"][-1].text.upper()
        return {"messages": [Message.assistant(said)], "output": said}

    inner = Graph().add_node("first", first).add_node("echo", echo)
    inner = inner.add_edge(START, "first").add_edge("first", "echo").add_edge("echo", END)
    if not nested:
        return inner
    return Graph().add_node("inner", inner).add_edge(START, "inner").add_edge("inner", END)


class Unleased:
    """Turns of threads that ask for no lease: the saver alone tells them apart."""

    def __init__(self, graph: Graph, threads: Path | str) -> None:
        self._opened = Opened(graph, threads=threads, media=None)

    async def run(self, question: str, thread_id: str) -> Any:
        compiled = (await self._opened.kept()).compiled
        return (await play(compiled, new_turn(question), run=Run(), thread_id=thread_id)).state["output"]

    async def said(self, thread_id: str) -> list[str]:
        return [message.text for message in await self._opened.messages(thread_id)]

    async def close(self) -> None:
        await self._opened.close()


async def rows(place: Path | str, thread_id: str = "t") -> dict[str, int]:
    """What a store holds that no checkpoint leads to."""
    async with open_store(store_of(place), place, Conversation) as saver:
        found = [one async for one in saver.alist({"configurable": {"thread_id": thread_id}})]
        writes = saver.file.transact_now(
            lambda connection: connection.execute(
                "SELECT COUNT(*) FROM writes WHERE checkpoint_id NOT IN "
                "(SELECT checkpoint_id FROM checkpoints)"
            ).fetchone()[0]
        )
    places = {(c["checkpoint_ns"], c["checkpoint_id"]) for c in (one.config["configurable"] for one in found)}
    parents = [one.parent_config["configurable"] for one in found if one.parent_config]
    children = [(parent["checkpoint_ns"], parent["checkpoint_id"]) for parent in parents]
    return {
        "orphans": writes,
        "lost parents": len(set(children) - places),
        "forks": len(children) - len(set(children)),
        "roots of the thread": sum(
            not one.parent_config for one in found if not one.config["configurable"]["checkpoint_ns"]
        ),
    }


WHOLE = {"orphans": 0, "lost parents": 0, "forks": 0, "roots of the thread": 1}


@pytest.mark.parametrize("count", [10, 50])
@pytest.mark.parametrize("before", [0, 1], ids=["a new thread", "a thread with a turn"])
@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
async def test_of_turns_at_once_on_one_thread_exactly_one_is_kept(
    count: int, before: int, nested: bool, place: Path | str
) -> None:
    barrier = Barrier()
    agent = Unleased(waiting(barrier, nested=nested), threads=place)
    for number in range(before):
        await agent.run(f"before {number}", thread_id="t")
    questions = [f"question {number}" for number in range(count)]
    barrier.__init__(questions)

    async def turn(question: str) -> Any:
        try:
            return await agent.run(question, thread_id="t")
        finally:  # it may be refused before it comes to its node
            barrier.come(question)

    ended = await asyncio.gather(*map(turn, questions), return_exceptions=True)
    won = [one for one in ended if not isinstance(one, BaseException)]
    assert len(won) == 1 and all(type(one) is ThreadConflict for one in ended if one is not won[0])
    said = await agent.said("t")
    assert said[: 2 * before] == ["before 0", "BEFORE 0"] * before
    assert said[-2:] == [won[0].lower(), won[0]]
    overtaken = said[2 * before : -2]  # such as began first, where reading waits for the network
    assert set(overtaken) <= set(questions) and (isinstance(place, str) or not overtaken)
    assert await agent.run("and now", thread_id="t") == "AND NOW"
    assert len(await agent.said("t")) == len(said) + 2
    await agent.close()
    assert await rows(place) == WHOLE


async def test_a_turn_that_was_overtaken_is_refused_though_it_began_first(place: Path | str) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def echo(state: Conversation) -> Conversation:
        if state["question"] == "slow":
            inside.set()
            await go_on.wait()
        return {"messages": [Message.assistant(state["question"].upper())], "output": "said"}

    graph = Graph().add_node("echo", echo).add_edge(START, "echo").add_edge("echo", END)
    agent = Unleased(graph, threads=place)
    slow = asyncio.create_task(agent.run("slow", thread_id="t"))
    await inside.wait()
    while not await agent.said("t"):  # its question may come to the store after its node began
        await asyncio.sleep(0)
    await agent.run("quick", thread_id="t")
    go_on.set()
    with pytest.raises(ThreadConflict, match=r"another turn took thread `t` further.*ask again"):
        await slow
    assert (await agent.said("t"))[-2:] == ["quick", "QUICK"]
    assert issubclass(ThreadConflict, ThreadError)
    await agent.close()
    assert await rows(place) == WHOLE


CHILD = """
import asyncio, sys
from stretto.agent.opened import Opened
from stretto.context import Run
from stretto.errors import ThreadConflict
from stretto.graph import END, START, Conversation, Graph, new_turn
from stretto.graph.stream import play
from stretto.messages import Message

async def wait(state: Conversation) -> Conversation:
    print("inside", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    return {}

async def echo(state: Conversation) -> Conversation:
    return {"messages": [Message.assistant(state["question"].upper())]}

graph = Graph().add_node("wait", wait).add_node("echo", echo)
graph.add_edge(START, "wait").add_edge("wait", "echo").add_edge("echo", END)

async def main():
    agent = Opened(graph, threads=sys.argv[1], media=None)
    try:
        await play((await agent.kept()).compiled, new_turn(sys.argv[2]), run=Run(), thread_id="t")
        print("kept", flush=True)
    except ThreadConflict:
        print("refused", flush=True)
    await agent.close()

asyncio.run(main())
"""


@pytest.mark.slow
def test_of_turns_in_several_processes_exactly_one_is_kept(place: Path | str) -> None:
    command = [sys.executable, "-c", CHILD, str(place)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen([*command, f"question {number}"], **pipes) for number in range(4)]
    assert [child.stdout.readline() for child in children] == ["inside\n"] * 4
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    ended = [child.communicate()[0].strip() for child in children]
    assert sorted(ended) == ["kept", "refused", "refused", "refused"]
    assert all(child.returncode == 0 for child in children)
    agent = Agent(model=ScriptedModel(otherwise=lambda _: "Well."), threads=place)
    said = [message.text for message in asyncio.run(agent.messages("t"))]
    winner = f"question {ended.index('kept')}"
    assert said[-2:] == [winner, winner.upper()]
    assert asyncio.run(rows(place)) == WHOLE


def add(old: Sequence[str], new: Sequence[str]) -> list[str]:
    return [*old, *new]


class Notes(Conversation):
    notes: Annotated[list[str], add]


def noting() -> Graph:
    async def one(state: Notes) -> Any:
        return {"notes": [f"one {state['question']}"]}

    async def two(state: Notes) -> Any:
        return {"notes": [f"two {state['question']}"]}

    graph = Graph(Notes).add_node("one", one).add_node("two", two)
    return graph.add_edge(START, "one").add_edge("one", "two").add_edge("two", END)


async def test_forks_that_are_asked_for_are_kept(place: Path | str) -> None:
    graph = noting()
    async with open_store(store_of(place), place, *graph.states) as saver:
        compiled: Any = graph.compile(saver)
        config: Any = {"configurable": {"thread_id": "t"}}
        for question in "ab":
            await play(compiled, new_turn(question), run=Run(), thread_id="t")
        history = [one async for one in compiled.aget_state_history(config)]
        middle = next(one for one in history if one.next == ("two",) and one.values["question"] == "a")
        forked = await compiled.aupdate_state(middle.config, {"notes": ["changed"]})
        assert (await compiled.aget_state(config)).values["notes"] == ["one a", "changed"]
        await compiled.ainvoke(None, forked)
        assert (await compiled.aget_state(config)).values["notes"] == ["one a", "changed", "two a"]
        again = await compiled.ainvoke({"question": "c"}, middle.config)  # an input from an older checkpoint
        assert again["notes"] == ["one a", "one c", "two c"]
        replayed = await compiled.ainvoke(None, middle.config)
        assert replayed["notes"] == ["one a", "two a"]
        copied = await compiled.aupdate_state(middle.config, None, as_node="__copy__")
        assert (await compiled.aget_state(copied)).values["notes"] == ["one a"]
        await play(compiled, new_turn("d"), run=Run(), thread_id="t")
        assert (await compiled.aget_state(config)).values["notes"] == ["one a", "one d", "two d"]


async def test_a_fork_is_held_to_one_writer_too(place: Path | str) -> None:
    graph = noting()
    async with open_store(store_of(place), place, *graph.states) as saver:
        compiled: Any = graph.compile(saver)
        for question in "ab":
            await play(compiled, new_turn(question), run=Run(), thread_id="t")
        history = [one async for one in compiled.aget_state_history({"configurable": {"thread_id": "t"}})]
        old = next(one for one in history if one.values.get("notes") == ["one a"])
        found = await saver.aget_tuple(old.config)
        await play(compiled, new_turn("c"), run=Run(), thread_id="t")
        with pytest.raises(ThreadConflict):
            await saver.aput(
                found.config, {**found.checkpoint, "id": "x"}, {"source": "update", "step": 9}, {}
            )
        with pytest.raises(ThreadConflict):
            await saver.aput_writes(found.config, [("notes", ["x"])], "task")


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_two_first_turns_are_told_apart_however_durable_they_are(
    durability: Any, place: Path | str
) -> None:
    barrier = Barrier("ab")
    graph = waiting(barrier)
    async with open_store(store_of(place), place, *graph.states) as saver:
        compiled = graph.compile(saver)
        turns = [
            play(compiled, new_turn(question), run=Run(), thread_id="t", durability=durability)
            for question in "ab"
        ]
        ended = await asyncio.gather(*turns, return_exceptions=True)
    assert sorted(type(one).__name__ for one in ended) == ["Played", "ThreadConflict"], ended
    assert await rows(place) == WHOLE


async def test_updates_of_a_thread_at_once_are_told_apart(place: Path | str) -> None:
    graph = noting()
    async with open_store(store_of(place), place, *graph.states) as saver:
        compiled: Any = graph.compile(saver)
        config = {"configurable": {"thread_id": "t"}}
        await compiled.aupdate_state(config, {"notes": ["a"]}, as_node="one")
        found = await saver.aget_tuple(config)
        await compiled.aupdate_state(config, {"notes": ["b"]}, as_node="one")
        with pytest.raises(ThreadConflict):  # what an update does that has read before the other one wrote
            await saver.aput(
                found.config, {**found.checkpoint, "id": "x"}, {"source": "update", "step": 1}, {}
            )
        assert json.dumps((await compiled.aget_state(config)).values["notes"]) == '["a", "b"]'
