"""Runs that outlive their caller: followed from any number on, stopped, and taken up by the next process."""

import asyncio
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent
from stretto.context import RunContext
from stretto.errors import ThreadBusy, ThreadError
from stretto.events import Event, Retracted, RunFinished, RunStarted, TextDelta
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message
from stretto.testing import ScriptedModel

SEED = 11
WORDS = [f"word{number} " for number in range(120)]
STORES = pytest.mark.parametrize("kind", ["memory", "sqlite"])


def threads_of(kind: str, folder: Path) -> Any:
    return folder / "t.sqlite" if kind == "sqlite" else "memory"


def speaking(pause: Any = None) -> Graph:
    """Says its words one by one; `pause` is awaited between them."""

    async def speak(state: Conversation, ctx: RunContext) -> Conversation:
        for number, word in enumerate(WORDS):
            ctx.emit(TextDelta(text=word))
            await (pause(number) if pause else asyncio.sleep(0))
        whole = "".join(WORDS)
        return {"messages": [Message.assistant(whole)], "output": whole}

    return Graph().add_node("speak", speak).add_edge(START, "speak").add_edge("speak", END)


def told(events: list[Event]) -> str:
    """The text that a reader of these events sees."""
    text = ""
    for event in events:
        if isinstance(event, TextDelta):
            text += event.text
        elif isinstance(event, Retracted):
            text = text[: len(text) - event.length]
    return text


