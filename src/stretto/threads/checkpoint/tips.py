"""The tips of threads, read without building what they hold: where a thread stands, and which keys it has.

Knows how langgraph names the channels that start nodes, and no graph.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgspec
import ormsgpack
from langgraph.checkpoint.serde.jsonplus import EXT_CONSTRUCTOR_POS_ARGS, EXT_CONSTRUCTOR_SINGLE_ARG

from stretto.threads.checkpoint.items import lists_in
from stretto.threads.checkpoint.packed import Packed
from stretto.threads.database import Connection

BRANCH = "branch:to:"
JOIN = "join:"
SENDS = "__pregel_tasks"
INTERRUPT = "__interrupt__"
_PLAIN = (b"langgraph.types", b"builtins")
"""Where the few objects come from that are built: what was sent to a node, and sets."""
_AT_ONCE = 200
"""Threads that are read in one transaction."""
_THREADS = "SELECT DISTINCT thread_id FROM checkpoints WHERE checkpoint_ns = '' ORDER BY thread_id"
_TIPS = """SELECT c.thread_id, c.checkpoint_ns, c.checkpoint_id, c.type, c.checkpoint, c.metadata
    FROM checkpoints AS c JOIN (SELECT MAX(seq) AS seq FROM checkpoints WHERE thread_id IN ({marks})
    GROUP BY thread_id, checkpoint_ns) AS tips ON c.seq = tips.seq ORDER BY c.seq"""
_WRITTEN = """SELECT w.thread_id, w.checkpoint_ns, w.checkpoint_id, w.task_id, w.channel, w.type, w.value
    FROM writes AS w JOIN checkpoints AS c ON c.thread_id = w.thread_id
    AND c.checkpoint_ns = w.checkpoint_ns AND c.checkpoint_id = w.checkpoint_id
    JOIN (SELECT MAX(seq) AS seq FROM checkpoints WHERE thread_id IN ({marks})
    GROUP BY thread_id, checkpoint_ns) AS tips ON c.seq = tips.seq"""


class Start(NamedTuple):
    """What starts a node."""

    node: str
    sources: tuple[str, ...] = ()
    """For a join: the nodes it waits for."""
    sent: bool = False
    """Whether it was sent to the node, with an input of its own."""

    @property
    def label(self) -> str:
        """For people: the node, and for a join that was begun what it waits for."""
        return f"{self.node} (after {' and '.join(self.sources)})" if self.sources else self.node


class Tip(msgspec.Struct, frozen=True):
    """The last checkpoint of a namespace."""

    checkpoint_id: str
    fingerprint: str | None
    """Of the graph that wrote it."""
    starts: tuple[Start, ...]
    """What starts the nodes it goes on with; empty where the turn has ended."""
    held: frozenset[str]
    """State keys with a value."""
    asked: bool
    """Whether it waits for an answer."""
    parents: dict[str, str]
    """Of a sub-graph: the checkpoints it runs under, by namespace."""
    at: str
    """When it was made."""


def tip_of(
    checkpoint: Mapping[str, Any], metadata: Mapping[str, Any], writes: Iterable[tuple[str, str, Any]]
) -> Tip:
    """The tip that a checkpoint is, with what tasks wrote on top of it (task, channel, value)."""
    values: Mapping[str, Any] = checkpoint["channel_values"]
    starts = dict.fromkeys(_starts(checkpoint))
    held = {key for key, value in values.items() if is_key(key) and not _is_empty(value)}
    asked = False
    for _, channel, value in writes:
        asked = asked or channel == INTERRUPT
        for start in started_by(channel, value):
            starts[start] = None
        if is_key(channel) and not _is_empty(value):
            held.add(channel)
    return Tip(
        checkpoint["id"],
        metadata.get("stretto_graph"),
        tuple(starts),
        frozenset(held),
        asked,
        dict(metadata.get("parents") or {}),
        str(checkpoint.get("ts") or ""),
    )


def _starts(checkpoint: Mapping[str, Any]) -> Iterator[Start]:
    values: Mapping[str, Any] = checkpoint["channel_values"]
    seen: Mapping[str, Mapping[str, Any]] = checkpoint["versions_seen"]
    for channel, version in checkpoint["channel_versions"].items():
        if channel not in values:
            continue
        for start in started_by(channel, values[channel]):
            before = seen.get(start.node, {}).get(channel)
            if start.sent or before is None or version > before:
                yield start


def started_by(channel: str, value: Any) -> Iterator[Start]:
    """The nodes that a channel with this value starts."""
    if channel.startswith(BRANCH):
        yield Start(channel.removeprefix(BRANCH))
    elif channel.startswith(JOIN) and value:
        sources, _, node = channel.removeprefix(JOIN).rpartition(":")
        yield Start(node, tuple(sources.split("+")))
    elif channel == SENDS:
        for sent in cast("Sequence[Any]", value if isinstance(value, list | tuple) else [value]):
            node = getattr(sent, "node", sent)
            if isinstance(node, str):
                yield Start(node, sent=True)


def is_key(channel: str) -> bool:
    """Whether a channel is a key of the state."""
    return not channel.startswith(("__", BRANCH, JOIN))


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict | set | tuple) and not value)


def read_threads(connection: Connection) -> list[str]:
    """The ids of all threads with a checkpoint."""
    return [row[0] for row in connection.execute(_THREADS).fetchall()]


def in_parts(thread_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """The threads in parts, each for one transaction."""
    for begin in range(0, len(thread_ids), _AT_ONCE):
        yield thread_ids[begin : begin + _AT_ONCE]


def read_tips(connection: Connection, thread_ids: Sequence[str], packed: Packed) -> dict[str, dict[str, Tip]]:
    """The tips of these threads by thread and namespace, those of sub-graphs while their turn has not ended.

    Args:
        connection: In a transaction.
        thread_ids: Not more than `in_parts` gives.
        packed: Reads what is kept.
    """
    marks = ", ".join("?" * len(thread_ids))
    written: dict[tuple[str, str, str], list[tuple[str, str, Any]]] = {}
    for *place, task, channel, kind, value in connection.execute(
        _WRITTEN.format(marks=marks), thread_ids
    ).fetchall():
        read: Any = None
        if channel != INTERRUPT:
            read = _shallow(*packed.read("writes", place[0], kind, value))
        written.setdefault((place[0], place[1], place[2]), []).append((task, channel, read))
    found: dict[str, dict[str, Tip]] = {}
    for thread_id, space, checkpoint_id, kind, content, about in connection.execute(
        _TIPS.format(marks=marks), thread_ids
    ).fetchall():
        checkpoint = _shallow(*packed.read("checkpoints", thread_id, kind, content, about))
        checkpoint["channel_values"].update(lists_in(kind))
        more = written.get((thread_id, space, checkpoint_id), ())
        found.setdefault(thread_id, {})[space] = tip_of(checkpoint, json.loads(about or b"{}"), more)
    return {thread_id: alive(tips) for thread_id, tips in found.items() if "" in tips}


def alive(tips: Mapping[str, Tip]) -> dict[str, Tip]:
    """The thread's own tip, and those of the sub-graphs that run under it."""
    own = tips[""]
    return {
        space: tip
        for space, tip in tips.items()
        if not space or (tip.parents.get("") == own.checkpoint_id and tip.starts)
    }


def _shallow(kind: str, content: bytes) -> Any:
    if kind != "msgpack":
        return content or None
    return ormsgpack.unpackb(bytes(content), ext_hook=_object, option=ormsgpack.OPT_NON_STR_KEYS)


def _object(code: int, content: bytes) -> Any:
    """An object as it is kept; of those that are not looked into, that there is one."""
    if code not in (EXT_CONSTRUCTOR_POS_ARGS, EXT_CONSTRUCTOR_SINGLE_ARG) or not any(
        name in content[:24] for name in _PLAIN
    ):
        return True
    module, name, payload = ormsgpack.unpackb(content, ext_hook=_unread, option=ormsgpack.OPT_NON_STR_KEYS)[
        :3
    ]
    if (module, name) == ("langgraph.types", "Send"):
        return payload[0]
    return list(payload) if name in ("set", "frozenset") else True


def _unread(code: int, content: bytes) -> bool:
    return True
