"""Writes a thread that an earlier version of the graph left in the form of today, as its next checkpoint.

What waits goes on waiting: langgraph knows a task by a hash of its checkpoint, its node's name and the ways
to it, so what tasks wrote, their journal and their effects follow them to the ids of today. The checkpoint of
then stays where it is, for as long as the store keeps older ones. Decides nothing: `taking_up.py` has.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from stretto._internal.faults import reach
from stretto.errors import GraphError, ThreadOutdated
from stretto.graph.description import STAMP, GraphDescription
from stretto.graph.ground import Interrupt, interrupt_id, new_checkpoint_id, task_hash
from stretto.graph.parts import Blueprint
from stretto.threads.carried import copy_tasks
from stretto.threads.checkpoint.tips import BRANCH, INTERRUPT, JOIN, SENDS, Start, is_key, started_by

_PULL, _PUSH = "__pregel_pull", "__pregel_push"


class Level(NamedTuple):
    """A graph or sub-graph, as it is and as it was."""

    graph: Any
    old: GraphDescription
    new: GraphDescription

    def below(self, node: str) -> "Level":
        """That of the sub-graph which `node` is, by its name of then."""
        name = self.new.renamed.get(node, node)
        inner = next((each.function for each in self.graph.nodes if each.name == name), None)
        unknown = GraphDescription()
        return Level(inner, self.old.graphs.get(node, unknown), self.new.graphs.get(name, unknown))


class Migration:
    """One thread on its way.

    Args:
        saver: Keeps it.
        thread_id: Which.
        found: Its checkpoints by namespace, `""` for its own, those of sub-graphs that wait below it.
        fingerprint: Of the graph of today.
    """

    def __init__(self, saver: Any, thread_id: str, found: Mapping[str, Any], fingerprint: str) -> None:
        self._saver, self._thread, self._found, self._fingerprint = saver, thread_id, found, fingerprint
        self._interrupts: dict[str, str] = {}
        """Ids of interrupts, of then and of today. One of a sub-graph is kept by the graphs above it too."""

    async def write(self, level: Level, unfit: Iterable[str]) -> None:
        """Writes it; `unfit` are the keys for which `migrate` is called, those of sub-graphs by their path.

        Raises:
            ThreadOutdated: What a finished branch of the waiting step wrote does not fit.
            GraphError: `migrate` gave what is no state of the graph.
        """
        reach("migrate.before")
        await self._carry("", "", level, frozenset(unfit), {}, "")
        reach("migrate.after")

    async def _carry(
        self, space: str, now: str, level: Level, unfit: frozenset[str], parents: dict[str, str], path: str
    ) -> None:
        """The checkpoint of the namespace `space` to the namespace `now`, those below it first."""
        found = self._found[space]
        mine = frozenset(
            key.removeprefix(path) for key in unfit if key.rpartition("/")[0] == path.rstrip("/")
        )
        checkpoint = _renamed_checkpoint(found.checkpoint, level.new.renamed)
        checkpoint["id"] = checkpoint["id"] if space else new_checkpoint_id()
        checkpoint["ts"] = datetime.now(UTC).isoformat()
        if mine:
            self._refuse_writes(found, mine)
            self._migrate_values(checkpoint, found.checkpoint, level)
        step = found.metadata.get("step", -1) + (0 if space else 1)
        tasks = _tasks(found, checkpoint, level, (space, now), step)
        if database := getattr(self._saver, "file", None):
            moves = [(old, new) for old, (new, _, _) in tasks.items()]
            await database.transact(
                partial(copy_tasks, thread_id=self._thread, moves=moves), key=self._thread
            )
        above = {**parents, now: checkpoint["id"]}
        for old, (new, then, name) in tasks.items():
            below, there = _within(space, f"{then}:{old}"), _within(now, f"{name}:{new}")
            self._interrupts[interrupt_id(below)] = interrupt_id(there)
            if below in self._found:
                await self._carry(below, there, level.below(then), unfit, above, f"{path}{then}/")
        await self._put(found, checkpoint, now, parents, step, tasks, level.new.renamed)

    async def _put(
        self,
        found: Any,
        checkpoint: dict[str, Any],
        now: str,
        parents: Mapping[str, str],
        step: int,
        tasks: Mapping[str, tuple[str, str, str]],
        renamed: Mapping[str, str],
    ) -> None:
        place = {"thread_id": self._thread, "checkpoint_ns": now}
        written: dict[str, list[tuple[str, Any]]] = {}
        for task, channel, value in found.pending_writes or ():
            new, _, _ = tasks.get(task, (task, "", ""))
            if channel == INTERRUPT:
                value = [_as(each, self._interrupts) for each in value]
            written.setdefault(new, []).append((_renamed_channel(channel, renamed), value))
        at: Any = {"configurable": {**place, "checkpoint_id": checkpoint["id"]}}
        for task, writes in written.items():  # kept in the one transaction of their checkpoint
            await self._saver.aput_writes(at, writes, task)
        parent = None if now else found.checkpoint["id"]
        config: Any = {
            "configurable": {**place, "checkpoint_id": parent},
            "metadata": {STAMP: self._fingerprint},
        }
        about = {**found.metadata, STAMP: self._fingerprint, "source": "update", "step": step}
        about["parents"] = dict(parents)
        await self._saver.aput(config, checkpoint, about, checkpoint["channel_versions"])

    def _refuse_writes(self, found: Any, unfit: frozenset[str]) -> None:
        for _, channel, _ in found.pending_writes or ():
            if channel in unfit:
                raise ThreadOutdated(
                    f"thread `{self._thread}` waits beside a finished branch that wrote `{channel}`, which "
                    "does not fit the state; let the version that left the thread end its turn",
                    thread_id=self._thread,
                    keys=(channel,),
                )

    def _migrate_values(self, checkpoint: dict[str, Any], then: Mapping[str, Any], level: Level) -> None:
        values: dict[str, Any] = checkpoint["channel_values"]
        before = {key: value for key, value in values.items() if is_key(key)}
        after: Any = level.graph.migrate(dict(before), level.old)
        if not isinstance(after, Mapping):
            raise GraphError(f"`migrate` returned {type(after).__name__}; return the state, a dict")
        extra = [str(key) for key in after if key not in level.new.keys]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        if extra:
            raise GraphError(
                f"`migrate` returned `{extra[0]}`, which the state does not have; it has "
                f"{', '.join(f'`{key}`' for key in level.new.keys)}"
            )
        versions = checkpoint["channel_versions"]
        newest = self._saver.get_next_version(max(versions.values(), default=None), None)
        for key in before:
            del values[key]
            if key not in after:
                versions.pop(key, None)
        for key, value in after.items():  # pyright: ignore[reportUnknownVariableType]
            if key not in before or value is not before[key] or value != then["channel_values"].get(key):
                versions[key] = newest
            values[key] = value


def _tasks(
    found: Any, checkpoint: Mapping[str, Any], level: Level, spaces: tuple[str, str], step: int
) -> dict[str, tuple[str, str, str]]:
    """The tasks that go on from a checkpoint: the id of then, the one of today, both names of the node."""
    tasks: dict[str, tuple[str, str, str]] = {}
    space, now = spaces
    old_step, new_step = str(found.metadata.get("step", -1) + 1), str(step + 1)
    starts: list[tuple[Start, str]] = []
    for channel, value in found.checkpoint["channel_values"].items():
        starts += [(start, str(index)) for index, start in enumerate(started_by(channel, value))]
    for start, index in starts:
        name = level.new.renamed.get(start.node, start.node)
        ways = level.new.nodes.get(name, ())
        then = level.old.nodes.get(start.node) or tuple(
            f"{BRANCH}{start.node}" if way == f"{BRANCH}{name}" else way for way in ways
        )
        before = (_PUSH, index) if start.sent else (_PULL, *sorted(then))
        after = (_PUSH, index) if start.sent else (_PULL, *sorted(ways))
        old = task_hash(found.checkpoint["id"], _within(space, start.node), old_step, start.node, *before)
        new = task_hash(checkpoint["id"], _within(now, name), new_step, name, *after)
        tasks[old] = (new, start.node, name)
    return tasks


def _within(space: str, name: str) -> str:
    return f"{space}|{name}" if space else name


def _as(interrupt: Any, ids: Mapping[str, str]) -> Any:
    now = ids.get(interrupt.id, interrupt.id)
    return Interrupt(value=interrupt.value, id=now, response_schema=interrupt.response_schema)


def _renamed_checkpoint(checkpoint: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    values = {_renamed_channel(name, renamed): value for name, value in checkpoint["channel_values"].items()}
    for channel, value in values.items():
        if channel.startswith(JOIN) and value:
            values[channel] = {renamed.get(name, name) for name in value}
        if channel == SENDS and value:
            values[channel] = [type(sent)(renamed.get(sent.node, sent.node), sent.arg) for sent in value]
    versions = checkpoint["channel_versions"]
    seen = {
        renamed.get(node, node): {_renamed_channel(name, renamed): version for name, version in each.items()}
        for node, each in checkpoint["versions_seen"].items()
    }
    return {
        **checkpoint,
        "channel_values": values,
        "channel_versions": {_renamed_channel(name, renamed): version for name, version in versions.items()},
        "versions_seen": seen,
        "updated_channels": None,
    }


def _renamed_channel(channel: str, renamed: Mapping[str, str]) -> str:
    if not renamed:
        return channel
    if channel.startswith(BRANCH):
        node = channel.removeprefix(BRANCH)
        return f"{BRANCH}{renamed.get(node, node)}"
    if channel.startswith(JOIN):
        sources, _, node = channel.removeprefix(JOIN).rpartition(":")
        after = "+".join(renamed.get(each, each) for each in sources.split("+"))
        return f"{JOIN}{after}:{renamed.get(node, node)}"
    return channel


def level_of(graph: Blueprint, old: GraphDescription | None, new: GraphDescription) -> Level:
    """The outermost level; what is not known of the graph of then is as it is today."""
    return Level(graph, old or GraphDescription(), new)