@STORES
async def test_a_reader_cut_off_anywhere_and_back_sees_the_whole_text(kind: str, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    agent = Agent(speaking(), threads=threads_of(kind, tmp_path))
    for number in range(50):
        started = await agent.start("speak", thread_id=f"t{number}")
        seen: list[Event] = []
        cuts = sorted(chance.sample(range(1, 120), 3))
        for cut in cuts:
            after = seen[-1].number if seen else 0
            async for event in (reader := agent.follow(started.run_id, after=after)):
                seen.append(event)
                if event.number >= cut:
                    break
            await reader.aclose()
        async for event in agent.follow(started.run_id, after=seen[-1].number):
            seen.append(event)
        assert [event.number for event in seen] == list(range(1, len(seen) + 1)), (SEED, number, cuts)
        assert told(seen) == "".join(WORDS) and isinstance(seen[-1], RunFinished), (SEED, number, cuts)
        assert seen[-1].result is not None and seen[-1].result.output == "".join(WORDS)
    await agent.close()


@STORES
async def test_a_run_goes_on_when_nobody_watches_and_its_result_is_kept(kind: str, tmp_path: Path) -> None:
    agent = Agent(model=ScriptedModel(["Well."]), threads=threads_of(kind, tmp_path))
    started = await agent.start("a question", thread_id="t")
    assert (await agent.result(started.run_id)).output == "Well."
    assert (await agent.result(started.run_id)).output == "Well.", "also when it is asked for again"
    assert [message.text for message in await agent.messages("t")] == ["a question", "Well."]
    with pytest.raises(ThreadError, match=r"run `none` is not known here"):
        await agent.result("none")
    await agent.close()
    with pytest.raises(ThreadError, match="keeps no threads"):
        await Agent(model=ScriptedModel(["Well."]), threads=None).start("a question")


@STORES
async def test_a_stopped_run_leaves_what_it_said_in_the_conversation(kind: str, tmp_path: Path) -> None:
    async def pause(number: int) -> None:
        if number == 4:
            await asyncio.Event().wait()

    agent = Agent(speaking(pause), threads=threads_of(kind, tmp_path))
    started = await agent.start("speak", thread_id="t")
    reader = agent.follow(started.run_id)
    async for event in reader:
        if isinstance(event, TextDelta) and event.text == WORDS[4]:
            break
    await reader.aclose()
    with pytest.raises(ThreadBusy):
        await agent.run("another", thread_id="t")
    assert await agent.stop(started.run_id)
    result = await agent.result(started.run_id)
    assert result.status == "stopped" and result.output == "".join(WORDS[:5])
    assert [message.text for message in await agent.messages("t")] == ["speak", "".join(WORDS[:5])]
    assert not await agent.stop(started.run_id), "it has ended"
    await agent.close()


async def test_a_run_that_fails_tells_so_to_who_follows(tmp_path: Path) -> None:
    async def fail(state: Conversation) -> Conversation:
        raise ValueError("no")

    graph = Graph().add_node("fail", fail).add_edge(START, "fail").add_edge("fail", END)
    agent = Agent(graph, threads=tmp_path / "t.sqlite")
    started = await agent.start("a question", thread_id="t")
    events = [event async for event in agent.follow(started.run_id)]
    assert isinstance(events[-1], RunFinished) and events[-1].status == "failed"
    with pytest.raises(ThreadError, match="failed"):
        await agent.result(started.run_id)
    await agent.close()


async def test_what_an_agent_leaves_when_it_closes_the_next_one_takes_up(tmp_path: Path) -> None:
    inside = asyncio.Event()

    async def wait(number: int) -> None:
        if number == 30:
            inside.set()
            await asyncio.Event().wait()

    first = Agent(speaking(wait), threads=tmp_path / "t.sqlite")
    started = await first.start("speak", thread_id="t")
    await inside.wait()
    await first.close()
    second = Agent(speaking(), threads=tmp_path / "t.sqlite")
    seen: list[Event] = []
    assert await second.recover() == [started.run_id]
    assert await second.recover() == []
    async for event in second.follow(started.run_id):
        seen.append(event)
    assert [event.number for event in seen] == list(range(1, len(seen) + 1))
    assert sum(isinstance(event, RunStarted) for event in seen) == 1
    assert told(seen) == "".join(WORDS) and any(isinstance(event, Retracted) for event in seen)
    assert [message.text for message in await second.messages("t")] == ["speak", "".join(WORDS)]
    await second.close()


async def test_a_run_that_has_not_begun_when_its_agent_closes_is_left_to_the_next(tmp_path: Path) -> None:
    agent = Agent(model=ScriptedModel(["Well."]), threads=tmp_path / "t.sqlite")
    started = await agent.start("a question", thread_id="t")
    await agent.close()
    second = Agent(model=ScriptedModel(["Well."]), threads=tmp_path / "t.sqlite")
    assert await second.recover() == [started.run_id]
    async with asyncio.timeout(10):
        assert (await second.result(started.run_id)).output == "Well."
    await second.close()


async def test_resume_goes_on_where_a_turn_was_left(tmp_path: Path) -> None:
    asked: list[str] = []

    async def fail_once(state: Conversation) -> Conversation:
        asked.append(state["messages"][-1].text)
        if len(asked) == 1:
            raise ValueError("no")
        return {"messages": [Message.assistant("Well.")], "output": "Well."}

    graph = Graph().add_node("fail", fail_once).add_edge(START, "fail").add_edge("fail", END)
    agent = Agent(graph, threads=tmp_path / "t.sqlite")
    with pytest.raises(ValueError, match="no"):
        await agent.run("a question", thread_id="t")
    assert (await agent.resume("t")).output == "Well." and asked == ["a question"] * 2
    with pytest.raises(ThreadError, match="was not left in the middle"):
        await agent.resume("t")
    await agent.close()


CHILD = """
import asyncio, sys
from pathlib import Path
from stretto import Agent
from stretto.context import RunContext
from stretto.events import TextDelta
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message

async def speak(state: Conversation, ctx: RunContext) -> Conversation:
    for number in range(120):
        ctx.emit(TextDelta(text=f"word{number} "))
        await asyncio.sleep(0.002)
    return {"messages": [Message.assistant("never")], "output": "never"}

graph = Graph().add_node("speak", speak).add_edge(START, "speak").add_edge("speak", END)

async def main():
    agent = Agent(graph, threads=Path(sys.argv[1]))
    started = await agent.start("speak", thread_id="t")
    print(started.run_id, flush=True)
    async for event in agent.follow(started.run_id):
        print(event.number, flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_run_whose_process_is_killed_goes_on_in_the_next_without_a_gap(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    for number in range(4):
        path, until = tmp_path / f"{number}.sqlite", chance.randrange(2, 100)
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        run_id, last = child.stdout.readline().strip(), 0
        while last < until:
            last = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = child.communicate()[0].split("\n")
        last = max([last, *(int(line) for line in rest[:-1] if line)])

        async def go_on(
            path: Path = path, run_id: str = run_id, last: int = last, until: int = until
        ) -> None:
            agent = Agent(speaking(), threads=path)
            assert await agent.recover() == [run_id], (SEED, until)
            before = [event async for event in agent.follow(run_id)]
            assert before[last - 1].number == last, "what was seen is kept"
            assert [event.number for event in before] == list(range(1, len(before) + 1)), (SEED, until)
            rest = [event async for event in agent.follow(run_id, after=last)]
            assert told(before[:last] + rest) == "".join(WORDS), (SEED, until)
            assert [message.text for message in await agent.messages("t")] == ["speak", "".join(WORDS)]
            await agent.close()

        asyncio.run(go_on())
