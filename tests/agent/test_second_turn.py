"""What a turn does while another one of its thread runs: in one process and in two."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent
from stretto.context import RunContext
from stretto.errors import ConfigError, ThreadBusy
from stretto.events import TextDelta
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message

COUNTS = (10, 50, pytest.param(200, marks=pytest.mark.slow))
STORES = pytest.mark.parametrize(
    "kind", ["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)]
)


_place: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _fresh(request: Any, tmp_path: Path) -> None:
    """Where each kind of store keeps the threads of this test."""
    kind = getattr(request.node, "callspec", None) and request.node.callspec.params.get("kind")
    _place.update(memory="memory", sqlite=tmp_path / "t.sqlite")
    if kind == "postgres":
        _place["postgres"] = request.getfixturevalue("postgres")


def threads_of(kind: str, folder: Path) -> Any:
    return _place[kind]


def echoing(gate: asyncio.Event | None = None, said: str = "") -> Graph:
    """Answers with all questions of the thread; `said` is shown before it waits at the gate."""

    async def answer(state: Conversation, ctx: RunContext) -> Conversation:
        asked = [message.text for message in state["messages"] if message.role == "user"]
        if said:
            ctx.emit(TextDelta(text=f"{said} {asked[-1]}"))
        if gate is not None:
            await gate.wait()
        whole = "+".join(asked)
        return {"messages": [Message.assistant(whole)], "output": whole}

    return Graph().add_node("answer", answer).add_edge(START, "answer").add_edge("answer", END)


async def until(condition: Any) -> None:
    """Lets the others play until it holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


def texts(messages: list[Message], role: str) -> list[str]:
    return [message.text for message in messages if message.role == role]


