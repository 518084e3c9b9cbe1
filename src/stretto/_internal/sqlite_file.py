"""`SqliteFile`: one sqlite file that the processes of a machine share, used on the event loop itself.

A statement takes microseconds: handing it to a thread would cost more. Another process's transaction is
waited for asleep, never with the loop held. A killed process leaves nothing half done. Knows no table.

What is written goes into a log beside the file (WAL); a thread carries it over now and then, since that waits
for the disk.

The path `:memory:` is one in memory, empty when opened, that is gone when it is closed.
"""

import asyncio
import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from stretto._internal.in_thread import in_thread
from stretto._internal.private import private_file
from stretto.errors import StrettoError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Durability = Literal["NORMAL", "FULL"]
"""NORMAL: a killed process loses nothing, a power cut may lose the last transactions. FULL: neither does."""

_LONG, _OFTEN = 4_000_000, 64
"""Bytes of a log that is carried over, and transactions after which it is looked at."""
_PARENTS: list[sqlite3.Connection] = []
"""Of a forked process: it must not use its parent's connections, nor forget them, which would close them."""


class SqliteFile:
    """The file `path`, made for its owner only where it is missing.

    Usable from every thread, event loop and forked process.

    Args:
        path: The file; not on a network share.
        prepare: Makes or checks the tables; called once a connection, outside a transaction.
        refusal: The error to raise for what sqlite says; it names the file.
        patience: Seconds to wait for other processes.
        durability: sqlite's `synchronous`.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        prepare: Callable[[sqlite3.Connection], None],
        refusal: Callable[[str], StrettoError],
        patience: float = 5.0,
        durability: Durability = "NORMAL",
    ) -> None:
        self.path = Path(path)
        self.seal: Any = None
        """For those who keep rows in it, what stands around their values; not looked at here."""
        self._prepare, self._refusal, self._patience = prepare, refusal, patience
        self._durability: Durability = durability
        self._lock = threading.RLock()
        self._opened: tuple[int, sqlite3.Connection] | None = None
        self._closing: Callable[[], object] = _nothing
        self._memory = str(path) == ":memory:"
        self._written = 0
        self._carrying: threading.Thread | None = None
        self._erasing = threading.Lock()
        self._asked = self._erased = 0

    async def transact(self, work: Work[T], *, writes: bool = True, key: str = "") -> T:
        """`work` in a transaction of its own; while another process writes, the loop goes on.

        There is one writer at a time in a file, whatever the `key`.

        Raises:
            StrettoError: By `refusal`: the file cannot be used, or others held it for longer than `patience`.
        """
        deadline = 0.0
        while True:
            try:
                return self._once(work, writes)
            except sqlite3.Error as error:
                deadline = self._until(error, deadline)
            await asyncio.sleep(random.uniform(0.0002, 0.002))

    def transact_now(self, work: Work[T], *, writes: bool = True, key: str = "") -> T:
        """As `transact`, for callers without an event loop: waits with the thread held."""
        deadline = 0.0
        while True:
            try:
                return self._once(work, writes)
            except sqlite3.Error as error:
                deadline = self._until(error, deadline)
            time.sleep(random.uniform(0.0002, 0.002))

    def empty_log(self) -> None:
        """Moves what the write-ahead log holds into the file and empties it, unless others read it now."""
        with self._lock, suppress(sqlite3.Error):
            self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    async def erase(self) -> None:
        """As `erase_now`, in a thread; what is asked for meanwhile is done once."""
        await in_thread(self.erase_now, name="stretto-sqlite-erase")

    def erase_now(self) -> None:
        """Writes the file anew and empties its log, so that no byte of a dropped row is left in them.

        sqlite zeroes a dropped row, but not the copies of it that a page keeps where it was moved from.
        Others wait while the file is written: about 20 ms a megabyte.

        Raises:
            StrettoError: By `refusal`: the disk is full, or others held the file for longer than `patience`.
        """
        if self._memory:
            return
        self._asked = asked = self._asked + 1
        with self._erasing:
            if self._erased >= asked:
                return
            asked = self._asked
            try:
                with closing(self._own(timeout=self._patience)) as connection:
                    connection.execute("VACUUM")
                    held = self._still_held(connection)
            except sqlite3.Error as error:
                raise self._refusal(f"`{self.path}`, which still holds what was dropped: {error}") from None
            if held:
                raise self._refusal(f"`{self.path}`, whose log still holds what was dropped: others read it")
            self._erased = asked

    def _still_held(self, connection: sqlite3.Connection) -> bool:
        """Empties the log; whether others still held it at the end of our patience."""
        until = time.monotonic() + self._patience
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() >= until:  # sqlite itself does not wait for another one who empties it
                return True
            time.sleep(0.01)
        return False

    def close(self) -> None:
        """Closes the file; the next call opens it again. May be called twice."""
        if self._carrying is not None:
            self._carrying.join(self._patience)
        with self._lock:
            self._closing()
            self._closing = _nothing
            self._forget()

    def _once(self, work: Work[T], writes: bool) -> T:
        with self._lock:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            if writes:
                self._carry_over()
            return result

    def _connection(self) -> sqlite3.Connection:
        if self._opened is not None and (self._memory or self._opened[0] == os.getpid()):
            return self._opened[1]
        self._forget()
        try:
            if not self._memory:
                private_file(self.path)
            connection = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        except (OSError, ValueError) as error:
            raise self._refusal(f"`{self.path}`: {error}") from None
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self._durability}")
            connection.execute("PRAGMA wal_autocheckpoint=0")
            connection.execute("PRAGMA secure_delete=ON")
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._opened = os.getpid(), connection
        self._closing = weakref.finalize(self, _close, os.getpid(), connection)
        return connection

    def _carry_over(self) -> None:
        """Looks at the log now and then, and has a thread carry a long one over."""
        self._written += 1
        if self._written % _OFTEN or self._memory:
            return
        with suppress(OSError, sqlite3.Error):
            length = os.stat(f"{self.path}-wal").st_size
            if length > 4 * _LONG:  # the thread never comes in between: it has the file for itself now
                if self._carrying is not None:
                    self._carrying.join(1.0)
                self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            elif length > _LONG and not (self._carrying and self._carrying.is_alive()):
                self._carrying = threading.Thread(
                    target=_carry, args=(self._own,), name="stretto-sqlite-log", daemon=True
                )
                self._carrying.start()

    def _own(self, *, timeout: float = 0) -> sqlite3.Connection:
        """A connection for one thread, to the file that is there."""
        where = f"{self.path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(where, uri=True, timeout=timeout, isolation_level=None)
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def _forget(self) -> None:
        if self._opened is not None and self._opened[0] != os.getpid():
            _PARENTS.append(self._opened[1])
        self._opened = None

    def _until(self, error: sqlite3.Error, deadline: float) -> float:
        """The time at which to give up."""
        if not _busy(error):
            raise self._refusal(f"`{self.path}`: {error}") from None
        now = time.monotonic()
        if deadline and now >= deadline:
            raise self._refusal(
                f"`{self.path}`: other processes hold it for longer than {self._patience:g} s"
            ) from None
        return deadline or now + self._patience


def _carry(own: Callable[..., sqlite3.Connection]) -> None:
    with suppress(sqlite3.Error), closing(own(timeout=0.05)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()  # most of it, beside writers
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # the rest, before the next one


def _nothing() -> None:
    """Nothing is open."""


def _close(owner: int, connection: sqlite3.Connection) -> None:
    if owner == os.getpid():
        connection.close()


def _busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
