"""Locks of the operating system that a crash lets go of: for who owns a folder, and for who writes to it.

Knows no store.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from stretto._internal.private import private_file

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_NOTE = 4096


class FileLock:
    """Held from a `take` that said True to `release`; while it is held its file can carry a note."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def take(self) -> bool:
        """Takes the lock, if nobody holds it; says at once whether it did."""
        private_file(self._path)
        file = open(self._path, "a+b", buffering=0)  # noqa: SIM115 (held until release)
        try:
            _lock(file)
        except OSError:
            file.close()
            return False
        file.truncate(0)
        self._file = file
        return True

    def write(self, note: bytes) -> None:
        """Tells others who holds it; only while it is held."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.write(note)

    def note(self) -> bytes:
        """What the one who holds it wrote; empty while there is nothing."""
        with suppress(OSError), open(self._path, "rb") as file:
            return file.read(_NOTE)
        return b""

    def release(self) -> None:
        """Lets go. May be called twice."""
        file, self._file = self._file, None
        if file is not None:
            file.truncate(0)
            file.close()

    def forget(self) -> None:
        """In a forked process: leaves the lock to the parent alone."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


if sys.platform == "win32":

    def _lock(file: IO[bytes]) -> None:
        file.seek(1 << 20)  # beyond the note, so that others can read it
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

else:

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
