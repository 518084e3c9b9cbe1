"""`ThreadMedia`: what the nodes of a turn keep and read media with. Its thread holds what it keeps.

Knows no message. The store opens with the first use.
"""

import asyncio
from collections.abc import Callable

from stretto.media.ready import ReadyPictures
from stretto.media.references import Held, MediaReferences
from stretto.media.store import Linking, MediaStore, reference_of


class ThreadMedia:
    """Media of one turn.

    Args:
        store: Gives the store.
        ready: Pictures as models get them, shared by all turns.
        references: Counts what the thread holds; None: nothing is counted, and a sweep may drop it.
        thread_id: The thread.
        tenant: Whose quota counts.
    """

    def __init__(
        self,
        store: Callable[[], MediaStore],
        *,
        ready: ReadyPictures,
        references: MediaReferences | None = None,
        thread_id: str = "",
        tenant: str = "default",
    ) -> None:
        self._store, self.ready, self._references = store, ready, references
        self._thread_id, self._tenant = thread_id, tenant
        self._held: set[str] = set()

    async def put(self, data: bytes, media_type: str) -> str:
        """Keeps `data` for the thread and returns its reference.

        Raises:
            MediaQuotaExceeded: The tenant may keep no more; nothing was written.
            MediaError: The store cannot be written.
        """
        if self._references is None:
            return await self._store().put(data, media_type)
        held = [Held(await asyncio.to_thread(reference_of, data), len(data), media_type)]
        await self._references.admit(self._tenant, held)
        reference = await self._store().put(data, media_type)
        await self._references.hold(self._thread_id, self._tenant, held)
        self._held.add(reference)
        return reference

    async def claim(self, reference: str, media_type: str) -> None:
        """Lets the thread hold what is in the store already.

        Raises:
            MediaNotFound: It is not there.
            DamagedMedia: It was changed.
            MediaQuotaExceeded: The tenant may keep no more.
        """
        if reference not in self._held:
            await self.put(await self._store().read(reference), media_type)

    async def read(self, reference: str) -> bytes:
        """The bytes. Raises MediaNotFound or DamagedMedia."""
        return await self._store().read(reference)

    async def link(self, reference: str, *, seconds: float = 3600) -> str | None:
        """A URL under which an endpoint reads the bytes itself; None where the store gives none."""
        store = self._store()
        return await store.link(reference, seconds=seconds) if isinstance(store, Linking) else None
