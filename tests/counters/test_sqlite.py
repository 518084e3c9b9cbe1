"""SqliteCounters: the contract, several processes, a kill in mid-write, a clock set back, a broken file."""

import asyncio
import gc
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import weakref
from collections.abc import AsyncIterator
from math import inf
from pathlib import Path
from threading import Thread

import pytest

from stretto.counters import SqliteCounters
from stretto.errors import CounterError
from stretto.testing.counters_contract import CountersContract, FakeClock

TAKER = """
import asyncio, sys, time
from stretto.counters import SqliteCounters
path, until = sys.argv[1], float(sys.argv[2])

async def main():
    counters = SqliteCounters(path)
    print("ready", flush=True)
    sys.stdin.readline()
    while time.time() < until:
        before = time.time()
        wait = await counters.take("endpoint", 1, limit=60, window=2)
        if wait == 0:
            print(before, time.time(), flush=True)
        else:
            await asyncio.sleep(min(wait, 0.005))

asyncio.run(main())
"""
HOLDER = """
import sys, time, sqlite3
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE counts SET amount = 1000")
print("held", flush=True)
sys.stdin.readline()
"""


class TestSqliteCounters(CountersContract):
    @pytest.fixture
    async def counters(self, clock: FakeClock, tmp_path: Path) -> AsyncIterator[SqliteCounters]:
        counters = SqliteCounters(tmp_path / "deep" / "counters.sqlite", clock=clock)
        yield counters
        await counters.close()


