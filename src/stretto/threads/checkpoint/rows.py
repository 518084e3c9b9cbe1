"""What is asked of the tables of checkpoints, in the SQL of all databases. Knows no serializer, no langgraph.

A thread has namespaces: `""` is its own, those of sub-graphs name the node, or the task it ran in
(`node:task`). Checkpoints are numbered in the order they were written (`seq`): the last one of a namespace is
its tip. Their ids hold a time of day, which can be set back.
"""

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from stretto._internal.faults import reach
from stretto.errors import ThreadError
from stretto.threads.database import Connection, Work
from stretto.threads.deletion import delete_traces, unused_since
from stretto.threads.tables import COLUMNS

_WRITTEN = "thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value"

PUT = f"""INSERT INTO checkpoints ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET
    parent_checkpoint_id = excluded.parent_checkpoint_id, type = excluded.type,
    checkpoint = excluded.checkpoint, metadata = excluded.metadata"""
PUT_WRITE = f"""INSERT INTO writes ({_WRITTEN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) DO NOTHING"""
PUT_WRITE_AGAIN = PUT_WRITE.replace(
    "NOTHING",
    "UPDATE SET task_path = excluded.task_path, channel = excluded.channel, type = excluded.type, "
    "value = excluded.value",
)
WRITES = """SELECT task_id, channel, type, value FROM writes
    WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ? ORDER BY task_path, task_id, idx"""
_TIP = """SELECT checkpoint_id FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ?
    ORDER BY seq DESC LIMIT 1"""
LATEST = f"""SELECT {COLUMNS} FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ?
    ORDER BY seq DESC LIMIT 1"""
ONE = f"SELECT {COLUMNS} FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"
BY_SEQ = f"SELECT {COLUMNS} FROM checkpoints WHERE seq = ?"
_IS_KEPT = "SELECT 1 FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"
_OLDER = """SELECT seq, checkpoint_ns, checkpoint_id FROM checkpoints AS old
    WHERE thread_id = ? AND seq NOT IN (
        SELECT seq FROM checkpoints WHERE thread_id = old.thread_id AND checkpoint_ns = old.checkpoint_ns
        ORDER BY seq DESC LIMIT ?)"""
_OF_TASKS = "SELECT seq FROM checkpoints WHERE thread_id = ? AND checkpoint_ns LIKE '%:%'"
_LEFT_WRITES = """DELETE FROM writes WHERE thread_id = ? AND NOT EXISTS (
    SELECT 1 FROM checkpoints AS c WHERE c.thread_id = writes.thread_id
    AND c.checkpoint_ns = writes.checkpoint_ns AND c.checkpoint_id = writes.checkpoint_id)"""
_OLD_THREADS = """SELECT thread_id FROM checkpoints GROUP BY thread_id
    ORDER BY MAX(seq) DESC LIMIT 9223372036854775807 OFFSET ?"""
_NEXT = "SELECT seq, thread_id, metadata FROM checkpoints WHERE seq > ? ORDER BY seq LIMIT 1000"

_TABLES = {
    "checkpoints": (COLUMNS, "seq"),
    "writes": (_WRITTEN, "task_id, idx"),
    "items": ("thread_id, item, type, content", "item"),
}
"""Their columns, and in which order they are copied."""

Moved = Callable[..., bytes | None]
PUT_GRAPH = "INSERT INTO graphs (fingerprint, content) VALUES (?, ?) ON CONFLICT (fingerprint) DO NOTHING"
GRAPH = "SELECT content FROM graphs WHERE fingerprint = ?"
_AT_ONCE = 100
"""Threads that have their days behind them and go in one transaction; the others go with the next ones."""

Place = tuple[str, str, str]
"""Thread, namespace and checkpoint id."""


def tip_of(connection: Connection, thread_id: str, namespace: str) -> str | None:
    """The id of the last checkpoint of a namespace."""
    found = connection.execute(_TIP, (thread_id, namespace)).fetchone()
    return found and found[0]


def is_kept(connection: Connection, place: Place) -> bool:
    """Whether there is such a checkpoint."""
    return connection.execute(_IS_KEPT, place).fetchone() is not None


def found_by(
    connection: Connection,
    thread_id: str | None,
    namespace: str | None,
    checkpoint_id: str | None,
    before: str | None,
) -> Sequence[tuple[int, bytes]]:
    """Number and metadata of checkpoints, the last first; None does not restrict."""
    given = {
        "thread_id = ?": thread_id,
        "checkpoint_ns = ?": namespace,
        "checkpoint_id = ?": checkpoint_id,
        "checkpoint_id < ?": before,
    }
    wheres = [where for where, value in given.items() if value is not None]
    query = "SELECT seq, metadata FROM checkpoints" + " WHERE " * bool(wheres) + " AND ".join(wheres)
    values = [value for value in given.values() if value is not None]
    return connection.execute(query + " ORDER BY seq DESC", values).fetchall()


