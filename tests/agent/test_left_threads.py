"""A thread whose turn was left goes on: no open tool call, no lost answer, no half-written state."""

import asyncio
import gc
import os
import random
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent, tool
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message, ToolCall, ToolResult
from stretto.testing import ScriptedModel
from stretto.threads import Retention
from stretto.threads.history import NOT_ENDED

SEED = 3


def unanswered(messages: Any) -> set[str]:
    """The ids of tool calls that no result answers."""
    calls = {call.id for message in messages for call in message.tool_calls}
    parts = [part for message in messages for part in message.parts]
    return calls - {part.call_id for part in parts if isinstance(part, ToolResult)}


def files() -> int:
    return len(os.listdir("/dev/fd"))


@pytest.mark.parametrize("threads", ["memory", "sqlite"])
async def test_a_call_left_in_a_tool_node_is_answered_when_the_thread_goes_on(
    threads: str, tmp_path: Path
) -> None:
    """A tool loop made of nodes: the call is in the thread before its tool runs."""
    asked: list[Any] = []
    inside = asyncio.Event()

    async def ask(state: Conversation) -> Conversation:
        asked.append(list(state["messages"]))
        call = ToolCall("c1", "pay", '{"sum": 3}')
        return {
            "messages": [Message("assistant", (call,)) if len(asked) == 1 else Message.assistant("Well.")]
        }

    async def pay(state: Conversation) -> Conversation:
        inside.set()
        await asyncio.Event().wait()
        return {}

    graph = Graph().add_node("ask", ask).add_node("pay", pay).add_edge(START, "ask").add_edge("pay", END)
    graph.add_route("ask", lambda state: "pay" if state["messages"][-1].tool_calls else END, ["pay", END])
    agent = Agent(graph, threads=tmp_path / "t.sqlite" if threads == "sqlite" else "memory")
    turn = asyncio.create_task(agent.run("pay", thread_id="t"))
    await inside.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    await agent.run("and now?", thread_id="t")
    assert not unanswered(asked[-1])
    assert [message.role for message in asked[-1]] == ["user", "assistant", "tool", "user"]
    told = asked[-1][2].parts[0]
    assert told.is_error and told.text == NOT_ENDED
    assert [message.role for message in await agent.messages("t")][-2:] == ["user", "assistant"]
    await agent.close()


@pytest.mark.parametrize("threads", ["memory", "sqlite"])
async def test_a_resumed_turn_that_is_left_can_be_resumed_again(threads: str, tmp_path: Path) -> None:
    inside, runs = asyncio.Event(), []

    @tool(approval=True, effect="idempotent")
    async def pay() -> str:
        """Pays."""
        runs.append(1)
        if len(runs) == 1:
            inside.set()
            await asyncio.Event().wait()
        return "paid"

    model = ScriptedModel(
        otherwise=lambda asked: "Done." if asked.messages[-1].role == "tool" else ToolCall("c1", "pay", "{}")
    )
    where = tmp_path / "t.sqlite" if threads == "sqlite" else "memory"
    agent = Agent(model=model, tools=[pay], threads=where, retention=Retention())
    assert (await agent.run("pay", thread_id="t")).status == "interrupted"
    turn = asyncio.create_task(agent.run(thread_id="t", answers={"c1": True}))
    await inside.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    result = await agent.run(thread_id="t", answers={"c1": True})
    assert result.output == "Done." and result.tools[-1].output == "paid"
    assert (await agent.run("again", thread_id="t")).status == "interrupted"
    await agent.close()


@pytest.mark.parametrize("threads", ["memory", "sqlite"])
async def test_a_thread_goes_on_wherever_its_turns_were_cut_off(threads: str, tmp_path: Path) -> None:
    """Cut off while the store opens, while a checkpoint is written, while it is pruned, and between these."""
    chance = random.Random(SEED)

    @tool
    async def look() -> str:
        """Looks."""
        await asyncio.sleep(0)
        return "seen"

    model = ScriptedModel(
        otherwise=lambda asked: "Done." if asked.messages[-1].role == "tool" else ToolCall("", "look", "{}")
    )
    gc.collect()
    before = files(), len(asyncio.all_tasks()), threading.active_count()
    for number in range(25):
        where = tmp_path / f"{number % 5}.sqlite" if threads == "sqlite" else "memory"
        agent = Agent(model=model, tools=[look], threads=where, retention=Retention(threads=3, turns=3))
        for thread_id in "ab":
            turn = asyncio.create_task(agent.run("hi", thread_id=thread_id))
            for _ in range(chance.randrange(60 if threads == "memory" else 400)):
                await asyncio.sleep(0)
            turn.cancel()
            with suppress(asyncio.CancelledError):
                await turn
        assert (await agent.run("again", thread_id="a")).output == "Done."
        assert not unanswered(await agent.messages("a"))
        await agent.close()
    gc.collect()
    assert (files(), len(asyncio.all_tasks()), threading.active_count()) == before


def test_a_program_with_many_event_loops_keeps_the_store_of_none(tmp_path: Path) -> None:
    agent = Agent(model=ScriptedModel(otherwise=lambda _: "Hello."), threads=tmp_path / "t.sqlite")
    before = files()
    for _ in range(3):
        asyncio.run(agent.run("hi", thread_id="t"))
    assert len(agent._opened._kept) == 1 and files() <= before


def test_many_turns_at_once_open_the_store_in_one_event_loop_after_another(tmp_path: Path) -> None:
    agent = Agent(model=ScriptedModel(otherwise=lambda request: "x"), threads=tmp_path / "threads.sqlite")

    async def several() -> list[Any]:
        ended = await asyncio.gather(*(agent.run("hi", thread_id=f"t{place}") for place in range(3)))
        await agent.close()
        return [result.output for result in ended]

    assert [asyncio.run(several()) for _ in range(2)] == [["x"] * 3] * 2
