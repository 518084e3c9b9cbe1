import asyncio
import hashlib
import stat
import sys
from pathlib import Path

import pytest

from stretto.context import MediaReader
from stretto.errors import DamagedMedia, MediaError, MediaNotFound
from stretto.media.store import DirectoryStore, MediaStore


async def test_what_is_put_is_read_by_its_hash(store: DirectoryStore):
    reference = await store.put(b"hello", "text/plain")
    digest = hashlib.sha256(b"hello").hexdigest()
    assert reference == f"media:{digest}"
    assert await store.read(reference) == b"hello"
    assert await store.has(reference)
    assert (store.path / digest[:2] / digest).is_file()


async def test_many_writers_of_one_content_leave_one_file(store: DirectoryStore):
    data = b"x" * 100_000
    references = await asyncio.gather(*(DirectoryStore(store.path).put(data, "") for _ in range(8)))
    assert len(set(references)) == 1
    assert [file.stat().st_size for file in store.path.rglob("*") if file.is_file()] == [100_000]


async def test_a_changed_file_is_told_and_healed_by_putting_it_again(store: DirectoryStore):
    reference = await store.put(b"hello", "")
    file = store.path / reference[6:8] / reference[6:]
    file.write_bytes(b"jello")
    with pytest.raises(DamagedMedia, match="was changed"):
        await store.read(reference)
    await store.put(b"hello", "")
    assert await store.read(reference) == b"hello"


@pytest.mark.parametrize(
    "reference", ["media:" + "0" * 64, "media:../../etc/passwd", "media:" + "A" * 64, "", "x"]
)
async def test_a_reference_to_nothing_is_told(store: DirectoryStore, reference: str):
    assert not await store.has(reference)
    with pytest.raises(MediaNotFound):
        await store.read(reference)


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MediaError, match="cannot be written"):
        await DirectoryStore(tmp_path / "file").put(b"hello", "")


def test_a_store_is_what_a_run_reads_from(store: DirectoryStore):
    reader: MediaReader = store
    writer: MediaStore = store
    assert reader is writer


@pytest.mark.skipif(sys.platform == "win32", reason="a mode of POSIX")
async def test_what_people_attach_is_for_the_owner_of_the_folder_only(tmp_path: Path):
    store = DirectoryStore(tmp_path / "media")
    await store.put(b"a receipt", media_type="text/plain")
    modes = {stat.S_IMODE(each.stat().st_mode) for each in store.path.rglob("*") if each.is_dir()}
    assert modes | {stat.S_IMODE(store.path.stat().st_mode)} == {0o700}
