"""One owner process for a folder: an operating-system lock that a crash lets go of. Knows no store."""

import os
import sys
from pathlib import Path
from typing import IO

from stretto.errors import StoreBusy

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class OwnerLock:
    """Held from `take` to `release`; its file names the owner's process id."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def take(self) -> None:
        """Takes the lock at once; raises StoreBusy, naming the owner, when another process holds it."""
        file = open(self._path, "a+b")  # noqa: SIM115 (held until release)
        try:
            _lock(file)
        except OSError:
            file.seek(0)
            owner = file.read(20).decode("ascii", "replace").strip() or "unknown"
            file.close()
            raise StoreBusy(
                f"the knowledge base in `{self._path.parent}` is in use by process {owner}; close it there, "
                f"end that process, or give this one a knowledge base of its own"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()).encode("ascii"))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Lets go. May be called twice."""
        file, self._file = self._file, None
        if file is not None:
            file.truncate(0)
            file.close()


if sys.platform == "win32":

    def _lock(file: IO[bytes]) -> None:
        file.seek(1 << 20)  # beyond the text, so that others can read who owns it
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

else:

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
