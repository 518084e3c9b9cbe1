"""What goes wrong around a turn: the clock jumps, media are missing, a class of the state has another name.

A full disk, a file that cannot be written or is locked, and damaged rows: `tests/threads/checkpoint`.
"""

import asyncio
import dataclasses
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from stretto import Agent, Image
from stretto.errors import StrettoError, ThreadBusy, ThreadConflict, ThreadError
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message
from stretto.models.protocol import Capabilities
from stretto.testing import ScriptedModel, assert_valid_history

HOUR = 3600.0


def waiting(inside: asyncio.Event, go_on: asyncio.Event) -> Graph:
    """Waits inside of the first turn."""

    async def ask(state: Conversation) -> Conversation:
        if not inside.is_set():
            inside.set()
            await go_on.wait()
        return {"messages": [Message.assistant(state["question"].upper())]}

    return Graph().add_node("ask", ask).add_edge(START, "ask").add_edge("ask", END)


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
@pytest.mark.parametrize("overtaken", [False, True])
async def test_a_clock_that_jumps_by_an_hour_in_a_turn_loses_nothing_that_was_told(
    jump: float, overtaken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on, offset = asyncio.Event(), asyncio.Event(), [0.0]
    now = time.time
    monkeypatch.setattr("stretto.threads.runs.time.time", lambda: now() + offset[0])
    agent = Agent(waiting(inside, go_on), threads=tmp_path / "t.sqlite")
    first = asyncio.create_task(agent.run("one", thread_id="t"))
    await inside.wait()
    offset[0] = jump
    told: list[str] = []
    if overtaken:
        with suppress(ThreadBusy):  # after an hour without a sign of life, the thread is taken over
            await agent.run("two", thread_id="t")
            told.append("two")
    offset[0] = 0.0 if jump > 0 else -jump
    go_on.set()
    with suppress(ThreadConflict):
        await first
        told.append("one")
    assert (await agent.run("three", thread_id="t")).status == "done"
    said = [message.text for message in await agent.messages("t")]
    assert told and all(said[said.index(each) + 1] == each.upper() for each in [*told, "three"])
    await agent.close()


async def test_a_thread_whose_media_are_missing_is_told_by_name_and_goes_on_once_they_are_back(
    tmp_path: Path,
) -> None:
    picture = tmp_path / "picture.png"
    Pillow.new("RGB", (64, 64), "red").save(picture)
    model = ScriptedModel(otherwise=lambda _: "Red.", capabilities=Capabilities(vision=True, context=128_000))
    question = Message.user("What is it?", Image.from_bytes(picture.read_bytes(), "image/png"))
    media = tmp_path / "media"
    async with Agent(model=model, threads=tmp_path / "t.sqlite", media=media) as agent:
        await agent.run(question, thread_id="t")
    kept = next(path for path in media.rglob("*") if path.is_file())
    content = kept.read_bytes()
    kept.unlink()
    async with Agent(model=model, threads=tmp_path / "t.sqlite", media=media) as agent:
        with pytest.raises(StrettoError, match=kept.name):
            await agent.run("And now?", thread_id="t")
    kept.write_bytes(content)
    async with Agent(model=model, threads=tmp_path / "t.sqlite", media=media) as agent:
        assert (await agent.run("And now?", thread_id="t")).output == "Red."
        assert_valid_history(model.requests[-1].messages)


def noting(name: str) -> Graph:
    """A graph whose state holds an object of a class of this name."""
    kind: Any = dataclasses.make_dataclass(name, [("text", str)])
    kind.__module__ = __name__
    globals()[name] = kind  # where it is looked for on the way back
    state: Any = type("Noted", (Conversation,), {"__annotations__": {"note": kind}, "__module__": __name__})

    async def note(state: Any) -> Any:
        return {"note": kind("kept"), "messages": [Message.assistant("Noted.")]}

    return Graph(state).add_node("note", note).add_edge(START, "note").add_edge("note", END)


async def test_a_state_class_that_was_renamed_is_an_error_that_names_it_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    async with Agent(noting("Note"), threads=tmp_path / "t.sqlite") as agent:
        await agent.run("one", thread_id="t")
    async with Agent(noting("Memo"), threads=tmp_path / "t.sqlite") as agent:
        with pytest.raises(ThreadError, match=r"`t`.*note"):
            await agent.run("two", thread_id="t")
    async with Agent(noting("Note"), threads=tmp_path / "t.sqlite") as agent:
        await agent.run("three", thread_id="t")
        assert [message.text for message in await agent.messages("t")] == ["one", "Noted.", "three", "Noted."]
