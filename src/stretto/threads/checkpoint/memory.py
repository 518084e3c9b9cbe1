"""Threads in memory: langgraph's saver, which can let go of what a `Retention` does not keep. Knows no graph.

The namespace of a sub-graph's checkpoints names the task it ran in (`node:task`): such a one is of no use
once its turn has ended. One without a task belongs to a sub-graph with a memory of its own, and is kept like
the thread's.
"""

from collections import defaultdict
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from stretto._internal.sqlite_file import SqliteFile
from stretto.errors import ThreadError
from stretto.threads.checkpoint.serializer import strict_serializer
from stretto.threads.retention import Retention
from stretto.threads.tables import prepare

_TASK = ":"
"""What stands before a task in the namespace of a checkpoint."""


class PrunedMemory(InMemorySaver):
    """Threads in memory. `storage` is in order of use; `_versions` knows the blobs of a thread."""

    file: SqliteFile

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


@asynccontextmanager
async def open_memory(path: str | Path, *states: type[Any]) -> AsyncGenerator[PrunedMemory]:
    """A saver that forgets everything when it is closed; `path` is not used."""
    saver = PrunedMemory(serde=strict_serializer(*states))
    saver.file = SqliteFile(":memory:", prepare=prepare, refusal=ThreadError)
    yield saver
    saver.file.close()
