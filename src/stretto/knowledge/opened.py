"""A knowledge folder that this process owns: lock, manifest and both indexes, shared by all who open it here.

The indexes open when they are first needed; a second add of unchanged files needs neither.
"""

import os
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from stretto._internal.private import private_folder
from stretto.errors import ConfigError
from stretto.knowledge.lock import OwnerLock
from stretto.knowledge.manifest import Manifest
from stretto.knowledge.stores.registry import store_opener

if TYPE_CHECKING:
    from stretto.knowledge.keyword import KeywordIndex
    from stretto.knowledge.stores.protocol import VectorStore

P = ParamSpec("P")
T = TypeVar("T")

_VECTORS, _KEYWORDS = "vectors", "keywords"


class Opened:
    """The parts of one knowledge base. Made by `acquire` only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.references = 0
        self._guard = threading.Lock()
        self._write = threading.Lock()
        self._short = False
        self._vectors: VectorStore | None = None
        self._keywords: KeywordIndex | None = None
        try:
            private_folder(folder)
        except OSError as error:
            raise ConfigError(f"the folder `{folder}` cannot be made: {error.strerror}") from error
        self._lock = OwnerLock(folder / "owner.lock")
        self._lock.take()
        try:
            self.manifest = Manifest(folder / "manifest.sqlite")
        except BaseException:
            self._lock.release()
            raise

    @property
    def vectors(self) -> "VectorStore":
        """The vector store, opened at first use."""
        with self._guard:
            if self._vectors is None:
                self._vectors = store_opener("chroma")(self.folder / _VECTORS)
                self._compare(self._vectors.count())
            return self._vectors

    @property
    def keywords(self) -> "KeywordIndex":
        """The keyword index, opened at first use."""
        with self._guard:
            if self._keywords is None:
                from stretto.knowledge.keyword import KeywordIndex  # noqa: PLC0415 (loads tantivy)

                self._keywords = KeywordIndex(self.folder / _KEYWORDS)
                self._compare(self._keywords.count())
            return self._keywords

    def _compare(self, count: int) -> None:
        self._short = self._short or count < self.manifest.counts()[1]

    def lacks_chunks(self) -> bool:
        """Whether an index is not there, or was found to hold less than the manifest when it opened."""
        return self._short or not all((self.folder / part).is_dir() for part in (_VECTORS, _KEYWORDS))

    def completed(self) -> None:
        """Says that the indexes hold every chunk again."""
        self._short = False

    def settle(self) -> None:
        """Commits the keyword index and lets go of its writer, if it was opened."""
        if self._keywords is not None:
            self._keywords.settle()

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[None]:
        """One writer at a time, whichever event loop it runs in."""
        import asyncio  # noqa: PLC0415 (a quarter of the vocabulary's CPU; whoever calls this has it loaded)

        while not self._write.acquire(blocking=False):
            await asyncio.sleep(0.005)
        try:
            yield
        finally:
            self._write.release()

    def close(self) -> None:
        """Closes everything and gives the folder free."""
        with self._guard:
            for part in (self._vectors, self._keywords, self.manifest):
                if part is not None:
                    part.close()
            self._vectors = self._keywords = None
            self._lock.release()


_opened: dict[tuple[Path, int], Opened] = {}
_registry = threading.Lock()


def acquire(folder: Path) -> Opened:
    """The opened folder, shared within this process; raises StoreBusy when another process owns it."""
    key = (folder, os.getpid())  # a forked child owns nothing of its parent's
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


async def off_loop(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs `function` in a thread. A cancelled caller still waits for its end: no write goes on unseen."""
    import asyncio  # noqa: PLC0415 (as above)

    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
