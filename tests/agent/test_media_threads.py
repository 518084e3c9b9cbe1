"""An agent's media: kept once for all turns of a thread, held by it, and never as base64 in what is kept."""

import asyncio
import base64
import io
import logging
import random
from pathlib import Path

import pytest
from PIL import Image as Pillow

from stretto import Agent, Image, Message
from stretto.errors import MediaQuotaExceeded, ThreadError
from stretto.media.references import MediaReferences
from stretto.media.sqlite import SqliteStore
from stretto.media.store import DirectoryStore, reference_of
from stretto.models.protocol import Capabilities
from stretto.testing import ScriptedModel
from stretto.threads.stores import open_store

TURNS = 50


def noise(side: int = 576) -> bytes:
    """A picture that cannot be packed: about a megabyte."""
    pixels = random.Random(4).randbytes(side * side * 3)
    out = io.BytesIO()
    Pillow.frombytes("RGB", (side, side), pixels).save(out, "PNG")
    return out.getvalue()


def seeing(*script: str) -> ScriptedModel:
    capabilities = Capabilities(vision=True, context=128_000)
    return ScriptedModel(*script, otherwise=lambda _: "It is noise.", capabilities=capabilities)


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("place", ["media", "media.sqlite"])
async def test_one_picture_in_fifty_questions_is_kept_once(
    place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = noise()
    assert 950_000 < len(data) < 1_010_000
    said: list[str] = []
    model = seeing()
    kept = tmp_path / "kept"
    with caplog.at_level(logging.DEBUG):
        async with Agent(model=model, media=kept / place, threads=tmp_path / "t.sqlite") as agent:
            for number in range(TURNS):
                question = [f"What is at {number}?", Image.from_bytes(data, "image/png", name="noise.png")]
                async for event in agent.stream(question, thread_id="t"):
                    said.append(repr(event))
            messages = await agent.messages("t")

    assert size_of(kept) <= 1_200_000
    pictures = [part for message in messages for part in message.media]
    assert {part.source for part in pictures} == {reference_of(data)}
    encoded = base64.b64encode(data)[1000:1060]
    database = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert reference_of(data).encode() in database
    for where in (database, "".join(said).encode(), caplog.text.encode()):
        assert encoded not in where
        assert b"base64" not in where
    shown = [part.source for message in model.requests[-1].messages for part in message.media]
    assert len(shown) <= 2, "not once a question"
    assert len(set(shown)) == 1
    assert shown[0].startswith("data:image/png;base64,")


async def test_a_thread_holds_what_its_turns_keep_and_a_sweep_leaves_it(tmp_path: Path) -> None:
    data = noise(20)
    async with Agent(model=seeing(), media=tmp_path / "media", threads=tmp_path / "t.sqlite") as agent:
        await agent.run(["What is it?", Image.from_bytes(data, "image/png")], thread_id="t")
    store = DirectoryStore(tmp_path / "media")
    stray = await store.put(b"nobody's", "text/plain")
    async with open_store("sqlite", tmp_path / "t.sqlite") as saver:
        references = MediaReferences(saver.file)
        assert [(one.reference, one.bytes) for one in await references.held("t")] == [
            (reference_of(data), len(data))
        ]
        assert (await references.sweep(store, older_than=-60)).count == 1
        assert not await store.has(stray)
        assert await references.release("t")
        assert (await references.sweep(store, older_than=-60)).bytes == len(data)
    assert [each async for each in store.kept()] == []


async def test_a_tenant_over_its_quota_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    data = noise(40)
    store = SqliteStore(tmp_path / "media.sqlite")
    agent = Agent(
        model=seeing(), media=store, media_quota={"ann": len(data) + 10}, threads=tmp_path / "t.sqlite"
    )
    async with agent:
        await agent.run([Image.from_bytes(data, "image/png")], thread_id="a", tenant="ann")
        await agent.run([Image.from_bytes(data, "image/png")], thread_id="b", tenant="ann")
        with pytest.raises(MediaQuotaExceeded, match="tenant `ann` keeps"):
            await agent.run([Image.from_bytes(noise(41), "image/png")], thread_id="a", tenant="ann")
        await agent.run([Image.from_bytes(noise(41), "image/png")], thread_id="c", tenant="bob")
    assert len([each async for each in store.kept()]) == 2
    await store.close()


async def test_turns_at_once_with_one_picture_keep_it_once(tmp_path: Path) -> None:
    data = noise(30)
    question = Message.user("What is it?", Image.from_bytes(data, "image/png"))
    async with Agent(model=seeing(), media=tmp_path / "media", threads=tmp_path / "t.sqlite") as agent:
        await asyncio.gather(*(agent.run(question, thread_id=str(number)) for number in range(10)))
    assert size_of(tmp_path / "media") == len(data)


async def test_media_of_deleted_threads_are_swept(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    async with Agent(model=seeing(), media=tmp_path / "media", threads=path) as agent:
        await agent.run(["What is it?", Image.from_bytes(noise(20), "image/png")], thread_id="gone")
        await agent.run(["What is it?", Image.from_bytes(noise(21), "image/png")], thread_id="stays")
        async with open_store("sqlite", path) as saver:
            await MediaReferences(saver.file).release("gone")
        assert (await agent.sweep_media()).count == 0, "within a day nothing goes"
        assert (await agent.sweep_media(older_than=-60)).count == 1
        assert await agent.run("And now?", thread_id="stays")


@pytest.mark.parametrize("threads", [None, "memory"])
async def test_without_a_database_of_threads_nothing_is_swept(threads: str | None, tmp_path: Path) -> None:
    async with Agent(model=seeing(), media=tmp_path / "media", threads=threads) as agent:
        with pytest.raises(ThreadError, match="make it with `threads=` a path"):
            await agent.sweep_media()