@STORES
@pytest.mark.parametrize("count", COUNTS)
async def test_reject_lets_exactly_one_in_while_it_runs_and_tells_the_rest_at_once(
    kind: str, count: int, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    agent = Agent(echoing(gate), threads=threads_of(kind, tmp_path))
    first = asyncio.create_task(agent.run("0", thread_id="t"))
    await until(lambda: agent._opened._playing)
    began = time.perf_counter()
    rest = [agent.run(str(number), thread_id="t") for number in range(1, count)]
    refused = await asyncio.gather(*rest, return_exceptions=True)
    each = (time.perf_counter() - began) / count
    gate.set()
    assert (await first).output == "0"
    assert all(type(one) is ThreadBusy and one.status == 409 for one in refused) and each < 0.05
    assert (await agent.run("again", thread_id="t")).output == "0+again", "and then it is free"
    await agent.close()


@STORES
@pytest.mark.parametrize("count", COUNTS)
async def test_enqueue_plays_all_of_them_in_the_order_of_their_arrival(
    kind: str, count: int, tmp_path: Path
) -> None:
    agent = Agent(echoing(), threads=threads_of(kind, tmp_path), second_turn="enqueue")
    results = await asyncio.gather(*(agent.run(str(number), thread_id="t") for number in range(count)))
    assert [result.output for result in results] == [
        "+".join(map(str, range(number + 1))) for number in range(count)
    ]
    assert texts(await agent.messages("t"), "user") == [str(number) for number in range(count)]
    await agent.close()


@STORES
@pytest.mark.parametrize("count", COUNTS)
async def test_interrupt_stops_the_others_and_keeps_what_they_said(
    kind: str, count: int, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    agent = Agent(echoing(gate, "well,"), threads=threads_of(kind, tmp_path), second_turn="interrupt")
    turns: list[asyncio.Task[Any]] = []
    said: set[str] = set()

    async def listen(question: str) -> Any:
        result = None
        async for event in agent.stream(question, thread_id="t"):
            if isinstance(event, TextDelta):
                said.add(event.text)
            result = getattr(event, "result", result)
        return result

    for number in range(count):
        turns.append(asyncio.create_task(listen(str(number))))
        if number % 3 == 0:
            await until(lambda number=number: f"well, {number}" in said)
    await until(lambda: f"well, {count - 1}" in said)
    gate.set()
    results = await asyncio.gather(*turns)
    assert [result.status for result in results] == ["stopped"] * (count - 1) + ["done"]
    messages = await agent.messages("t")
    assert texts(messages, "user") == [str(number) for number in range(count)]
    assert said <= {*texts(messages, "assistant"), f"well, {count - 1}"}, "every partial answer is kept"
    assert results[-1].output == "+".join(map(str, range(count)))
    await agent.close()


@STORES
@pytest.mark.parametrize("count", COUNTS)
async def test_merge_answers_all_messages_in_one_turn(kind: str, count: int, tmp_path: Path) -> None:
    gate = asyncio.Event()
    agent = Agent(echoing(gate), threads=threads_of(kind, tmp_path), second_turn="merge")
    turns = [asyncio.create_task(agent.run(str(number), thread_id="t")) for number in range(count)]
    store = await agent._opened.kept()
    await until(lambda: sum(bool(hold.taken_by) for hold in store.turns._holds.values()) == count - 1)
    gate.set()
    results = await asyncio.gather(*turns)
    whole = "+".join(map(str, range(count)))
    assert {result.output for result in results} == {whole}
    assert [message.text for message in await agent.messages("t")] == [*map(str, range(count)), whole]
    assert (await agent.run("and now", thread_id="t")).output == f"{whole}+and now"
    await agent.close()


async def test_a_turn_that_leaves_the_line_lets_the_next_one_play(tmp_path: Path) -> None:
    gate = asyncio.Event()
    agent = Agent(echoing(gate), threads=tmp_path / "t.sqlite", second_turn="enqueue")
    turns = [asyncio.create_task(agent.run(str(number), thread_id="t")) for number in range(4)]
    await until(lambda: agent._opened._playing)
    turns[1].cancel()
    turns[0].cancel()
    gate.set()
    ended = await asyncio.gather(*turns, return_exceptions=True)
    assert [type(one).__name__ for one in ended] == ["CancelledError", "CancelledError", "Result", "Result"]
    assert texts(await agent.messages("t"), "user") == ["0", "2", "3"]
    await agent.close()


def test_a_policy_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"second_turn is 'queue'; give one of reject, enqueue"):
        Agent(echoing(), second_turn="queue")  # type: ignore[arg-type]


CHILD = """
import asyncio, sys, time
from pathlib import Path
from stretto import Agent
from stretto.context import RunContext
from stretto.errors import ThreadBusy
from stretto.events import TextDelta
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message

path, policy, name, count = sys.argv[1:4] + [int(sys.argv[4])]
gate = asyncio.Event()

async def answer(state: Conversation, ctx: RunContext) -> Conversation:
    asked = [message.text for message in state["messages"] if message.role == "user"]
    ctx.emit(TextDelta(text="well, " + asked[-1]))
    await asyncio.sleep(0 if policy == "enqueue" else 0.05)
    whole = "+".join(asked)
    return {"messages": [Message.assistant(whole)], "output": whole}

graph = Graph().add_node("answer", answer).add_edge(START, "answer").add_edge("answer", END)

async def one(agent, number):
    began = time.perf_counter()
    try:
        result = await agent.run(f"{name}{number}", thread_id="t")
        return result.status, result.output, time.perf_counter() - began
    except ThreadBusy:
        return "busy", "", time.perf_counter() - began

async def main():
    agent = Agent(graph, threads=Path(path), second_turn=policy)
    await agent.messages("t")
    print("ready", flush=True)
    sys.stdin.readline()
    for status, output, seconds in await asyncio.gather(*(one(agent, number) for number in range(count))):
        print(status, output, seconds, sep="|", flush=True)
    await agent.close()

asyncio.run(main())
"""


def two_processes(path: Path, policy: str, count: int) -> list[tuple[str, str, float]]:
    """What `count` turns at once in each of two processes came to."""
    command = [sys.executable, "-c", CHILD, str(path), policy]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen([*command, name, str(count)], **pipes) for name in "ab"]
    try:
        assert [child.stdout.readline() for child in children] == ["ready\n"] * 2
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        lines = [line for child in children for line in child.communicate(timeout=120)[0].splitlines()]
        assert [child.returncode for child in children] == [0, 0]
    finally:
        for child in children:
            child.kill()
            child.wait()
    return [
        (status, output, float(seconds)) for status, output, seconds in (line.split("|") for line in lines)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["reject", "enqueue", "interrupt", "merge"])
@pytest.mark.parametrize("count", [5, 25, 100])
def test_two_processes_hold_to_the_policy_together(policy: str, count: int, tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    ended = two_processes(path, policy, count)
    agent = Agent(echoing(), threads=path)
    messages = asyncio.run(agent.messages("t"))
    asked = texts(messages, "user")
    everyone = {f"{name}{number}" for name in "ab" for number in range(count)}
    if policy == "reject":
        done = [output for status, output, _ in ended if status == "done"]
        assert 1 <= len(done) == len(asked) and len(ended) == 2 * count
        assert {status for status, _, _ in ended} <= {"done", "busy"}
        return
    assert set(asked) == everyone and len(asked) == 2 * count, "no question is lost, none is kept twice"
    for name in "ab":
        assert [one for one in asked if one[0] == name] == [f"{name}{number}" for number in range(count)]
    if policy == "enqueue":
        assert [status for status, _, _ in ended] == ["done"] * 2 * count
        assert texts(messages, "assistant") == ["+".join(asked[:end]) for end in range(1, 2 * count + 1)]
    elif policy == "interrupt":
        assert {status for status, _, _ in ended} <= {"done", "stopped"}
        for status, output, _ in ended:
            assert status == "done" or not output or output in texts(messages, "assistant"), output
    else:
        assert [status for status, _, _ in ended] == ["done"] * 2 * count
        assert texts(messages, "assistant")[-1] == "+".join(asked)
        assert len(texts(messages, "assistant")) <= 4, "a few turns for all of them"
