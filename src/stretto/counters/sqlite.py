"""`SqliteCounters`: counters that all processes of a machine share, in one sqlite file.

A call is one short transaction on the event loop (10 to 50 us): handing it to a thread would cost more.
Another process's transaction is waited for asleep, never with the loop held. A killed process leaves
nothing half done.
"""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import Any

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
        self.path = Path(path)
        self._patience, self._clock = patience, clock
        self._lock = RLock()
        self._opened: tuple[int, sqlite3.Connection] | None = None
        self._parents: list[sqlite3.Connection] = []
        self._until_sweep = 0

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
        with self._lock:
            if self._opened is not None and self._opened[0] == os.getpid():
                self._opened[1].close()
                self._opened = None

    async def _transact(self, work: Callable[[sqlite3.Connection, float], float]) -> float:
        """`work` in a transaction of its own; while another process writes, the loop goes on."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return self._once(work)
            except sqlite3.Error as error:
                if not _busy(error):
                    raise self._unusable(error) from None
                if time.monotonic() >= deadline:
                    raise CounterError(
                        f"other processes hold `{self.path}` for longer than {self._patience:g} s; "
                        "end the one that hangs, or raise `patience`"
                    ) from None
            await asyncio.sleep(random.uniform(0.0002, 0.002))

    def _once(self, work: Callable[[sqlite3.Connection, float], float]) -> float:
        with self._lock:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                # read inside the transaction: its order is the order of the times
                result = work(connection, self._clock())
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

    def _connection(self) -> sqlite3.Connection:
        if self._opened is not None and self._opened[0] == os.getpid():
            return self._opened[1]
        if self._opened is not None:
            # a forked child must not use its parent's, nor forget it: that would close it
            self._parents.append(self._opened[1])
            self._opened = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from None
        connection = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", _TABLE):
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        self._opened = os.getpid(), connection
        return connection

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

    def _unusable(self, error: Any) -> CounterError:
        return CounterError(
            f"limits cannot be counted in `{self.path}`: {error}; give another path, or remove what is there"
        )


def _busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
