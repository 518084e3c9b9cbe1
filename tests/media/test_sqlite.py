"""SqliteStore: the contract, what stays on the disk, its mode, two processes, and a file that is none."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stretto.errors import MediaError
from stretto.media.sqlite import SqliteStore
from stretto.testing.media_contract import MediaStoreContract

PUTTER = """
import asyncio, sys
from stretto.media.sqlite import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1])
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        await store.put(b"%d" % number, "")

asyncio.run(main())
"""


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "deep" / "media.sqlite")


def files(store: SqliteStore) -> list[Path]:
    return [each for each in store.path.parent.iterdir() if each.is_file()]


class TestSqliteStore(MediaStoreContract):
    async def damage(self, store: SqliteStore, reference: str) -> None:
        connection = sqlite3.connect(store.path)
        with connection:
            connection.execute("UPDATE media SET data = ? WHERE sha256 = ?", (b"wrong", reference[6:]))
        connection.close()


async def test_a_megabyte_takes_a_megabyte_while_the_file_is_open(store: SqliteStore):
    await store.put(bytes(1_000_000), "image/png")
    assert sum(file.stat().st_size for file in files(store)) <= 1_100_000


async def test_no_byte_of_what_was_deleted_is_left_and_the_file_gets_smaller(store: SqliteStore):
    secret = b"the receipt of Ann " * 20_000
    other = await store.put(b"stays", "")
    await store.delete(await store.put(secret, ""))
    left = b"".join(file.read_bytes() for file in files(store))
    assert b"receipt of Ann" not in left
    assert len(left) < 50_000
    assert await store.read(other) == b"stays"


@pytest.mark.skipif(sys.platform == "win32", reason="a mode of POSIX")
async def test_the_file_is_its_owners_only(store: SqliteStore):
    await store.put(b"a receipt", "")
    assert {stat.S_IMODE(file.stat().st_mode) for file in files(store)} == {0o600}
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


@pytest.mark.slow
async def test_two_processes_share_it(store: SqliteStore):
    ranges = [("0", "60"), ("40", "100")]
    children = [subprocess.Popen([sys.executable, "-c", PUTTER, str(store.path), *span]) for span in ranges]
    assert [child.wait(60) for child in children] == [0, 0]
    assert len([each async for each in store.kept()]) == 100


async def test_the_event_loop_goes_on_while_a_large_content_is_written(store: SqliteStore):
    await store.put(b"", "")
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await store.put(bytes(20_000_000), "")
    ticking.cancel()
    assert turns > 20


async def test_a_file_that_is_no_store_is_told(tmp_path: Path):
    (tmp_path / "notes.sqlite").write_bytes(b"Dear diary" * 1000)
    with pytest.raises(MediaError, match=r"notes\.sqlite.*give another path"):
        await SqliteStore(tmp_path / "notes.sqlite").put(b"x", "")


async def test_it_can_be_closed_twice_and_used_again(store: SqliteStore):
    reference = await store.put(b"x", "")
    await store.close()
    await store.close()
    assert await store.read(reference) == b"x"


async def test_a_clock_may_be_given(tmp_path: Path):
    store = SqliteStore(tmp_path / "m.sqlite", clock=lambda: 1000.0)
    await store.put(b"x", "")
    assert [each.at async for each in store.kept()] == [1000.0]
    assert time.time() > 1000
