"""`SqliteCounters`: counters that all processes of a machine share, in one sqlite file.

A call is one short transaction of a `SqliteFile` (10 to 50 us).
"""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from stretto._internal.sqlite_file import SqliteFile
from stretto.counters.window import SLACK, check, fits, given_back, part_of, seconds_until
from stretto.errors import CounterError

_TABLE = """CREATE TABLE IF NOT EXISTS counts (
    key TEXT NOT NULL, window REAL NOT NULL, part INTEGER NOT NULL, at REAL NOT NULL, amount REAL NOT NULL,
    PRIMARY KEY (key, window, part)) WITHOUT ROWID"""
_READ = """SELECT TOTAL(amount) FILTER (WHERE at > ?3), COUNT(*) FILTER (WHERE at <= ?3), MAX(at)
    FROM counts WHERE key = ?1 AND window = ?2"""
_COUNT = """INSERT INTO counts VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET amount = amount + excluded.amount, at = MAX(at, excluded.at)"""
_LEFT = "DELETE FROM counts WHERE key = ? AND window = ? AND at <= ?"
_LEFT_ANYWHERE = "DELETE FROM counts WHERE at + window <= ?"
_AHEAD = "UPDATE counts SET at = ?3 WHERE key = ?1 AND window = ?2 AND at > ?3"
_OLDEST_FIRST = "SELECT at, amount FROM counts WHERE key = ? AND window = ? ORDER BY at, part"
_LATEST_FIRST = "SELECT part, amount FROM counts WHERE key = ? AND window = ? ORDER BY part DESC"
_DROP = "DELETE FROM counts WHERE key = ? AND window = ? AND part = ?"
_SET = "UPDATE counts SET amount = ? WHERE key = ? AND window = ? AND part = ?"
_SWEEP_EVERY = 4096


class SqliteCounters:
    """Sums by key and window in the file `path`, made where it is missing.

    Usable from every thread, event loop and process of a machine. Where the clock is set back, what was
    counted "later" counts as now: nothing is forgotten, and nothing stays longer than one window.

    Args:
        path: The file; not on a network share.
        patience: Seconds to wait for other processes before CounterError.
        clock: The time of day in seconds, the same for all processes.
    """

    def __init__(
        self, path: Path | str, *, patience: float = 5.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._file = SqliteFile(path, prepare=_prepare, refusal=_refusal, patience=patience)
        self._clock = clock
        self._until_sweep = 0

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    async def take(self, key: str, amount: float, *, limit: float, window: float) -> float:
        """Counts `amount` if the sum stays within `limit`, and returns 0; else the seconds until it would.

        Raises:
            CounterError: The file cannot be used, or others held it for longer than `patience`.
        """
        check(amount, window)

        def work(connection: sqlite3.Connection, now: float) -> float:
            total = self._current(connection, key, window, now)
            if fits(total, amount, limit):
                self._count(connection, key, window, amount, now)
                return 0.0
            entries = connection.execute(_OLDEST_FIRST, (key, window))
            return seconds_until(entries, total + amount - limit, now=now, window=window)

        return await self._transact(work)

    async def add(self, key: str, amount: float, *, window: float, ago: float = 0.0) -> float:
        """Counts `amount` in any case; a negative one gives back what was taken `ago` seconds before.

        Raises:
            CounterError: The file cannot be used, or others held it for longer than `patience`.
        """
        check(amount, window)

        def work(connection: sqlite3.Connection, now: float) -> float:
            total = self._current(connection, key, window, now)
            if amount < 0:
                return total - self._give_back(connection, key, window, -amount, part_of(now - ago, window))
            self._count(connection, key, window, amount, now)
            return total + amount

        return await self._transact(work)

    async def close(self) -> None:
        """Closes the file; the next call opens it again. May be called twice."""
        self._file.close()

    async def _transact(self, work: Callable[[sqlite3.Connection, float], float]) -> float:
        # the time is read inside the transaction: its order is the order of the times
        return await self._file.transact(lambda connection: work(connection, self._clock()))

    def _current(self, connection: sqlite3.Connection, key: str, window: float, now: float) -> float:
        """The sum, after what has left its window is dropped."""
        left = now - window + SLACK
        total, old, latest = connection.execute(_READ, (key, window, left)).fetchone()
        if old:
            connection.execute(_LEFT, (key, window, left))
        if latest is not None and latest > now:
            connection.execute(_AHEAD, (key, window, now))
        return total

    def _count(
        self, connection: sqlite3.Connection, key: str, window: float, amount: float, now: float
    ) -> None:
        if amount > 0:
            connection.execute(_COUNT, (key, window, part_of(now, window), now, amount))
        self._until_sweep -= 1
        if self._until_sweep < 0:
            connection.execute(_LEFT_ANYWHERE, (now,))
            self._until_sweep = _SWEEP_EVERY

    def _give_back(
        self, connection: sqlite3.Connection, key: str, window: float, amount: float, taken: int
    ) -> float:
        """Gives back up to `amount`; returns how much."""
        held: dict[int, float] = dict(connection.execute(_LATEST_FIRST, (key, window)).fetchall())
        given = 0.0
        for part, stays in given_back(held.items(), amount, taken):
            given += held[part] - stays
            if stays:
                connection.execute(_SET, (stays, key, window, part))
            else:
                connection.execute(_DROP, (key, window, part))
        return given


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute(_TABLE)


def _refusal(what: str) -> CounterError:
    return CounterError(f"limits cannot be counted in {what}; give another path, or remove what is there")
