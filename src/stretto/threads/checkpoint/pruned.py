"""langgraph's savers, which can let go of what a `Retention` does not keep. Knows no graph.

The namespace of a sub-graph's checkpoints names the task it ran in (`node:task`): such a one is of no use
once its turn has ended. One without a task belongs to a sub-graph with a memory of its own, and is kept like
the thread's.
"""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from stretto.threads.retention import Retention

_TASK = ":"
"""What stands before a task in the namespace of a checkpoint."""

_PRUNE = """
DELETE FROM checkpoints AS old WHERE thread_id = :thread AND checkpoint_id NOT IN (
    SELECT checkpoint_id FROM checkpoints
    WHERE thread_id = old.thread_id AND checkpoint_ns = old.checkpoint_ns
    ORDER BY checkpoint_id DESC LIMIT :keep)
"""
_PRUNE_TASKS = "DELETE FROM checkpoints WHERE thread_id = :thread AND instr(checkpoint_ns, ':')"
_PRUNE_WRITES = """
DELETE FROM writes WHERE thread_id = :thread AND NOT EXISTS (
    SELECT 1 FROM checkpoints AS c WHERE c.thread_id = writes.thread_id
    AND c.checkpoint_ns = writes.checkpoint_ns AND c.checkpoint_id = writes.checkpoint_id)
"""
_OLD_THREADS = """
SELECT thread_id FROM checkpoints GROUP BY thread_id
ORDER BY MAX(checkpoint_id) DESC LIMIT -1 OFFSET ?
"""


class PrunedSqlite(AsyncSqliteSaver):
    """Threads in a file."""

    async def keep_latest(self, thread_id: str, keep: Retention, *, waiting: bool) -> None:
        """Drops the older checkpoints of a thread; `waiting`: its turn has not ended, its sub-graphs stay."""
        if keep.checkpoints is None:
            return
        given: dict[str, Any] = {"thread": thread_id, "keep": keep.checkpoints}
        async with self.lock, self.conn.cursor() as cursor:
            if not waiting:
                await cursor.execute(_PRUNE_TASKS, given)
            await cursor.execute(_PRUNE, given)
            await cursor.execute(_PRUNE_WRITES, given)
            await self.conn.commit()

    async def drop_oldest(self, keep: Retention, *, playing: Collection[str]) -> None:
        """Drops the threads over the limit that were not used for longest, but none that is `playing`."""
        if keep.threads is None:
            return
        async with self.lock, self.conn.execute(_OLD_THREADS, (keep.threads,)) as found:
            old = [str(row[0]) for row in await found.fetchall()]
        for thread_id in old:
            if thread_id not in playing:
                await self.adelete_thread(thread_id)


class PrunedMemory(InMemorySaver):
    """Threads in memory. `storage` is in order of use; `_versions` knows the blobs of a thread."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # pyright: ignore[reportUnknownMemberType]
        self._versions: defaultdict[str, set[Any]] = defaultdict(set)

    def get_tuple(self, config: Any) -> Any:
        """As langgraph's, which makes an empty thread of one that it does not know."""
        return super().get_tuple(config) if config["configurable"]["thread_id"] in self.storage else None

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        """As langgraph's; notes which blobs are the thread's."""
        thread_id, space = config["configurable"]["thread_id"], config["configurable"]["checkpoint_ns"]
        self._versions[thread_id].update(
            (thread_id, space, name, version) for name, version in new_versions.items()
        )
        return super().put(config, checkpoint, metadata, new_versions)

    def delete_thread(self, thread_id: str) -> None:
        """As langgraph's, without looking through all other threads."""
        for space, checkpoints in self.storage.pop(thread_id, {}).items():
            for checkpoint_id in checkpoints:
                self.writes.pop((thread_id, space, checkpoint_id), None)
        for key in self._versions.pop(thread_id, ()):
            self.blobs.pop(key, None)

    async def keep_latest(self, thread_id: str, keep: Retention, *, waiting: bool) -> None:
        """Drops the older checkpoints of a thread; `waiting`: its turn has not ended, its sub-graphs stay."""
        if thread_id not in self.storage:
            return
        spaces = self.storage[thread_id] = self.storage.pop(thread_id)  # now the last one that was used
        if keep.checkpoints is None:
            return
        alive: set[Any] = set()
        for space, checkpoints in list(spaces.items()):
            ended = _TASK in space and not waiting
            for checkpoint_id in sorted(checkpoints)[: None if ended else -keep.checkpoints]:
                del checkpoints[checkpoint_id]
                self.writes.pop((thread_id, space, checkpoint_id), None)
            if not checkpoints:
                del spaces[space]
            for packed, _, _ in checkpoints.values():
                versions = self.serde.loads_typed(packed)["channel_versions"]
                alive.update((thread_id, space, name, version) for name, version in versions.items())
        for key in self._versions[thread_id] - alive:
            self.blobs.pop(key, None)
        self._versions[thread_id] &= alive

    async def drop_oldest(self, keep: Retention, *, playing: Collection[str]) -> None:
        """Drops the threads over the limit that were not used for longest, but none that is `playing`."""
        over = len(self.storage) - (keep.threads or len(self.storage))
        for thread_id in list(self.storage)[: max(over, 0)]:
            if thread_id not in playing:
                self.delete_thread(thread_id)
