"""`ThreadSaver`: threads in one `Database`, with one writer a thread. Knows no file and no server.

In a file a statement takes microseconds and runs on the event loop itself. Knows langgraph's protocol for
savers; who may write is `writer.py`'s to say, and what is asked of the tables stands in `rows.py`.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from typing import Any
from weakref import WeakValueDictionary

from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    CheckpointTuple,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from stretto._internal.faults import reach
from stretto.errors import ThreadError
from stretto.threads.checkpoint import rows
from stretto.threads.checkpoint.items import Fresh, Items, mark_anew
from stretto.threads.checkpoint.packed import Packed
from stretto.threads.checkpoint.seeds import seeds
from stretto.threads.checkpoint.writer import TIP, OneWriter
from stretto.threads.database import Connection, Database, Work
from stretto.threads.retention import Aging, Retention
from stretto.threads.seal import Checked, Seal

_json = json.JSONEncoder(ensure_ascii=False).encode
_EARLY = 256
"""Checkpoints whose writes came before them; the oldest are forgotten: their turn was refused."""


class ThreadSaver(BaseCheckpointSaver[str]):
    """langgraph's saver protocol on a `Database`. Methods without `a` hold the thread while others write.

    Args:
        file: With the tables of `tables.py`.
        serde: For checkpoints and writes.
        seal: What stands around their bytes; a checksum where None.
    """

    def __init__(self, file: Database, *, serde: SerializerProtocol, seal: Seal | None = None) -> None:
        super().__init__(serde=serde)
        self.file = file
        self._seal, self._items = seal or Checked(), Items()
        self._order: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._writer = OneWriter()
        self._aging = Aging()
        self.graphs: dict[str, bytes] = {}
        """Descriptions of graphs by fingerprint, to be kept with the first checkpoint that has its stamp."""
        self._described: set[str] = set()
        """Those that are kept already: descriptions are never dropped."""
        self._early: dict[rows.Place, list[tuple[str, list[Any]]]] = {}

    def get_tuple(self, config: Any) -> CheckpointTuple | None:
        """The checkpoint that the config names, or the last one of its thread."""
        return self.file.transact_now(self._get(config), writes=False)

    async def aget_tuple(self, config: Any) -> CheckpointTuple | None:
        """As `get_tuple`."""
        return await self.file.transact(self._get(config), writes=False)

    def list(
        self,
        config: Any,
        *,
        filter: dict[str, Any] | None = None,
        before: Any = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints of the thread, of all threads where `config` is None; the last first.

        Args:
            config: Thread, and namespace and checkpoint where it names them.
            filter: What their metadata holds.
            before: Only those with a smaller id than the one it names.
            limit: At most so many.
        """
        for seq in self.file.transact_now(rows.matching(config, filter, before, limit), writes=False):
            found = self.file.transact_now(self._numbered(seq), writes=False)
            if found is not None:
                yield found

    async def alist(
        self,
        config: Any,
        *,
        filter: dict[str, Any] | None = None,
        before: Any = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """As `list`."""
        for seq in await self.file.transact(rows.matching(config, filter, before, limit), writes=False):
            found = await self.file.transact(self._numbered(seq), writes=False)
            if found is not None:
                yield found

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        """Keeps a checkpoint whose parent is the one that the config names.

        Raises:
            ThreadConflict: The parent is not the tip of its thread.
        """
        return self._kept(
            *self.file.transact_now(self._put(config, checkpoint, metadata), key=_place(config)[0])
        )

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        """As `put`."""
        return self._kept(*await self._in_order(self._put(config, checkpoint, metadata), _place(config)[0]))

    def put_writes(
        self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keeps what a task wrote on top of a checkpoint.

        Raises:
            ThreadConflict: The checkpoint is not the tip of its thread, or was refused.
        """
        # without an event loop langgraph's threads bring them in any order
        work = self._put_writes(config, writes, task_id, task_path, late=True)
        self.file.transact_now(work, key=_place(config)[0])

    async def aput_writes(
        self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """As `put_writes`."""
        await self._in_order(self._put_writes(config, writes, task_id, task_path), _place(config)[0])

    def delete_thread(self, thread_id: str) -> None:
        """Drops all of a thread; no byte of it is left in the files of a `SqliteFile`."""
        key = str(thread_id)
        self.file.transact_now(lambda connection: self._drop(connection, key), key=key)
        self.file.erase_now()

    async def adelete_thread(self, thread_id: str) -> None:
        """As `delete_thread`."""
        key = str(thread_id)
        await self._in_order(lambda connection: self._drop(connection, key), key)
        await self.file.erase()

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Drops what these runs wrote (`run_id` in the metadata); a DeltaChannel may need it."""
        self.file.transact_now(lambda connection: self._drop_runs(connection, run_ids))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """As `delete_for_runs`."""
        await self._in_order(lambda connection: self._drop_runs(connection, run_ids))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copies all of a thread to one that is not there yet; raises ThreadError where it is."""
        self.file.transact_now(lambda connection: self._copy(connection, source_thread_id, target_thread_id))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """As `copy_thread`."""
        await self._in_order(lambda connection: self._copy(connection, source_thread_id, target_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Drops all of these threads (`delete`), or all but what it takes to go on (`keep_latest`)."""
        self.file.transact_now(self._prune(thread_ids, strategy))
        if strategy == "delete":
            self.file.erase_now()

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """As `prune`."""
        await self._in_order(self._prune(thread_ids, strategy))
        if strategy == "delete":
            await self.file.erase()

    async def keep_latest(self, thread_id: str, keep: Retention, *, waiting: bool) -> None:
        """Drops the older checkpoints of a thread; `waiting`: its turn has not ended, its sub-graphs stay."""
        if keep.checkpoints is not None:
            count = keep.checkpoints
            await self._in_order(
                lambda connection: self._drop_older(connection, thread_id, keep=count, waiting=waiting),
                thread_id,
            )

    async def drop_oldest(self, keep: Retention, *, playing: Collection[str]) -> None:
        """Drops threads over the limit, and those not used for too long, but none that is `playing`."""
        if keep.threads is not None:
            count = keep.threads
            self._items.forget(
                await self._in_order(lambda connection: rows.drop_oldest(connection, count, playing))
            )
        since = self._aging.since(keep)
        if since is not None:
            self._items.forget(
                await self._in_order(lambda connection: rows.drop_unused(connection, since, playing))
            )

    async def aread_graph(self, fingerprint: str) -> bytes | None:
        """The description of the graph whose checkpoints have this stamp."""
        found = await self.file.transact(
            lambda connection: connection.execute(rows.GRAPH, (fingerprint,)).fetchone(), writes=False
        )
        return found[0] if found else self.graphs.get(fingerprint)

    def get_next_version(self, current: Any, channel: None) -> str:
        """A number that goes up, with a random part: versions of two forks are never equal."""
        number = current if isinstance(current, int) else int(current.split(".")[0]) if current else 0
        return f"{number + 1:032}.{random.random():016}"

    async def _in_order(self, work: Work[Any], key: str = "") -> Any:
        """What waits for another process is not overtaken: a task's writes follow its checkpoint."""
        async with self._order.setdefault(key, asyncio.Lock()):
            return await self.file.transact(work, key=key)

    def _get(self, config: Any) -> Work[CheckpointTuple | None]:
        thread_id, namespace, checkpoint_id = _place(config)

        def work(connection: Connection) -> CheckpointTuple | None:
            if checkpoint_id:
                row = connection.execute(rows.ONE, (thread_id, namespace, checkpoint_id)).fetchone()
            else:
                row = connection.execute(rows.LATEST, (thread_id, namespace)).fetchone()
            return row and self._tuple(connection, row, latest=not checkpoint_id)

        return work

    def _numbered(self, seq: int) -> Work[CheckpointTuple | None]:
        def work(connection: Connection) -> CheckpointTuple | None:
            row = connection.execute(rows.BY_SEQ, (seq,)).fetchone()
            return row and self._tuple(connection, row, latest=False)

        return work

    def _tuple(self, connection: Connection, row: Any, *, latest: bool) -> CheckpointTuple:
        thread_id, namespace, checkpoint_id, parent, kind, content, metadata = row
        tip = checkpoint_id if latest else rows.tip_of(connection, thread_id, namespace)
        written = connection.execute(rows.WRITES, (thread_id, namespace, checkpoint_id)).fetchall()
        packed = self.packed
        whole = packed.value("checkpoints", thread_id, kind, content, metadata)
        return CheckpointTuple(
            _config(thread_id, namespace, checkpoint_id, **{} if tip == checkpoint_id else {TIP: tip}),
            self._items.fill(connection, thread_id, kind, whole, packed),
            rows.about_of(metadata, thread_id),
            _config(thread_id, namespace, parent) if parent else None,
            [
                (task, channel, packed.value("writes", thread_id, kind, value))
                for task, channel, kind, value in written
            ],
        )

    def _put(
        self, config: Any, checkpoint: Any, metadata: Any
    ) -> Work[tuple[rows.Place, Sequence[Fresh], str]]:
        thread_id, namespace, parent = _place(config)
        stamp = _stamp(config)
        place: rows.Place = (thread_id, namespace, checkpoint["id"])
        packed = self.packed
        rest, lists = self._items.split(checkpoint)
        bare = packed.bare(rest)
        beside = _json(get_checkpoint_metadata(config, metadata)).encode("utf-8", "ignore")

        def work(connection: Connection) -> tuple[rows.Place, Sequence[Fresh], str]:
            self._writer.check_next(connection, place, config["configurable"], metadata)
            reach("checkpoint.put.before")
            names, fresh = self._items.keep(connection, thread_id, lists, packed)
            row = packed.row("checkpoints", thread_id, bare, names=names, metadata=beside)
            connection.execute(rows.PUT, (*place, parent, *row, beside))
            if stamp in self.graphs and stamp not in self._described:
                connection.execute(rows.PUT_GRAPH, (stamp, self.graphs[stamp]))
            for statement, early in self._early.get(place, ()):
                connection.executemany(statement, early)
            reach("checkpoint.put.after")
            return place, fresh, stamp

        return work

    def _kept(self, place: rows.Place, fresh: Sequence[Fresh], stamp: str) -> Any:
        """What `put` gives, once it is committed."""
        self._described.add(stamp)
        self._early.pop(place, None)
        self._items.remember(place[0], fresh)
        return _config(*place)

    def _put_writes(
        self,
        config: Any,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str,
        *,
        late: bool = False,
    ) -> Work[None]:
        thread_id, namespace, checkpoint_id = _place(config)
        place = thread_id, namespace, checkpoint_id or ""
        again = all(channel in WRITES_IDX_MAP for channel, _ in writes)
        statement = rows.PUT_WRITE_AGAIN if again else rows.PUT_WRITE
        packed = self.packed
        written = [
            (
                *place,
                task_id,
                task_path,
                WRITES_IDX_MAP.get(channel, index),
                channel,
                *packed.row("writes", thread_id, packed.bare(value)),
            )
            for index, (channel, value) in enumerate(writes)
        ]

        def work(connection: Connection) -> None:
            if self._writer.check_open(connection, place, config["configurable"], late=late):
                reach("writes.put.before")
                connection.executemany(statement, written)
                reach("writes.put.after")
                return
            self._early.setdefault(place, []).append((statement, written))  # kept with their checkpoint
            if len(self._early) > _EARLY:
                self._early.pop(next(iter(self._early)), None)

        return work

    def _prune(self, thread_ids: Sequence[str], strategy: str) -> Work[None]:
        if strategy not in ("keep_latest", "delete"):
            raise ThreadError(f"there is no strategy `{strategy}`; give `keep_latest` or `delete`")

        def work(connection: Connection) -> None:
            for thread_id in thread_ids:
                if strategy == "delete":
                    self._drop(connection, thread_id)
                    continue
                needed = seeds(connection, thread_id, self.packed)
                self._drop_older(connection, thread_id, keep=1, waiting=True, needed=needed)

        return work

    @property
    def seal(self) -> Seal:
        """What stands around the bytes of its rows."""
        return self._seal

    @property
    def packed(self) -> Packed:
        """Reads and writes the values of its rows."""
        return Packed(self.serde, self._seal)

    def _drop(self, connection: Connection, thread_id: str) -> None:
        rows.drop_thread(connection, thread_id)
        self._items.forget([thread_id])

    def _drop_older(self, connection: Connection, thread_id: str, **given: Any) -> None:
        rows.drop_older(connection, thread_id, **given)
        self._items.sweep(connection, thread_id)

    def _drop_runs(self, connection: Connection, run_ids: Sequence[str]) -> None:
        for thread_id in rows.drop_runs(connection, run_ids):
            self._items.sweep(connection, thread_id)

    def _copy(self, connection: Connection, source: str, target: str) -> None:
        rows.copy_thread(connection, source, target, self.packed.moved)
        mark_anew(connection, target)


def _stamp(config: Any) -> str:
    about: dict[str, Any] = config.get("metadata") or {}
    return about.get("stretto_graph") or ""


def _place(config: Any) -> tuple[str, str, str | None]:
    given = config["configurable"]
    return str(given["thread_id"]), given.get("checkpoint_ns", ""), given.get("checkpoint_id") or None


def _config(thread_id: str, namespace: str, checkpoint_id: str, **more: Any) -> Any:
    return {
        "configurable": {
            "thread_id": thread_id,
            "checkpoint_ns": namespace,
            "checkpoint_id": checkpoint_id,
            **more,
        }
    }
