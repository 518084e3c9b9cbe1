"""DirectoryStore: the contract, modes, a sweep that is killed or overtaken, and files left behind."""

import asyncio
import hashlib
import os
import stat
import sys
import time
from pathlib import Path

import pytest

from stretto._internal.faults import listen
from stretto.context import MediaReader
from stretto.errors import MediaError, MediaNotFound
from stretto.media.store import DirectoryStore, MediaStore, reference_of
from stretto.testing.media_contract import DAY, MediaStoreContract


def file_of(store: DirectoryStore, reference: str) -> Path:
    return store.path / reference[6:8] / reference[6:]


class TestDirectoryStore(MediaStoreContract):
    async def damage(self, store: DirectoryStore, reference: str) -> None:
        file_of(store, reference).write_bytes(b"wrong")


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
    files = [file for file in store.path.rglob("*") if file.is_file()]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


class Killed(BaseException):
    """As if the process had ended here: no `except Exception` sees it."""


async def sweep_killed_at(name: str, store: DirectoryStore, reference: str) -> None:
    def kill(at: str) -> None:
        if at == name:
            raise Killed

    listen(kill)
    try:
        await store.delete(reference, before=time.time() + DAY)
    except Killed:
        pass
    finally:
        listen(None)


async def test_a_put_that_overtakes_a_sweep_loses_nothing(store: DirectoryStore):
    reference = await store.put(b"wanted again", "")
    os.utime(file_of(store, reference), (0, 0))
    swept_before = time.time() - 60

    def put_meanwhile(at: str) -> None:
        if at == "media.delete.before":  # looked at, and not taken away yet
            listen(None)
            assert DirectoryStore(store.path)._put(b"wanted again") == reference

    listen(put_meanwhile)
    assert not await store.delete(reference, before=swept_before)
    assert await store.read(reference) == b"wanted again"


async def test_what_a_killed_sweep_took_aside_is_read_and_listed_like_before(store: DirectoryStore):
    reference = await store.put(b"half swept", "")
    file = file_of(store, reference)
    file.rename(file.with_name(f".old-{file.name}"))  # between the sweep's two steps
    assert await store.has(reference)
    assert await store.read(reference) == b"half swept"
    file.rename(file.with_name(f".old-{file.name}"))
    assert [each async for each in store.kept()] == []
    assert [each.reference async for each in store.kept()] == [reference]


@pytest.mark.parametrize("name", ["media.delete.before", "media.delete.after"])
async def test_a_sweep_that_is_killed_leaves_the_whole_file_or_none(store: DirectoryStore, name: str):
    reference = await store.put(b"swept", "")
    await sweep_killed_at(name, store, reference)
    assert await store.has(reference) == (name == "media.delete.before")
    assert await store.delete(reference) == (name == "media.delete.before")


async def test_files_that_killed_writers_left_are_dropped_after_an_hour(store: DirectoryStore):
    reference = await store.put(b"whole", "")
    folder = file_of(store, reference).parent
    old, young = folder / ".new-abc", folder / ".new-def"
    old.write_bytes(b"ha")
    young.write_bytes(b"ha")
    os.utime(old, (time.time() - 3700,) * 2)
    assert [each.reference async for each in store.kept()] == [reference]
    assert not old.exists()
    assert young.exists(), "its writer may be at work"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root reads everything")
async def test_a_file_that_may_not_be_read_is_not_called_missing(store: DirectoryStore):
    reference = await store.put(b"locked", "")
    file_of(store, reference).chmod(0)
    with pytest.raises(MediaError, match="cannot be read") as caught:
        await store.read(reference)
    assert not isinstance(caught.value, MediaNotFound)


def test_a_reference_is_the_hash_of_the_bytes():
    assert reference_of(b"") == f"media:{hashlib.sha256(b'').hexdigest()}"
