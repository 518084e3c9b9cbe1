"""What is asked of the tables of checkpoints. Knows no serializer and no langgraph.

A thread has namespaces: `""` is its own, those of sub-graphs name the node, or the task it ran in
(`node:task`). Checkpoints are numbered in the order they were written (`seq`): the last one of a namespace is
its tip. Their ids hold a time of day, which can be set back.
"""

import sqlite3
import time
from collections.abc import Collection, Iterable

from stretto._internal.faults import reach
from stretto.errors import ThreadError
from stretto.threads.deletion import delete_traces, unused_since
from stretto.threads.tables import COLUMNS

_WRITTEN = "thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value"

PUT = f"""INSERT INTO checkpoints ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET
    parent_checkpoint_id = excluded.parent_checkpoint_id, type = excluded.type,
    checkpoint = excluded.checkpoint, metadata = excluded.metadata"""
PUT_WRITE = f"INSERT OR IGNORE INTO writes ({_WRITTEN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
PUT_WRITE_AGAIN = PUT_WRITE.replace("IGNORE", "REPLACE")
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
    WHERE thread_id = :thread AND seq NOT IN (
        SELECT seq FROM checkpoints WHERE thread_id = old.thread_id AND checkpoint_ns = old.checkpoint_ns
        ORDER BY seq DESC LIMIT :keep)"""
_OF_TASKS = "SELECT seq FROM checkpoints WHERE thread_id = :thread AND instr(checkpoint_ns, ':')"
_LEFT_WRITES = """DELETE FROM writes WHERE thread_id = ? AND NOT EXISTS (
    SELECT 1 FROM checkpoints AS c WHERE c.thread_id = writes.thread_id
    AND c.checkpoint_ns = writes.checkpoint_ns AND c.checkpoint_id = writes.checkpoint_id)"""
_OLD_THREADS = """SELECT thread_id FROM checkpoints GROUP BY thread_id
    ORDER BY MAX(seq) DESC LIMIT -1 OFFSET ?"""
_OF_RUN = """SELECT seq, thread_id FROM checkpoints
    WHERE json_extract(CAST(metadata AS TEXT), '$.run_id') = ?"""

PUT_GRAPH = "INSERT INTO graphs (fingerprint, content) VALUES (?, ?) ON CONFLICT (fingerprint) DO NOTHING"
GRAPH = "SELECT content FROM graphs WHERE fingerprint = ?"
_AT_ONCE = 100
"""Threads that have their days behind them and go in one transaction; the others go with the next ones."""

Place = tuple[str, str, str]
"""Thread, namespace and checkpoint id."""


def tip_of(connection: sqlite3.Connection, thread_id: str, namespace: str) -> str | None:
    """The id of the last checkpoint of a namespace."""
    found = connection.execute(_TIP, (thread_id, namespace)).fetchone()
    return found and found[0]


def is_kept(connection: sqlite3.Connection, place: Place) -> bool:
    """Whether there is such a checkpoint."""
    return connection.execute(_IS_KEPT, place).fetchone() is not None


def found_by(
    connection: sqlite3.Connection,
    thread_id: str | None,
    namespace: str | None,
    checkpoint_id: str | None,
    before: str | None,
) -> list[tuple[int, bytes]]:
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


def drop_older(
    connection: sqlite3.Connection,
    thread_id: str,
    *,
    keep: int,
    waiting: bool,
    needed: Collection[tuple[str, str]] = (),
) -> None:
    """Keeps the last checkpoints of each namespace, and those `needed` (namespace, id).

    The namespaces of tasks are of no use once their turn has ended, and go unless it is `waiting`.
    """
    given = {"thread": thread_id, "keep": keep}
    old = [seq for seq, *place in connection.execute(_OLDER, given).fetchall() if tuple(place) not in needed]
    if not waiting:
        old += [seq for (seq,) in connection.execute(_OF_TASKS, given)]
    _drop(connection, old, [thread_id])


def drop_runs(connection: sqlite3.Connection, run_ids: Iterable[str]) -> None:
    """Drops what was written by these runs."""
    found = [row for run_id in run_ids for row in connection.execute(_OF_RUN, (run_id,)).fetchall()]
    _drop(connection, [seq for seq, _ in found], {thread_id for _, thread_id in found})


def _drop(connection: sqlite3.Connection, old: Iterable[int], threads: Iterable[str]) -> None:
    reach("prune.before")
    connection.executemany("DELETE FROM checkpoints WHERE seq = ?", [(seq,) for seq in old])
    connection.executemany(_LEFT_WRITES, [(thread_id,) for thread_id in threads])
    reach("prune.after")


def drop_thread(connection: sqlite3.Connection, thread_id: str) -> None:
    """Drops all of a thread."""
    delete_traces(connection, thread_id)


def drop_unused(connection: sqlite3.Connection, since: float, playing: Collection[str]) -> None:
    """Drops threads that were not used since then (seconds since 1970), but none that is `playing`."""
    for thread_id in unused_since(connection, since, now=time.time(), limit=_AT_ONCE):
        if thread_id not in playing:
            drop_thread(connection, thread_id)


def drop_oldest(connection: sqlite3.Connection, keep: int, playing: Collection[str]) -> None:
    """Drops all threads but the `keep` that were used last, and those that are `playing`."""
    for (thread_id,) in connection.execute(_OLD_THREADS, (keep,)).fetchall():
        if thread_id not in playing:
            drop_thread(connection, thread_id)


def copy_thread(connection: sqlite3.Connection, source: str, target: str) -> None:
    """Copies all of a thread; raises ThreadError where there is a thread `target`."""
    if connection.execute("SELECT 1 FROM checkpoints WHERE thread_id = ? LIMIT 1", (target,)).fetchone():
        raise ThreadError(f"there is a thread `{target}`; copy to a name that is free, or delete it first")
    for table, columns, order in (("checkpoints", COLUMNS, "seq"), ("writes", _WRITTEN, "rowid")):
        rest = columns.removeprefix("thread_id, ")
        connection.execute(
            f"INSERT INTO {table} (thread_id, {rest}) SELECT ?, {rest} FROM {table} WHERE thread_id = ? "
            f"ORDER BY {order}",
            (target, source),
        )
