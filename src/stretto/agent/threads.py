"""`ThreadsOf`: the threads of a store: listed, shown, forked, compared, exported, deleted, pruned.

Runs no turn. `stretto threads` is this at a terminal; whether a new version of a graph can take threads up is
asked in `deploys.py`, and two tips are compared in `comparing.py`.
"""

import copy
import json
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from stretto._internal.namespaces import scope, text_of
from stretto._internal.plain import Plain
from stretto.agent.agent import Agent
from stretto.agent.comparing import ThreadDiff, compared
from stretto.agent.deploys import Checked, check_threads
from stretto.errors import ConfigError, ThreadConflict, ThreadError
from stretto.graph import Conversation
from stretto.graph.description import STAMP, describe
from stretto.graph.pause import questions_of
from stretto.messages import Message
from stretto.threads import Retention
from stretto.threads.carried import copy_to_fork
from stretto.threads.checkpoint.reading import reading
from stretto.threads.checkpoint.tips import is_key, tip_of
from stretto.threads.deletion import forget, is_held, is_known, made_at, of_tenant, of_user, unused_since
from stretto.threads.overview import checkpoints_of, count_threads, kept_threads, size_of
from stretto.threads.retention import DAY
from stretto.threads.stores import open_store, store_of, threads_key

_ALL = 1_000_000_000


class ThreadRow(Plain, frozen=True):
    """A thread at a glance."""

    thread_id: str
    turns: int
    """Questions of the person."""
    used: float | None
    """When it was used last, in seconds since 1970."""
    waiting: dict[str, Any]
    """What it waits for, by call id."""
    unfinished: bool
    """Whether its last turn waits, failed or was left."""
    bytes: int
    """Of all that is kept of it, its media included."""


class CheckpointRow(Plain, frozen=True):
    """A checkpoint at a glance."""

    checkpoint_id: str
    step: int
    source: str
    """What made it: `input`, `loop`, `update` or `fork`."""
    graph: str
    """The fingerprint of the graph that wrote it; empty where it carries none."""


class ThreadShown(Plain, frozen=True):
    """All of a thread that a person wants to see."""

    thread: ThreadRow
    messages: list[Any]
    """In order; one that today's classes do not fit is plain data."""
    state: dict[str, Any]
    """The other keys of its state."""
    next: list[str]
    """The nodes it goes on with, where its turn has not ended."""
    checkpoints: list[CheckpointRow]
    """The last first."""


class Forked(Plain, frozen=True):
    """A fork that was made."""

    thread_id: str
    source: str
    checkpoint_id: str
    note: str
    """What is another thing in it than in its source."""


