"""A knowledge folder as this process has it open: manifest, lock to write, and the way to both indexes.

Every process reads and writes the manifest itself; the indexes have one owner, see `owner/`. They open when
they are first needed; a second add of unchanged files needs neither.
"""

import os
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from stretto._internal.private import private_folder
from stretto.errors import ConfigError
from stretto.knowledge.lock import FileLock
from stretto.knowledge.manifest import Manifest
from stretto.knowledge.owner.indexes import Indexes, folders
from stretto.knowledge.owner.role import Role
from stretto.knowledge.owner.shared import SharedKeywords, SharedVectors

P = ParamSpec("P")
T = TypeVar("T")
_REMEMBERED = 16


class Opened:
    """The parts of one knowledge base. Made by `acquire` only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.references = 0
        self.process = os.getpid()
        self.remembered: dict[Any, Any] = {}
        """What searches have worked out, with the state of the manifest that it holds for."""
        self._remembering = threading.Lock()
        self._write = threading.Lock()
        self._short: bool | None = None
        self._keywords: SharedKeywords | None = None
        try:
            private_folder(folder)
        except OSError as error:
            raise ConfigError(f"the folder `{folder}` cannot be made: {error.strerror}") from error
        self._writer = FileLock(folder / "writer.lock")
        self._role = Role(folder)
        self.manifest = Manifest(folder / "manifest.sqlite")

    @property
    def owns(self) -> bool:
        """Whether the indexes are open in this process."""
        return self._role.owns

    def owner(self) -> int | None:
        """The id of the process that has the indexes open, if any."""
        return self._role.owner()

    @property
    def vectors(self) -> SharedVectors:
        """The vector store of the generation that is shown."""
        return SharedVectors(self._at, self.manifest.generation())

    @property
    def keywords(self) -> SharedKeywords:
        """The keyword index of the generation that is shown."""
        generation = self.manifest.generation()
        if self._keywords is None or self._keywords.generation != generation:
            self._keywords = SharedKeywords(self._at, generation)
        return self._keywords

    def generation(self, number: int) -> tuple[SharedVectors, SharedKeywords]:
        """The indexes of a generation, made where they are missing."""
        return SharedVectors(self._at, number), SharedKeywords(self._at, number)

    def retire(self) -> None:
        """Deletes the indexes of all generations but the one that is shown."""
        generation = self.manifest.generation()
        self._at(lambda indexes: indexes.retire(generation))

    def _at(self, work: Callable[[Indexes], T]) -> T:
        if self._short is None:
            self._short = False
            chunks = self.manifest.counts()[1]
            self._short = self.vectors.count() < chunks or self.keywords.count() < chunks
        return self._role.at(work)

    def remember(self, key: Any, value: Any) -> None:
        """Keeps `value`, and forgets the oldest of what is kept."""
        with self._remembering:
            self.remembered.pop(key, None)
            self.remembered[key] = value
            while len(self.remembered) > _REMEMBERED:
                self.remembered.pop(next(iter(self.remembered)))

    def kept_for(self, key: Any, make: Callable[[], T]) -> T:
        """What is remembered under `key`, made where there is nothing yet."""
        with self._remembering:
            return self.remembered.setdefault(key, make())

    def lacks_chunks(self) -> bool:
        """Whether an index is not there, or was found to hold less than the manifest when first used."""
        return bool(self._short) or not all(
            place.is_dir() for place in folders(self.folder, self.manifest.generation())
        )

    def completed(self) -> None:
        """Says that the indexes hold every chunk again."""
        self._short = False

    def settle(self) -> None:
        """Commits the keyword index and lets go of its writer, if it was opened."""
        if self._keywords is not None:
            self._keywords.settle()

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[None]:
        """One writer at a time, whichever process and event loop it runs in."""
        import asyncio  # noqa: PLC0415 (a quarter of the vocabulary's CPU; whoever calls this has it loaded)

        while not self._write.acquire(blocking=False):
            await asyncio.sleep(0.005)
        try:
            while not self._writer.take():
                await asyncio.sleep(0.005)
            yield
        finally:
            self._writer.release()
            self._write.release()

    def close(self) -> None:
        """Closes everything and gives the folder free."""
        self._role.close()
        self.manifest.close()

    def forget(self) -> None:
        """In a forked process: leaves locks and sockets to the parent."""
        self._role.forget()
        self._writer.forget()


_opened: dict[tuple[Path, int], Opened] = {}
_registry = threading.Lock()


def acquire(folder: Path) -> Opened:
    """The opened folder, shared within this process."""
    key = (folder, os.getpid())  # a forked child has nothing of its parent's
    with _registry:
        opened = _opened.get(key)
        if opened is None:
            opened = _opened[key] = Opened(folder)
        opened.references += 1
        return opened


def release(opened: Opened) -> None:
    """Gives one share back; the last one closes the folder."""
    with _registry:
        opened.references -= 1
        if opened.references == 0:
            _opened.pop((opened.folder, os.getpid()), None)
            opened.close()


def _forked() -> None:
    global _registry
    _registry = threading.Lock()
    for opened in _opened.values():
        opened.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


async def off_loop(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs `function` in a thread. A cancelled caller still waits for its end: no write goes on unseen."""
    import asyncio  # noqa: PLC0415 (as above)

    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
