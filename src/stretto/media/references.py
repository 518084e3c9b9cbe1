"""`MediaReferences`: which thread holds which media, and how much a tenant keeps. Knows no thread's content.

Bytes are put before a thread holds them, and dropped after none does: whenever the process is killed, there
is at most a content that nobody holds, which a sweep drops, and never a reference to nothing. Rows live in
the database of the threads (`media_references`); the bytes in a `MediaStore`.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from stretto._internal.faults import reach
from stretto._internal.plain import Plain
from stretto.errors import MediaQuotaExceeded
from stretto.media.ready import ReadyPictures
from stretto.media.store import MediaStore, digest_of

T = TypeVar("T")

DAY = 86_400.0
_BATCH = 500
"""Values of one statement."""

_HOLD = """INSERT INTO media_references (thread_id, sha256, tenant, bytes, kind) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (thread_id, sha256) DO NOTHING"""
_COPY = """INSERT INTO media_references (thread_id, sha256, tenant, bytes, kind)
    SELECT ?, sha256, tenant, bytes, kind FROM media_references WHERE thread_id = ?
    ON CONFLICT (thread_id, sha256) DO NOTHING"""
_HELD = "SELECT sha256, bytes, kind FROM media_references WHERE thread_id = ? ORDER BY sha256"
_RELEASE = "DELETE FROM media_references WHERE thread_id = ?"
_USED = """SELECT COALESCE(SUM(bytes), 0) FROM (
    SELECT sha256, MAX(bytes) AS bytes FROM media_references WHERE tenant = ? GROUP BY sha256) AS once"""
_OWN = "SELECT sha256 FROM media_references WHERE tenant = ? AND sha256 IN ({marks})"
_ANY = "SELECT sha256 FROM media_references WHERE sha256 IN ({marks})"


class Database(Protocol):
    """Runs `work` with a connection in a transaction of its own."""

    async def transact(self, work: Callable[[Any], T], *, writes: bool = True, key: str = "") -> T:
        """What `work` gives; writers of one `key` come one after the other."""
        ...


class Held(Plain, frozen=True):
    """A content that a thread holds."""

    reference: str
    bytes: int
    kind: str = ""
    """Its media type."""


class Swept(Plain, frozen=True):
    """What a sweep dropped."""

    count: int = 0
    bytes: int = 0


Quota = int | Mapping[str, int] | None
"""Bytes that each tenant may keep, or that those which are named may; None: any number."""


class MediaReferences:
    """Counts who holds what. Every call may be made again, and killed at any point.

    Args:
        database: Of the threads, with its table `media_references`.
        quota: Bytes a tenant may keep; the same content in many of its threads counts once.
        ready: Forgets what a sweep drops.
        clock: The time of day in seconds, as the media store tells it.
    """

    def __init__(
        self,
        database: Database,
        *,
        quota: Quota = None,
        ready: ReadyPictures | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database, self._quota, self._ready, self._clock = database, quota, ready, clock

    async def admit(self, tenant: str, references: Iterable[Held]) -> None:
        """Asks, before bytes are written, whether the tenant may keep them.

        Raises:
            MediaQuotaExceeded: It may not.
        """
        wanted = list(references)
        if self._limit(tenant) is not None:
            await self._database.transact(
                lambda connection: self._check(connection, tenant, wanted), writes=False
            )

    async def hold(self, thread_id: str, tenant: str, references: Iterable[Held]) -> None:
        """The thread holds these from now on. Their bytes are in the store already.

        Raises:
            MediaQuotaExceeded: Others of the tenant were faster; none of these is held.
        """
        wanted = list(references)
        rows = [(thread_id, digest_of(one.reference), tenant, one.bytes, one.kind) for one in wanted]

        def work(connection: Any) -> None:
            self._check(connection, tenant, wanted)
            connection.executemany(_HOLD, rows)

        reach("reference.before")
        await self._database.transact(work, key=f"media:{tenant}")
        reach("reference.after")

    async def copy(self, source: str, target: str) -> None:
        """The thread `target` holds what `source` holds: for a fork, before its first checkpoint."""

        def work(connection: Any) -> None:
            connection.execute(_COPY, (target, source))

        reach("reference.before")
        await self._database.transact(work)
        reach("reference.after")

    async def held(self, thread_id: str) -> list[Held]:
        """What the thread holds."""
        return await self._database.transact(lambda connection: _held(connection, thread_id), writes=False)

    async def release(self, thread_id: str) -> list[Held]:
        """The thread holds nothing any more; which of its media nobody holds now."""

        def work(connection: Any) -> list[Held]:
            held = {digest_of(one.reference): one for one in _held(connection, thread_id)}
            connection.execute(_RELEASE, (thread_id,))
            return [held[digest] for digest in _without_holder(connection, [*held])]

        reach("reference.release.before")
        free = await self._database.transact(work)
        reach("reference.release.after")
        return free

    async def unheld(self, candidates: Collection[str]) -> list[str]:
        """Those of the references that no thread holds."""
        digests = [digest_of(reference) for reference in candidates]
        free = await self._database.transact(
            lambda connection: _without_holder(connection, digests), writes=False
        )
        return [f"media:{digest}" for digest in free]

    async def used(self, tenant: str) -> int:
        """Bytes that the tenant's threads hold; a content that many of them hold counts once."""
        return await self._database.transact(lambda connection: _used(connection, tenant), writes=False)

    async def sweep(
        self, store: MediaStore, *, older_than: float = DAY, among: Iterable[Held] | None = None
    ) -> Swept:
        """Drops media that no thread holds.

        Args:
            store: Where the bytes are. All threads whose media it keeps are in this database.
            older_than: Seconds since they were put last: a turn that has put bytes, and not written yet that
                its thread holds them, loses nothing while it takes less than this.
            among: What to look at, such as `release` gave it; None: all of the store.
        """
        before = self._clock() - older_than
        if among is not None:
            return await self._drop(store, {one.reference: one.bytes for one in among}, before)
        swept, batch = Swept(), dict[str, int]()
        async for each in store.kept():
            if each.at < before:
                batch[each.reference] = each.bytes
            if len(batch) == _BATCH:
                swept, batch = _sum(swept, await self._drop(store, batch, before)), {}
        return _sum(swept, await self._drop(store, batch, before))

    async def _drop(self, store: MediaStore, sizes: Mapping[str, int], before: float) -> Swept:
        swept = Swept()
        for reference in await self.unheld([*sizes]):
            reach("sweep.before")
            if await store.delete(reference, before=before):
                swept = _sum(swept, Swept(1, sizes[reference]))
                if self._ready is not None:
                    self._ready.forget(reference)
            reach("sweep.after")
        return swept

    def _limit(self, tenant: str) -> int | None:
        return self._quota.get(tenant) if isinstance(self._quota, Mapping) else self._quota

    def _check(self, connection: Any, tenant: str, wanted: Sequence[Held]) -> None:
        limit = self._limit(tenant)
        if limit is None:
            return
        sizes = {digest_of(one.reference): one.bytes for one in wanted}
        for (digest,) in _among(connection, _OWN, [*sizes], tenant):
            sizes.pop(digest, None)
        used, asked = _used(connection, tenant), sum(sizes.values())
        if asked and used + asked > limit:
            raise MediaQuotaExceeded(
                f"tenant `{tenant}` keeps {used} bytes of media, and {asked} more are over its limit of "
                f"{limit}; delete threads that are not needed, or raise the limit",
                used=used,
                limit=limit,
                asked=asked,
            )


def _sum(one: Swept, other: Swept) -> Swept:
    return Swept(one.count + other.count, one.bytes + other.bytes)


def _held(connection: Any, thread_id: str) -> list[Held]:
    rows = connection.execute(_HELD, (thread_id,)).fetchall()
    return [Held(f"media:{digest}", size, kind) for digest, size, kind in rows]


def _used(connection: Any, tenant: str) -> int:
    return int(connection.execute(_USED, (tenant,)).fetchone()[0])


def _without_holder(connection: Any, digests: Sequence[str]) -> list[str]:
    held = {row[0] for row in _among(connection, _ANY, digests)}
    return [digest for digest in digests if digest not in held]


def _among(connection: Any, statement: str, digests: Sequence[str], *first: str) -> list[Any]:
    rows: list[Any] = []
    for start in range(0, len(digests), _BATCH):
        batch = digests[start : start + _BATCH]
        marks = ", ".join("?" * len(batch))
        rows += connection.execute(statement.format(marks=marks), (*first, *batch)).fetchall()
    return rows
