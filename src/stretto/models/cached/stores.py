"""Where answers are kept: in memory, or in a sqlite file that the processes of a machine share.

A store knows keys and bytes, no models. It never fails a call: what it cannot read is not there.
"""

import logging
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

_log = logging.getLogger("stretto.models")

_TABLE = """CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, expires REAL NOT NULL, answer BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_expires ON answers (expires);"""


@runtime_checkable
class AnswerStore(Protocol):
    """Keeps bytes by key for a while."""

    def get(self, key: str) -> bytes | None:
        """What was put there, or None; never older than it may be."""
        ...

    def put(self, key: str, answer: bytes, *, ttl: float) -> None:
        """Keeps `answer` for `ttl` seconds, or less where space is short."""
        ...

    def close(self) -> None:
        """Frees what it holds. May be called twice; a later call opens it again."""
        ...


class MemoryStore:
    """In this process. The answer that was not used for longest makes place first.

    Args:
        max_bytes: Of the answers, all together.
        clock: Gives seconds.
    """

    def __init__(
        self, *, max_bytes: int = 64 * 1024 * 1024, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max, self._clock = max_bytes, clock
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """See `AnswerStore.get`."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            if found[0] <= self._clock():
                self._drop(key)
                return None
            self._kept.move_to_end(key)
            return found[1]

    def put(self, key: str, answer: bytes, *, ttl: float) -> None:
        """See `AnswerStore.put`. One that is larger than the whole store is not kept."""
        with self._lock:
            if key in self._kept:
                self._drop(key)
            if len(answer) > self._max:
                return
            self._kept[key] = self._clock() + ttl, answer
            self._bytes += len(answer)
            while self._bytes > self._max:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        self._bytes -= len(self._kept.pop(key)[1])

    def close(self) -> None:
        """Does nothing: what it holds goes with it."""


class SqliteStore:
    """In one file, which only its owner may read. What expires first makes place first.

    Statements run on the thread that calls: one takes some 20 microseconds. A file that cannot be used is
    told to the log once, and then nothing is kept.

    Args:
        path: The file; made where it is missing.
        max_bytes: Of the file's pages in use.
        clock: Gives seconds, the same to all processes.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        max_bytes: int = 256 * 1024 * 1024,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path, self._max, self._clock = Path(path), max_bytes, clock
        self._connection: sqlite3.Connection | None = None
        self._broken = False

    def get(self, key: str) -> bytes | None:
        """See `AnswerStore.get`."""
        try:
            row = (
                self._opened().execute("SELECT expires, answer FROM answers WHERE key = ?", (key,)).fetchone()
            )
        except (sqlite3.Error, OSError) as error:
            self._tell(error)
            return None
        return row[1] if row is not None and row[0] > self._clock() else None

    def put(self, key: str, answer: bytes, *, ttl: float) -> None:
        """See `AnswerStore.put`. One that is larger than an eighth of the store is not kept."""
        if len(answer) > self._max // 8:
            return
        try:
            opened = self._opened()
            self._make_place(opened, len(answer))
            opened.execute("REPLACE INTO answers VALUES (?, ?, ?)", (key, self._clock() + ttl, answer))
        except (sqlite3.Error, OSError) as error:
            self._tell(error)

    def _make_place(self, opened: sqlite3.Connection, needed: int) -> None:
        if self._used(opened) + needed <= self._max:
            return
        opened.execute("DELETE FROM answers WHERE expires <= ?", (self._clock(),))
        while self._used(opened) + needed > self._max:
            first = "SELECT key FROM answers ORDER BY expires LIMIT (SELECT 1 + count(*) / 8 FROM answers)"
            if not opened.execute(f"DELETE FROM answers WHERE key IN ({first})").rowcount:
                return

    @staticmethod
    def _used(opened: sqlite3.Connection) -> int:
        (pages,) = opened.execute("PRAGMA page_count").fetchone()
        (free,) = opened.execute("PRAGMA freelist_count").fetchone()
        (size,) = opened.execute("PRAGMA page_size").fetchone()
        return (pages - free) * size

    def _opened(self) -> sqlite3.Connection:
        if self._broken:
            raise sqlite3.OperationalError("it could not be used before")
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            opened = sqlite3.connect(self._path, isolation_level=None, timeout=0.05, check_same_thread=False)
            try:
                opened.execute("PRAGMA journal_mode=WAL")
                opened.execute("PRAGMA synchronous=NORMAL")
                opened.executescript(_TABLE)
            except sqlite3.Error:
                opened.close()
                raise
            self._connection = opened
        return self._connection

    def _tell(self, error: Exception) -> None:
        """A busy file is passed over; one that cannot be used is given up."""
        if self._broken or "locked" in str(error):
            return
        self._broken = True
        _log.warning("answers cannot be kept in %s: %s; remove it, or give another path", self._path, error)

    def close(self) -> None:
        """Closes the file."""
        opened, self._connection = self._connection, None
        if opened is not None:
            opened.close()
