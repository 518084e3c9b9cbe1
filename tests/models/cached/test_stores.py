"""Stores give back what was put, not for too long and not too much of it; a broken file is no failure."""

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from stretto.models.cached.stores import AnswerStore, MemoryStore, SqliteStore


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path: Path, clock: Clock):
    made: AnswerStore
    if request.param == "memory":
        made = MemoryStore(max_bytes=1_000_000, clock=clock)
    else:
        made = SqliteStore(tmp_path / "deep" / "answers.sqlite", max_bytes=1_000_000, clock=clock)
    yield made
    made.close()
    made.close()


def test_what_is_put_is_there_until_its_time_is_over(store: AnswerStore, clock: Clock) -> None:
    store.put("a", b"1", ttl=10)
    store.put("a", b"2", ttl=20)
    assert (store.get("a"), store.get("b")) == (b"2", None)
    clock.now += 19.9
    assert store.get("a") == b"2"
    clock.now += 0.1
    assert store.get("a") is None


def test_it_never_holds_more_than_its_bytes_and_keeps_the_latest(store: AnswerStore, clock: Clock) -> None:
    answer = b"x" * 10_000
    for number in range(400):
        clock.now += 0.001
        store.put(str(number), answer, ttl=60)
    there = [number for number in range(400) if store.get(str(number)) is not None]
    assert 50 <= len(there) <= 100
    assert there[-1] == 399
    assert there == list(range(there[0], 400))


def test_what_is_too_large_is_not_kept(store: AnswerStore) -> None:
    store.put("a", b"x" * 1_000_001, ttl=60)
    assert store.get("a") is None


def test_memory_drops_what_was_not_used_for_longest() -> None:
    store = MemoryStore(max_bytes=2)
    store.put("a", b"1", ttl=60)
    store.put("b", b"2", ttl=60)
    store.get("a")
    store.put("c", b"3", ttl=60)
    assert [store.get(key) for key in "abc"] == [b"1", None, b"3"]


def test_the_file_is_for_its_owner_only_and_for_all_its_processes(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    store = SqliteStore(path)
    store.put("a", b"1", ttl=60)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    code = (
        "import sys; from stretto.models.cached import SqliteStore; s = SqliteStore(sys.argv[1]); "
        "assert s.get('a') == b'1'; s.put('b', b'2', ttl=60); s.close()"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)
    assert store.get("b") == b"2"
    store.close()
    assert store.get("b") == b"2"  # opens again
    store.close()


def test_the_file_does_not_grow_over_its_size(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    store = SqliteStore(path, max_bytes=500_000)
    for number in range(300):
        store.put(str(number), b"x" * 20_000, ttl=60)
    store.close()
    assert path.stat().st_size < 1_000_000


def test_a_file_that_is_none_of_ours_is_told_once_and_fails_no_call(tmp_path: Path, caplog) -> None:
    path = tmp_path / "answers.sqlite"
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    store = SqliteStore(path)
    store.put("a", b"1", ttl=60)
    assert store.get("a") is None
    assert caplog.text.count("cannot be kept") == 1


def test_a_file_that_another_has_locked_is_passed_over_and_used_later(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    store = SqliteStore(path)
    store.put("a", b"1", ttl=60)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store.put("b", b"2", ttl=60)
    assert (store.get("a"), store.get("b")) == (b"1", None)
    other.execute("ROLLBACK")
    other.close()
    store.put("b", b"2", ttl=60)
    assert store.get("b") == b"2"
    store.close()
