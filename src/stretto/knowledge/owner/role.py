"""Whether this process owns a folder's indexes or asks their owner; decided anew when the owner has ended."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from stretto.errors import StoreBusy
from stretto.knowledge.lock import FileLock
from stretto.knowledge.owner.address import Address, listen
from stretto.knowledge.owner.client import QUIET, RemoteIndexes
from stretto.knowledge.owner.indexes import Indexes, OwnedIndexes, OwnerGone

T = TypeVar("T")
_forked_from_owner = False
"""Chroma's threads do not live on in a forked child: it can ask an owner, and never be one."""
_PAUSE = 0.01
_TRIES = 20
"""How many owners may end under one call."""


class _Owner:
    """This process owns them, and serves them."""

    def __init__(self, folder: Path, lock: FileLock) -> None:
        from stretto.knowledge.owner.server import OwnerServer  # noqa: PLC0415 (loads asyncio and numpy)

        self._lock = lock
        self.indexes = OwnedIndexes(folder)
        listener, self._address = listen(folder)
        self._server = OwnerServer(listener, self._address, self.indexes)
        lock.write(msgspec.json.encode(self._address))

    def close(self) -> None:
        self._server.close()
        self.indexes.close()
        if self._address.path:
            Path(self._address.path).unlink(missing_ok=True)
        self._lock.release()

    def forget(self) -> None:
        self._server.forget()
        self._lock.forget()


class _Client:
    """Another process owns them."""

    def __init__(self, address: Address) -> None:
        self.indexes = RemoteIndexes(address)

    def close(self) -> None:
        self.indexes.close()

    def forget(self) -> None:
        self.indexes.close()


class Role:
    """The way to the indexes in `folder`. Sync; called off the event loop, by any thread.

    Args:
        folder: The knowledge base's folder.
        patience: Seconds that an owner may take to begin listening before StoreBusy is raised.
    """

    def __init__(self, folder: Path, *, patience: float = 2 * QUIET) -> None:
        self._folder, self._patience = folder, patience
        self._guard = threading.Lock()
        self._role: _Owner | _Client | None = None

    @property
    def owns(self) -> bool:
        """Whether this process is the owner now."""
        return isinstance(self._role, _Owner)

    def owner(self) -> int | None:
        """The id of the process that owns the indexes; None when none does."""
        lock = FileLock(self._folder / "owner.lock")
        if self.owns:
            return os.getpid()
        if lock.take():
            lock.release()
            return None
        with suppress(msgspec.DecodeError):
            return msgspec.json.decode(lock.note(), type=Address).pid
        return None

    def at(self, work: Callable[[Indexes], T]) -> T:
        """What `work` returns; it is called again when the owner ended meanwhile, so it must bear that.

        Raises:
            StoreBusy: Another process owns the folder and does not answer.
            KnowledgeError: As `work` does.
        """
        for _ in range(_TRIES):
            with self._guard:
                role = self._role = self._role or self._found()
            try:
                return work(role.indexes)
            except OwnerGone:
                role.close()
                with self._guard:
                    if self._role is role:
                        self._role = None
        raise StoreBusy(
            f"each owner of the knowledge base in `{self._folder}` ended under the call; try again"
        )

    def close(self) -> None:
        """Gives the role up; others take over. May be called twice."""
        with self._guard:
            role, self._role = self._role, None
        if role is not None:
            role.close()

    def forget(self) -> None:
        """In a forked process: leaves everything to the parent."""
        global _forked_from_owner
        if self._role is not None:
            _forked_from_owner = _forked_from_owner or self.owns
            self._role.forget()

    def _found(self) -> _Owner | _Client:
        deadline = time.monotonic() + self._patience
        address = Address()
        lock = FileLock(self._folder / "owner.lock")
        while True:
            if not _forked_from_owner and lock.take():
                try:
                    return _Owner(self._folder, lock)
                except BaseException:
                    lock.release()
                    raise
            with suppress(msgspec.DecodeError):
                address = msgspec.json.decode(lock.note(), type=Address)
                with suppress(OwnerGone):
                    return _Client(address)
            if time.monotonic() > deadline:
                raise self._refused(address.pid)
            time.sleep(_PAUSE)

    def _refused(self, pid: int) -> StoreBusy:
        if _forked_from_owner:
            return StoreBusy(
                f"this process is forked from the owner of `{self._folder}`, which has ended; it cannot take "
                "over; open the knowledge base after the fork"
            )
        return StoreBusy(
            f"the knowledge base in `{self._folder}` is in use by process {pid or 'unknown'}, which does not "
            "answer; end that process and this one takes over"
        )
