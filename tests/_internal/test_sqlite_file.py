"""SqliteFile: other processes are waited for asleep, a fork opens the file anew, nothing stays open."""

import asyncio
import gc
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stretto._internal.sqlite_file import SqliteFile
from stretto.errors import ThreadError

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


def opened(path: Path, **options: Any) -> SqliteFile:
    def prepare(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE IF NOT EXISTS items (item)")

    return SqliteFile(path, prepare=prepare, refusal=ThreadError, **options)


def add(connection: sqlite3.Connection) -> int:
    connection.execute("INSERT INTO items VALUES (1)")
    return count(connection)


def count(connection: sqlite3.Connection) -> int:
    return connection.execute("SELECT COUNT(*) FROM items").fetchone()[0]


@contextmanager
def holding(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process in a transaction, until it gets a line."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout and child.stdout.readline() == "held\n"
        yield child


async def test_another_process_is_waited_for_with_the_loop_free(tmp_path: Path) -> None:
    file = opened(tmp_path / "deep" / "f.sqlite")
    assert await file.transact(add) == 1
    with holding(file.path) as child:
        waiting = asyncio.create_task(file.transact(add))
        for _ in range(50):  # the loop turns while it waits
            await asyncio.sleep(0)
        assert not waiting.done()
        reading = await file.transact(
            lambda c: c.execute("SELECT COUNT(*) FROM items").fetchone(), writes=False
        )
        assert reading == (1,)
        assert child.stdin
        child.stdin.write("\n")
        child.stdin.flush()
        assert await waiting == 2
    file.close()


async def test_who_holds_it_for_too_long_is_told_of_by_a_typed_error(tmp_path: Path) -> None:
    file = opened(tmp_path / "f.sqlite", patience=0.05)
    await file.transact(add)
    with holding(file.path) as child:
        for call in (lambda: file.transact(add), lambda: asyncio.to_thread(file.transact_now, add)):
            before = time.monotonic()
            with pytest.raises(ThreadError, match=r"f\.sqlite`: other processes.* longer than 0\.05 s"):
                await call()
            assert time.monotonic() - before >= 0.05
        child.communicate("\n")
    assert await file.transact(add) == 2
    file.close()


async def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    file = opened(tmp_path / "f.sqlite")

    def fail(connection: sqlite3.Connection) -> None:
        add(connection)
        raise KeyError("x")

    with pytest.raises(KeyError):
        await file.transact(fail)
    assert await file.transact(add) == 1
    with pytest.raises(ThreadError, match="no such table: things"):
        await file.transact(lambda connection: connection.execute("SELECT * FROM things"))
    file.close()


def test_a_forked_process_opens_the_file_anew(tmp_path: Path) -> None:
    file = opened(tmp_path / "f.sqlite")
    assert file.transact_now(add) == 1
    child = os.fork()
    if not child:
        counted = 0
        try:
            counted = file.transact_now(add)
        finally:
            os._exit(counted)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert file.transact_now(add) == 3
    file.close()
    file.close()


def test_a_file_that_is_forgotten_is_closed(tmp_path: Path) -> None:
    gc.collect()
    before = len(os.listdir("/dev/fd"))
    file = opened(tmp_path / "f.sqlite")
    file.transact_now(add)
    assert len(os.listdir("/dev/fd")) > before
    del file
    gc.collect()
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("path", ["a\0b", "file/inside"])
def test_a_path_that_cannot_be_is_a_typed_error(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ThreadError):
        opened(tmp_path / path).transact_now(add)


async def test_its_log_can_be_emptied_and_others_who_read_it_are_left_alone(tmp_path: Path) -> None:
    file = opened(tmp_path / "f.sqlite")
    await file.transact(add)
    log = tmp_path / "f.sqlite-wal"
    assert log.stat().st_size > 0
    reader = sqlite3.connect(file.path, isolation_level=None)
    reader.execute("BEGIN")
    assert count(reader) == 1
    await file.transact(add)
    file.empty_log()
    assert log.stat().st_size > 0
    reader.close()
    file.empty_log()
    assert log.stat().st_size == 0
    assert await file.transact(count, writes=False) == 2
    file.close()


def files_of(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in folder.iterdir()}


async def test_a_long_log_is_carried_over_by_a_thread_and_does_not_grow(tmp_path: Path) -> None:
    file = opened(tmp_path / "f")
    main, carriers, longest = threading.get_ident(), set[Any](), 0
    for number in range(64 * 30):
        await file.transact(
            lambda connection, number=number: (
                connection.execute(
                    "INSERT INTO items VALUES (zeroblob(20000))" if number % 2 else "DELETE FROM items"
                )
                and None
            )
        )
        if file._carrying is not None:
            carriers.add(file._carrying)
        longest = max(longest, files_of(tmp_path)["f-wal"])
    assert carriers and main not in {carrier.ident for carrier in carriers}
    assert longest < 24_000_000  # many times that was written
    assert file._connection().execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)
    file.close()
    assert not any(carrier.is_alive() for carrier in carriers) and set(files_of(tmp_path)) == {"f"}


async def test_erasing_leaves_no_byte_of_a_dropped_row_beside_readers_and_writers(tmp_path: Path) -> None:
    file, other = opened(tmp_path / "f"), opened(tmp_path / "f")
    for number in range(50):
        words = f"rosebud{number} " * 300
        await file.transact(
            lambda c, words=words: c.execute("INSERT INTO items VALUES (?)", (words,)) and None
        )
        await other.transact(count, writes=False)
    await file.transact(lambda connection: connection.execute("DELETE FROM items") and None)
    await asyncio.gather(file.erase(), other.erase(), *(other.transact(add) for _ in range(20)))
    assert not any(b"rosebud" in each.read_bytes() for each in tmp_path.iterdir())
    assert await other.transact(count, writes=False) == 20
    with holding(tmp_path / "f") as holder:
        file._patience = 0.01
        with pytest.raises(ThreadError, match="still holds what was dropped"):
            await file.erase()
        assert holder.stdin
        holder.stdin.write("\n")
        holder.stdin.flush()
        holder.wait()
    file.close()
    other.close()


async def test_one_in_memory_takes_no_files_and_is_gone_when_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    files = [opened(Path(":memory:")) for _ in range(50)]
    for file in files:
        assert await file.transact(add) == 1
        await file.erase()
        for _ in range(70):
            file.transact_now(add)
    assert await asyncio.to_thread(files[0].transact_now, count) == 71  # one for all threads of the process
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) <= before
    child = os.fork()
    if not child:
        os._exit(0 if files[0].transact_now(add) == 72 else 1)
    assert os.waitpid(child, 0)[1] == 0 and files[0].transact_now(count) == 71
    for file in files:
        file.close()
    assert files[0].transact_now(count) == 0 and not list(tmp_path.iterdir())
    files[0].close()