class ThreadsOf:
    """The threads of one store. Made by `threads_of`."""

    def __init__(self, saver: Any, *, agent: Agent | None = None) -> None:
        self._saver, self._agent = saver, agent
        self._reads = copy.copy(saver)
        self._reads.serde = reading(saver.serde)
        self._database = saver.file

    async def count(self) -> int:
        """How many there are."""
        return await self._database.transact(count_threads, writes=False)

    async def show(self, thread_id: str, at: str | None = None) -> ThreadShown:
        """A thread, as it is or as it was at the checkpoint `at`."""
        found = await self._found(thread_id, at)
        values = _state_of(found)
        rows = await self._database.transact(partial(checkpoints_of, thread_id=thread_id), writes=False)
        size = await self._database.transact(partial(size_of, thread_id=thread_id), writes=False)
        messages: list[Any] = list(values.pop("messages", None) or ())
        row = await self._row(thread_id, _when(found), size)
        return ThreadShown(row, messages, values, _next(found), [_checkpoint(*each) for each in rows])

    async def fork(self, thread_id: str, *, at: str | None = None, to: str | None = None) -> Forked:
        """A new thread that goes on from a checkpoint: run it, and what happened since is played anew.

        Args:
            thread_id: Its source.
            at: The checkpoint; the last one where None.
            to: The id of the new thread; a fresh one where None.

        Raises:
            ThreadError: There is no such thread or checkpoint, or there is a thread `to`.
        """
        target = to or uuid.uuid4().hex
        found = await self._found(thread_id, at, strict=True)
        if await self._database.transact(partial(is_known, thread_id=target), writes=False):
            raise ThreadError(
                f"there is a thread `{target}`; fork to a name that is free, or delete it first"
            )
        if found.metadata.get("counters_since_delta_snapshot"):
            raise ThreadError(
                f"thread `{thread_id}` has a DeltaChannel, which needs all checkpoints; it cannot be forked"
            )
        copy = partial(copy_to_fork, source=thread_id, target=target, seal=self._database.seal)
        await self._database.transact(copy, key=target)
        await self._copy_below(thread_id, target, {"": found.checkpoint["id"]})
        await self._copy(found, target)
        note = "tools that it runs have effects of their own, under keys of their own"
        return Forked(target, thread_id, found.checkpoint["id"], note)

    async def diff(self, one: str, other: str) -> ThreadDiff:
        """What differs between two threads; `THREAD@CHECKPOINT` names an older state."""
        return compared(await self._named(one), await self._named(other))

    async def export(self, thread_id: str) -> list[Any]:
        """The messages of a thread, in order."""
        return (await self.show(thread_id)).messages

    async def delete(self, thread_ids: Sequence[str], *, force: bool = False) -> list[str]:
        """Deletes every trace of these threads; returns those that were there.

        Raises:
            ThreadConflict: A turn of one of them runs; nothing was deleted. `force` deletes all the same.
        """
        there: list[str] = []
        for thread_id in dict.fromkeys(thread_ids):
            held = partial(is_held, thread_id=thread_id, now=time.time())
            if not force and await self._database.transact(held, writes=False):
                raise ThreadConflict(
                    f"a turn of thread `{thread_id}` runs; stop it first, or wait for its end"
                )
            if await self._database.transact(partial(is_known, thread_id=thread_id), writes=False):
                there.append(thread_id)
        if there:
            held = [] if self._agent is None else await self._agent.held_media(there)
            await self._saver.aprune(there, strategy="delete")
            if held and self._agent is not None:
                await self._agent.sweep_media(older_than=0, among=held)
        return there

    async def delete_of(
        self, *, tenant: str | None = None, user: str | None = None, force: bool = False
    ) -> list[str]:
        """Deletes the threads of a tenant or a user, and what is remembered of them; returns the threads.

        Args:
            tenant: All of it goes, or that of its user `user`; "default" where None and there is a user.
            user: The threads whose last run was for this user, and what is remembered of this user.
            force: Also while they run.
        """
        if not tenant and not user:
            return []
        tenant = tenant or "default"
        whose = partial(of_user, tenant=tenant, user=user) if user else partial(of_tenant, tenant=tenant)
        names = await self._database.transact(whose, writes=False)
        namespace = scope(tenant, user) if user else scope(tenant, "")[:1]
        gone = await self.delete(names, force=force)
        if await self._database.transact(partial(forget, namespace=text_of(namespace))):
            await self._database.erase()
        return gone

    async def prune(self, keep: Retention, *, waiting: bool = False, dry: bool = False) -> list[str]:
        """Lets go of what `keep` does not keep; returns the threads that went.

        Args:
            keep: Threads, days and checkpoints; its turns are left to the agent.
            waiting: Whether threads that wait for an answer grow old too.
            dry: Only says which threads would go.
        """
        now = time.time()
        gone: list[str] = []
        if keep.days is not None:
            since = partial(unused_since, at=now - keep.days * DAY, now=now, waiting=waiting)
            gone += await self._database.transact(since, writes=False)
        if keep.threads is not None:
            kept = await self._database.transact(partial(kept_threads, limit=_ALL), writes=False)
            names = [each.thread_id for each in kept if each.thread_id not in gone]
            for thread_id in names[keep.threads :]:
                held = partial(is_held, thread_id=thread_id, now=now)
                if not await self._database.transact(held, writes=False):
                    gone.append(thread_id)
        if dry:
            return gone
        await self.delete(gone)
        if keep.checkpoints is not None:
            for each in await self._database.transact(partial(kept_threads, limit=_ALL), writes=False):
                waits = (await self._row(each.thread_id, each.used, each.bytes)).unfinished
                await self._saver.keep_latest(each.thread_id, keep, waiting=waits)
        return gone

    async def check(self) -> Checked:
        """Which threads the agent's graph of today can take up; asks no model and changes nothing.

        Raises:
            ConfigError: No agent was given.
        """
        if self._agent is None:
            raise ConfigError("to check threads takes the agent that is to take them up: name it")
        return await check_threads(self._saver, describe(self._agent.graph))

    async def _named(self, name: str) -> dict[str, Any]:
        thread_id, _, at = name.partition("@")
        return _state_of(await self._found(thread_id, at or None))

    async def _found(self, thread_id: str, at: str | None, *, strict: bool = False) -> Any:
        config = {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", "checkpoint_id": at}}
        found = await (self._saver if strict else self._reads).aget_tuple(config)
        if found is None:
            what = f"no checkpoint `{at}` of thread `{thread_id}`" if at else f"no thread `{thread_id}`"
            raise ThreadError(
                f"there is {what}. Type: stretto threads {'show ' + thread_id if at else 'list'}"
            )
        return found

    async def _row(self, thread_id: str, used: float | None, size: int) -> ThreadRow:
        found = await self._found(thread_id, None)
        asked = [each for _, name, value in found.pending_writes if name == "__interrupt__" for each in value]
        messages: Sequence[Any] = _state_of(found).get("messages") or ()
        turns = sum(isinstance(each, Message) and each.role == "user" for each in messages)
        return ThreadRow(thread_id, turns, used, questions_of(asked), bool(_next(found)), size)

    async def _copy_below(self, source: str, target: str, parents: dict[str, str]) -> None:
        """Copies the checkpoints of sub-graphs that wait below a checkpoint."""
        seen: set[str] = set()
        config: Any = {"configurable": {"thread_id": source}}
        async for found in self._saver.alist(config, filter={"parents": parents}):
            space = found.config["configurable"]["checkpoint_ns"]
            if space not in seen:
                seen.add(space)
                await self._copy_below(source, target, {**parents, space: found.checkpoint["id"]})
                await self._copy(found, target)

    async def _copy(self, found: Any, target: str) -> None:
        place = {"thread_id": target, "checkpoint_ns": found.config["configurable"]["checkpoint_ns"]}
        written: dict[str, list[tuple[str, Any]]] = {}
        for task, channel, value in found.pending_writes or ():
            written.setdefault(task, []).append((channel, value))
        at: Any = {"configurable": {**place, "checkpoint_id": found.checkpoint["id"]}}
        for task, writes in written.items():  # kept in the one transaction of their checkpoint
            await self._saver.aput_writes(at, writes, task)
        about = {key: value for key, value in found.metadata.items() if key != "run_id"}
        versions = found.checkpoint["channel_versions"]
        await self._saver.aput(
            {"configurable": place}, found.checkpoint, {**about, "source": "fork"}, versions
        )

    async def list(self, limit: int = 100) -> list[ThreadRow]:
        """The threads that were used last, the latest first."""
        kept = await self._database.transact(partial(kept_threads, limit=limit), writes=False)
        return [await self._row(each.thread_id, each.used, each.bytes) for each in kept]


def _state_of(found: Any) -> dict[str, Any]:
    values: dict[str, Any] = found.checkpoint["channel_values"]
    return {key: value for key, value in values.items() if is_key(key)}


def _next(found: Any) -> list[str]:
    tip = tip_of(found.checkpoint, found.metadata, found.pending_writes or ())
    return [start.label for start in tip.starts]


def _when(found: Any) -> float | None:
    return made_at(found.checkpoint["id"])


def _checkpoint(checkpoint_id: str, metadata: bytes) -> CheckpointRow:
    about: dict[str, Any] = json.loads(metadata)
    return CheckpointRow(checkpoint_id, about.get("step", -1), about.get("source", ""), about.get(STAMP, ""))


@asynccontextmanager
async def threads_of(
    where: Agent | str | Path, *, key: str | bytes | None = None
) -> AsyncGenerator[ThreadsOf]:
    """The threads of an agent, or in the file or database `where`.

    Args:
        where: The agent, or where they are kept.
        key: What those of a file or database are encrypted with; None: what `STRETTO_THREADS_KEY` says.

    Raises:
        ThreadKeyRefused: They are encrypted otherwise.
        ThreadError: The agent keeps none, or the file is not there.
    """
    if isinstance(where, Agent):
        saver = (await where._opened.kept()).compiled.checkpointer  # pyright: ignore[reportPrivateUsage]
        yield ThreadsOf(saver, agent=where)
        return
    async with saver_at(where, key) as saver:
        yield ThreadsOf(saver)


@asynccontextmanager
async def saver_at(where: str | Path, key: str | bytes | None = None) -> AsyncGenerator[Any]:
    """The saver of the threads in the file or database `where`; raises ThreadError where none are there."""
    store = store_of(where)
    if store == "sqlite" and not Path(where).is_file():
        raise ThreadError(f"there are no threads in `{where}`; give the path of a threads.sqlite")
    async with open_store(store, where, Conversation, key=threads_key(key, where)) as saver:
        yield saver