def about_of(metadata: bytes | None, thread_id: str) -> Any:
    """The metadata of a checkpoint of this thread; raises ThreadError where they are damaged."""
    try:
        return json.loads(metadata) if metadata else {}
    except ValueError:
        raise ThreadError(f"thread `{thread_id}`: the metadata of a checkpoint are damaged") from None


def matching(
    config: Any, filter: Mapping[str, Any] | None, before: Any, limit: int | None
) -> Work[list[int]]:
    """Numbers of checkpoints, the last first: what `list` of langgraph's protocol is asked for."""
    given: Any = config["configurable"] if config else {}
    thread_id = given.get("thread_id")
    earlier = before["configurable"].get("checkpoint_id") if before else None

    def work(connection: Connection) -> list[int]:
        found = found_by(
            connection,
            None if thread_id is None else str(thread_id),
            given.get("checkpoint_ns"),
            given.get("checkpoint_id"),
            earlier,
        )
        if filter:
            found = [row for row in found if _holds(about_of(row[1], str(thread_id)), filter)]
        return [seq for seq, _ in found[:limit]]

    return work


def _holds(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(metadata.get(key) == value for key, value in wanted.items())


def drop_older(
    connection: Connection,
    thread_id: str,
    *,
    keep: int,
    waiting: bool,
    needed: Collection[tuple[str, str]] = (),
) -> None:
    """Keeps the last checkpoints of each namespace, and those `needed` (namespace, id).

    The namespaces of tasks are of no use once their turn has ended, and go unless it is `waiting`.
    """
    older = connection.execute(_OLDER, (thread_id, keep)).fetchall()
    old = [seq for seq, *place in older if tuple(place) not in needed]
    if not waiting:
        old += [seq for (seq,) in connection.execute(_OF_TASKS, (thread_id,)).fetchall()]
    _drop(connection, old, [thread_id])


def drop_runs(connection: Connection, run_ids: Iterable[str]) -> set[str]:
    """Drops what was written by these runs; gives their threads."""
    wanted, last = set(run_ids), -1
    old: list[int] = []
    threads: set[str] = set()
    while found := connection.execute(_NEXT, (last,)).fetchall():
        for last, thread_id, metadata in found:
            if about_of(metadata, thread_id).get("run_id") in wanted:
                old.append(last)
                threads.add(thread_id)
    _drop(connection, old, threads)
    return threads


def _drop(connection: Connection, old: Iterable[int], threads: Iterable[str]) -> None:
    reach("prune.before")
    connection.executemany("DELETE FROM checkpoints WHERE seq = ?", [(seq,) for seq in old])
    connection.executemany(_LEFT_WRITES, [(thread_id,) for thread_id in threads])
    reach("prune.after")


def drop_thread(connection: Connection, thread_id: str) -> None:
    """Drops all of a thread."""
    delete_traces(connection, thread_id)


def drop_unused(connection: Connection, since: float, playing: Collection[str]) -> list[str]:
    """Drops threads not used since then (seconds since 1970) and not `playing`; gives the dropped ones."""
    unused = unused_since(connection, since, now=time.time(), limit=_AT_ONCE)
    dropped = [thread_id for thread_id in unused if thread_id not in playing]
    for thread_id in dropped:
        drop_thread(connection, thread_id)
    return dropped


def drop_oldest(connection: Connection, keep: int, playing: Collection[str]) -> list[str]:
    """Drops all threads but the `keep` used last and those that are `playing`; gives the dropped ones."""
    old = [thread_id for (thread_id,) in connection.execute(_OLD_THREADS, (keep,)).fetchall()]
    dropped = [thread_id for thread_id in old if thread_id not in playing]
    for thread_id in dropped:
        drop_thread(connection, thread_id)
    return dropped


def copy_thread(connection: Connection, source: str, target: str, moved: Moved) -> None:
    """Copies all of a thread; raises ThreadError where there is a thread `target`.

    Args:
        connection: In a transaction.
        source: A thread.
        target: Its copy.
        moved: Gives the content of a row of the copy, for table, threads, and the row from its `type` on.
    """
    if connection.execute("SELECT 1 FROM checkpoints WHERE thread_id = ? LIMIT 1", (target,)).fetchone():
        raise ThreadError(f"there is a thread `{target}`; copy to a name that is free, or delete it first")
    for table, (columns, order) in _TABLES.items():
        rest = columns.removeprefix("thread_id, ")
        kind = rest.split(", ").index("type")
        query = f"SELECT {rest} FROM {table} WHERE thread_id = ? ORDER BY {order}"
        copies = [
            (target, *row[: kind + 1], moved(table, source, target, *row[kind:]), *row[kind + 2 :])
            for row in connection.execute(query, (source,)).fetchall()
        ]
        marks = ", ".join("?" * (rest.count(",") + 2))
        connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", copies)
