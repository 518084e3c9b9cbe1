"""Threads in memory keep what those in a file keep, for one agent, and leave nothing."""

import asyncio
import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent
from stretto.context import Run
from stretto.errors import ThreadConflict
from stretto.graph import END, START, Conversation, Graph, new_turn
from stretto.graph.stream import play, thread_messages
from stretto.messages import Message
from stretto.threads.stores import open_store


def graph(arrived: asyncio.Event | None = None, go_on: asyncio.Event | None = None) -> Graph:
    async def echo(state: Conversation) -> Conversation:
        if state["question"] == "slow" and arrived and go_on:
            arrived.set()
            await go_on.wait()
        return {"messages": [Message.assistant(state["question"].upper())]}

    return Graph().add_node("echo", echo).add_edge(START, "echo").add_edge("echo", END)


def echoing() -> Agent:
    return Agent(graph(), threads="memory")


async def heard(agent: Agent, thread_id: str) -> list[str]:
    return [message.text for message in await agent.messages(thread_id)]


async def test_a_turn_that_was_overtaken_is_refused() -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()
    built = graph(arrived, go_on)
    async with open_store("memory", "", *built.states) as saver:
        compiled = built.compile(saver)

        async def turn(question: str) -> None:
            await play(compiled, new_turn(question), run=Run(), thread_id="t")

        slow = asyncio.create_task(turn("slow"))
        await arrived.wait()
        await turn("quick")
        go_on.set()
        with pytest.raises(ThreadConflict, match="another turn took thread `t` further"):
            await slow
        said = [message.text for message in await thread_messages(compiled, "t")]
    assert said[-2:] == ["quick", "QUICK"]


async def test_agents_share_nothing_and_a_closed_one_has_forgotten() -> None:
    one, other = echoing(), echoing()
    await one.run("a", thread_id="t")
    assert await heard(one, "t") == ["a", "A"] and await heard(other, "t") == []
    await one.close()
    assert await heard(one, "t") == []
    await one.close()
    await other.close()


async def test_many_agents_take_no_file_and_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    monkeypatch.chdir(tmp_path)
    before = 0
    for number in range(30):
        agent = echoing()
        for turn in range(40):
            await agent.run("a", thread_id=str(turn % 3))
        saver: Any = (await agent._opened.kept()).compiled.checkpointer
        await saver.adelete_thread("0")
        assert await heard(agent, "0") == []
        await agent.close()
        gc.collect()
        held = (len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0) + threading.active_count()
        before = before or held
        assert held <= before, number
    assert not list(tmp_path.iterdir())
