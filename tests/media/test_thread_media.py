"""ThreadMedia: what a turn keeps is its thread's, and what it refers to has to be there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.media import makers

from stretto._internal.sqlite_file import SqliteFile
from stretto.errors import DamagedMedia, MediaError, MediaNotFound
from stretto.media.intake import take_in
from stretto.media.ready import ReadyPictures
from stretto.media.references import MediaReferences
from stretto.media.store import DirectoryStore
from stretto.media.thread_media import ThreadMedia
from stretto.messages import Image, Message
from stretto.threads.tables import prepare


@pytest.fixture
def references(tmp_path: Path) -> Iterator[MediaReferences]:
    file = SqliteFile(tmp_path / "threads.sqlite", prepare=prepare, refusal=MediaError)
    yield MediaReferences(file)
    file.close()


@pytest.fixture
def turn(store: DirectoryStore, references: MediaReferences) -> ThreadMedia:
    return ThreadMedia(lambda: store, ready=ReadyPictures(), references=references, thread_id="t")


async def test_what_is_taken_in_is_held_by_the_thread(turn: ThreadMedia, references: MediaReferences):
    data = makers.picture()
    message = await take_in(Message.user("see", Image.from_bytes(data, "image/png")), turn)
    (held,) = await references.held("t")
    assert (held.reference, held.bytes, held.kind) == (message.media[0].source, len(data), "image/png")
    assert await turn.read(held.reference) == data


async def test_a_reference_that_comes_in_is_held_too(
    turn: ThreadMedia, store: DirectoryStore, references: MediaReferences
):
    reference = await store.put(makers.picture(), "image/png")
    message = Message.user(Image(reference, "image/png"))
    assert await take_in(message, turn) == message
    assert [one.reference for one in await references.held("t")] == [reference]


async def test_a_reference_to_nothing_is_refused_at_the_door(turn: ThreadMedia, store: DirectoryStore):
    with pytest.raises(MediaNotFound):
        await take_in(Message.user(Image("media:" + "0" * 64)), turn)
    reference = await store.put(b"x", "")
    (file,) = [each for each in store.path.rglob("*") if each.is_file()]
    file.write_bytes(b"y")
    with pytest.raises(DamagedMedia):
        await take_in(Message.user(Image(reference)), turn)


async def test_without_a_database_nothing_is_counted(store: DirectoryStore):
    turn = ThreadMedia(lambda: store, ready=ReadyPictures())
    assert await turn.read(await turn.put(b"x", "")) == b"x"
    assert await turn.link(await turn.put(b"x", "")) is None


async def test_the_store_opens_with_the_first_use():
    def store() -> DirectoryStore:
        raise MediaError("opened")

    turn = ThreadMedia(store, ready=ReadyPictures())
    with pytest.raises(MediaError, match="opened"):
        await turn.put(b"x", "")