def child(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_four_processes_together_never_pass_the_limit(tmp_path: Path) -> None:
    until = time.time() + 60
    children = [child(TAKER, tmp_path / "counters.sqlite", time.time() + 9) for _ in range(4)]
    try:
        for process in children:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        outputs: list[str] = ["" for _ in children]

        def read(index: int) -> None:
            outputs[index] = children[index].communicate("go\n", timeout=until - time.time())[0]

        readers = [Thread(target=read, args=(index,)) for index in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert [process.returncode for process in children] == [0] * 4
    finally:
        for process in children:
            process.kill()
            process.wait()
    spans = sorted(tuple(map(float, line.split())) for text in outputs for line in text.splitlines())
    most = max(sum(start <= before and after <= start + 2 for before, after in spans) for start, _ in spans)
    assert most <= 60, f"{most} taken within 2 s"
    assert len(spans) > 60, "and the window lets the next ones in"


async def test_a_killed_process_leaves_nothing_half_done(tmp_path: Path) -> None:
    counters = SqliteCounters(tmp_path / "counters.sqlite")
    await counters.add("k", 2, window=inf)
    holder = child(HOLDER, counters.path)
    assert holder.stdout is not None and holder.stdin is not None
    try:
        assert holder.stdout.readline() == "held\n"
        waiting = asyncio.create_task(counters.add("k", 1, window=inf))
        await asyncio.sleep(0)
        assert not waiting.done(), "it waits, and the loop goes on"
        holder.send_signal(signal.SIGKILL)
        assert await waiting == 3
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
        holder.stdin.close()
    await counters.close()


async def test_a_process_that_hangs_is_not_waited_for_without_end(tmp_path: Path) -> None:
    counters = SqliteCounters(tmp_path / "counters.sqlite", patience=0.02)
    await counters.add("k", 2, window=inf)
    holder = sqlite3.connect(counters.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(CounterError, match=r"hold .* longer than 0\.02 s"):
        await counters.add("k", 1, window=inf)
    holder.close()
    assert await counters.add("k", 1, window=inf) == 3
    await counters.close()


async def test_a_clock_set_back_forgets_nothing_and_keeps_nothing_too_long(tmp_path: Path) -> None:
    clock = FakeClock()
    counters = SqliteCounters(tmp_path / "counters.sqlite", clock=clock)
    assert await counters.take("k", 10, limit=10, window=60) == 0
    await clock.advance(-86_400)
    assert 0 < await counters.take("k", 1, limit=10, window=60) <= 60.01
    await clock.advance(61)
    assert await counters.take("k", 10, limit=10, window=60) == 0
    await counters.close()


async def test_rows_that_are_over_go(tmp_path: Path) -> None:
    clock = FakeClock()
    counters = SqliteCounters(tmp_path / "counters.sqlite", clock=clock)
    await counters.add("thread", 1, window=inf)
    for number in range(9000):
        await clock.advance(1)
        await counters.take(f"tenant-{number % 6000}", 1, limit=10, window=60)
    await counters.close()
    with sqlite3.connect(counters.path) as connection:
        (rows,) = connection.execute("SELECT COUNT(*) FROM counts").fetchone()
        (kept,) = connection.execute("SELECT amount FROM counts WHERE key = 'thread'").fetchone()
    connection.close()
    assert rows < 5000
    assert kept == 1


async def test_a_busy_counter_has_a_bounded_number_of_rows(tmp_path: Path) -> None:
    clock = FakeClock()
    counters = SqliteCounters(tmp_path / "counters.sqlite", clock=clock)
    for _ in range(3000):
        await clock.advance(0.02)
        await counters.take("k", 1, limit=10_000, window=60)
    await counters.close()
    with sqlite3.connect(counters.path) as connection:
        (rows,) = connection.execute("SELECT COUNT(*) FROM counts").fetchone()
    connection.close()
    assert rows <= 257


async def test_another_opening_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    first = SqliteCounters(tmp_path / "counters.sqlite")
    await first.add("k", 4, window=86_400)
    await first.close()
    await first.close()
    second = SqliteCounters(tmp_path / "counters.sqlite")
    assert await second.add("k", 1, window=86_400) == 5
    await second.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
async def test_a_forked_child_opens_its_own(tmp_path: Path) -> None:
    counters = SqliteCounters(tmp_path / "counters.sqlite")
    await counters.add("k", 1, window=inf)
    opened = counters._file._opened
    assert opened is not None
    counters._file._opened = (opened[0] + 1, opened[1])  # what a child sees: made by another process
    assert await counters.add("k", 1, window=inf) == 2
    assert counters._file._opened is not None and counters._file._opened[1] is not opened[1]
    await counters.close()
    opened[1].close()


@pytest.mark.parametrize("make", ["text", "folder", "below a file"])
async def test_a_file_that_is_none_of_ours_is_told(tmp_path: Path, make: str) -> None:
    path = tmp_path / "counters.sqlite"
    if make == "text":
        path.write_text("this is no database, it is a letter " * 100)
    elif make == "folder":
        path.mkdir()
    else:
        path.write_text("x")
        path = path / "counters.sqlite"
    with pytest.raises(CounterError, match=r"cannot be counted in .*give another path"):
        await SqliteCounters(path).add("k", 1, window=60)


async def test_what_a_forked_child_has_of_its_parent_is_neither_used_nor_closed(tmp_path: Path) -> None:
    class Parents(sqlite3.Connection):
        pass

    theirs = sqlite3.connect(tmp_path / "counts.sqlite", factory=Parents)
    known = weakref.ref(theirs)
    counters = SqliteCounters(tmp_path / "counts.sqlite")
    counters._file._opened = os.getpid() + 1, theirs  # as a child finds it
    await counters.close()
    assert await counters.add("x", 1, window=1) == 1
    del theirs
    gc.collect()
    held = known()
    assert held is not None and held.execute("SELECT 1").fetchone() == (1,)
    held.close()
    await counters.close()


@pytest.mark.skipif(sys.platform == "win32", reason="a mode of POSIX")
async def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    counters = SqliteCounters(tmp_path / "kept" / "counters.sqlite")
    await counters.add("tenant", 1, window=60)
    assert stat.S_IMODE(counters.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(counters.path.parent.stat().st_mode) == 0o700
    await counters.close()
