"""An agent whose threads are encrypted: no file holds what was said, and all goes on as without a key."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent, RunContext, tool
from stretto.agent import threads_of
from stretto.errors import ConfigError, ThreadError, ThreadKeyRefused
from stretto.events import RunFinished
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message, ToolCall
from stretto.testing import ScriptedModel
from stretto.threads import Retention

KEY, OTHER = "5a" * 32, "5b" * 32
SAID = ("zebraquestion", "zebraargument", "zebraresult", "zebraanswer", "zebraapproval", "zebrareply")
STORES = pytest.mark.parametrize(
    "kind", ["sqlite", "memory", pytest.param("postgres", marks=pytest.mark.slow)]
)


@tool(effect="once")
async def order(item: str, ctx: RunContext) -> str:
    """Orders an item."""
    ctx.interrupt("zebraapproval?")
    return "zebraresult"


def ordering(threads: Any, key: str | None = KEY) -> Agent:
    model = ScriptedModel(
        ToolCall("c1", "order", '{"item": "zebraargument"}'), otherwise=lambda request: "zebraanswer"
    )
    keep = Retention(checkpoints=None)
    return Agent(model=model, tools=[order], threads=threads, threads_key=key, retention=keep)


def found_in(folder: Path) -> list[str]:
    """What was said that some file of the folder holds."""
    whole = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file()).lower()
    return [word for word in SAID if word.encode() in whole]


async def paused(agent: Agent) -> str:
    """Starts a run that asks a person; returns its id."""
    started = await agent.start("zebraquestion", thread_id="t")
    assert [event async for event in agent.follow(started.run_id)][-1].number
    return started.run_id


async def test_no_file_holds_what_was_said_and_the_same_without_a_key_does(tmp_path: Path) -> None:
    for name, key in (("plain", None), ("secret", KEY)):
        (tmp_path / name).mkdir()
        agent = ordering(tmp_path / name / "t.sqlite", key)
        await paused(agent)
        while_paused = found_in(tmp_path / name)
        result = await agent.run(thread_id="t", answers={"c1": "zebrareply"})
        assert result.output == "zebraanswer"
        after = {*while_paused, *found_in(tmp_path / name)}
        await agent.close()
        assert {*after, *found_in(tmp_path / name)} == (set() if key else set(SAID))


@STORES
async def test_all_that_is_done_with_threads_works_on_encrypted_ones(
    kind: str, tmp_path: Path, request: Any
) -> None:
    place = {"sqlite": tmp_path / "t.sqlite", "memory": "memory"}.get(kind)
    agent = ordering(place or request.getfixturevalue("postgres"))
    run_id = await paused(agent)
    async with threads_of(agent) as threads:
        assert (await threads.fork("t", to="fork")).thread_id == "fork"
        for name in ("t", "fork"):
            assert (await agent.run(thread_id=name, answers={"c1": "yes"})).output == "zebraanswer"
        events = [event async for event in agent.follow(run_id)]
        assert isinstance(events[-1], RunFinished) and (await agent.result(run_id)).status == "interrupted"
        assert [message.text for message in await threads.export("t")][-1] == "zebraanswer"
        assert (await threads.check()).passed
        assert not (await threads.diff("t", "t")).added
        assert await threads.prune(Retention(threads=1)) == ["t"]
        assert await threads.delete(["fork"]) == ["fork"]
        assert await threads.list() == []
    await agent.close()


@pytest.mark.parametrize(
    ("written", "read", "told"),
    [
        (KEY, "", r"are encrypted: give Agent\(threads_key"),
        (KEY, OTHER, "with another key"),
        ("", KEY, "type `unset STRETTO_THREADS_KEY`"),
    ],
)
async def test_another_key_is_refused_before_anything_is_written(
    written: str, read: str, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.sqlite"
    for key, question in ((written, True), (read, False)):
        agent = Agent(model=ScriptedModel("hello"), threads=path, threads_key=key)
        if question:
            await agent.run("hi", thread_id="t")
            await agent.close()
            before = path.read_bytes()
            continue
        with pytest.raises(ThreadKeyRefused, match=told):
            await agent.run("again", thread_id="t")
        await agent.close()
        assert path.read_bytes() == before


async def test_the_environment_gives_the_key_where_the_call_gives_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.sqlite"
    monkeypatch.setenv("STRETTO_THREADS_KEY", KEY)
    async with Agent(model=ScriptedModel("zebraanswer"), threads=path) as agent:
        await agent.run("zebraquestion", thread_id="t")
    assert found_in(tmp_path) == []
    async with threads_of(path) as threads:
        assert [row.thread_id for row in await threads.list()] == ["t"]
    monkeypatch.setenv("STRETTO_THREADS_KEY", "short")
    with pytest.raises(ConfigError, match=r"give 64 hexadecimal digits.*token_hex\(32\)"):
        async with threads_of(path):
            pass
    monkeypatch.delenv("STRETTO_THREADS_KEY")
    with pytest.raises(ThreadError, match="are encrypted"):
        async with threads_of(path):
            pass
    async with threads_of(path, key=KEY) as threads:
        assert await threads.count() == 1


async def test_an_encrypted_run_that_was_left_is_taken_up_and_followed(tmp_path: Path) -> None:
    path, waiting = tmp_path / "t.sqlite", asyncio.Event()

    async def speak(state: Conversation) -> Conversation:
        waiting.set()
        if not go_on:
            await asyncio.Event().wait()
        return {"messages": [Message.assistant(state["question"].upper())], "output": "zebraanswer"}

    graph, go_on = Graph().add_node("speak", speak).add_edge(START, "speak").add_edge("speak", END), False
    async with Agent(graph, threads=path, threads_key=KEY) as agent:
        started = await agent.start("zebraquestion", thread_id="t")
        await waiting.wait()
    go_on = True
    async with Agent(graph, threads=path, threads_key=KEY) as agent:
        assert await agent.recover() == [started.run_id]
        assert (await agent.result(started.run_id)).output == "zebraanswer"
        assert [message.text for message in await agent.messages("t")] == ["zebraquestion", "ZEBRAQUESTION"]
    assert found_in(tmp_path) == []
