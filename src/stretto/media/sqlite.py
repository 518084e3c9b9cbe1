"""`SqliteStore`: media in one sqlite file, which many processes of a machine may share. Knows no picture.

Blobs are written and read in threads, which wait for each other: the event loop goes on.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from math import inf
from pathlib import Path
from typing import Any, TypeVar

from stretto._internal.faults import reach
from stretto._internal.sqlite_file import SqliteFile
from stretto.errors import MediaError, MediaNotFound
from stretto.media.store import Kept, checked, digest_of, is_reference, reference_of

T = TypeVar("T")

_TABLE = """CREATE TABLE IF NOT EXISTS media (
    sha256 TEXT NOT NULL PRIMARY KEY, at REAL NOT NULL, data BLOB NOT NULL)"""
_AGAIN = "UPDATE media SET at = ? WHERE sha256 = ? AND data = ?"
_PUT = """INSERT INTO media (sha256, at, data) VALUES (?, ?, ?)
    ON CONFLICT (sha256) DO UPDATE SET at = excluded.at, data = excluded.data"""
_READ = "SELECT data FROM media WHERE sha256 = ?"
_HAS = "SELECT 1 FROM media WHERE sha256 = ?"
_DELETE = "DELETE FROM media WHERE sha256 = ? AND at < ?"
_KEPT = "SELECT sha256, LENGTH(data), at FROM media WHERE sha256 > ? ORDER BY sha256 LIMIT 1000"


class SqliteStore:
    """A `MediaStore` in the file `path`, made where it is missing.

    What is deleted is overwritten, and the file gets smaller.

    Args:
        path: The file; not on a network share, and not the one of the threads.
        clock: The time of day in seconds, the same for all processes.
    """

    def __init__(self, path: str | Path, *, clock: Callable[[], float] = time.time) -> None:
        # FULL: a reference may be durable elsewhere before the next power cut, so the bytes have to be
        self._file = SqliteFile(path, prepare=_prepare, refusal=_refusal, durability="FULL")
        self._clock = clock

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    async def put(self, data: bytes, media_type: str) -> str:
        """Keeps `data`. The type travels in the message, not here.

        Raises:
            MediaError: The file cannot be written.
        """
        return await asyncio.to_thread(self._put, data)

    async def read(self, reference: str) -> bytes:
        """The bytes, checked against their hash.

        Raises:
            MediaNotFound: They are not here, or `reference` is none.
            DamagedMedia: They were changed.
            MediaError: The file cannot be read.
        """
        return await asyncio.to_thread(self._read, reference)

    async def has(self, reference: str) -> bool:
        """Whether the bytes are here."""
        if not is_reference(reference):
            return False
        return await asyncio.to_thread(self._ask, _HAS, digest_of(reference)) != []

    async def delete(self, reference: str, *, before: float = inf) -> bool:
        """Drops the bytes, if they were put last before this time; whether that was so.

        Raises:
            MediaError: The file cannot be written.
        """
        digest = digest_of(reference)

        def work(connection: sqlite3.Connection) -> bool:
            return connection.execute(_DELETE, (digest, before)).rowcount > 0

        return await asyncio.to_thread(self._change, "delete", work)

    async def kept(self) -> AsyncIterator[Kept]:
        """All that is here."""
        last = ""
        while rows := await asyncio.to_thread(self._ask, _KEPT, last):
            for digest, size, at in rows:
                yield Kept(f"media:{digest}", size, at)
            last = rows[-1][0]

    async def close(self) -> None:
        """Closes the file; the next call opens it again. May be called twice."""
        self._file.close()

    def _put(self, data: bytes) -> str:
        reference = reference_of(data)
        digest = digest_of(reference)

        def work(connection: sqlite3.Connection) -> str:
            now = self._clock()
            if not connection.execute(_AGAIN, (now, digest, data)).rowcount:
                connection.execute(_PUT, (digest, now, data))
            return reference

        return self._change("write", work)

    def _ask(self, statement: str, value: str) -> list[Any]:
        return self._file.transact_now(
            lambda connection: connection.execute(statement, (value,)).fetchall(), writes=False
        )

    def _change(self, name: str, work: Callable[[sqlite3.Connection], T]) -> T:
        reach(f"media.{name}.before")
        result = self._file.transact_now(work)
        reach(f"media.{name}.after")
        self._file.empty_log()
        return result

    def _read(self, reference: str) -> bytes:
        rows = self._ask(_READ, digest_of(reference))
        if not rows:
            raise MediaNotFound(f"`{reference}` is not in the media store `{self.path}`")
        return checked(bytes(rows[0][0]), reference, str(self.path))


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA secure_delete=ON")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        connection.execute("PRAGMA auto_vacuum=FULL")
        connection.execute("VACUUM")  # only now is it so: the file has its first page already
        connection.execute(_TABLE)
        connection.execute("PRAGMA user_version=1")


def _refusal(what: str) -> MediaError:
    return MediaError(f"media cannot be kept in {what}; give another path, or remove what is there")
