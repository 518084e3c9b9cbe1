"""Deletes every trace of a thread, and says which threads have their time behind them. Plain SQL.

Which tables hold something of a thread is read from their declarations, so that none is forgotten: those with
a `thread_id`, and those with the `run_id` of its runs. Knows no media: whoever keeps their bytes lets go of
what no thread holds any more.
"""

import re
from collections.abc import Iterator

from stretto._internal.faults import reach
from stretto._internal.namespaces import below
from stretto.threads.database import Connection
from stretto.threads.tables import TABLES

_DECLARED = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+) \((.*)\)\s*$", re.S)
_UUID6 = "________-____-6%"
"""What ids of checkpoints look like: they begin with the time they were made at."""
_1582 = 0x01B21DD213814000
"""From the beginning of their time to that of Unix, in steps of 100 ns."""

_UNUSED = """SELECT thread_id FROM checkpoints GROUP BY thread_id
    HAVING MAX(checkpoint_id) < ? AND MAX(checkpoint_id) LIKE ? ORDER BY MAX(seq)"""
_BARE = """SELECT thread_id FROM runs GROUP BY thread_id HAVING MAX(began) < ? AND NOT EXISTS (
    SELECT 1 FROM checkpoints WHERE checkpoints.thread_id = runs.thread_id)"""
_WAITS = """SELECT 1 FROM writes WHERE thread_id = ? AND checkpoint_ns = '' AND channel = '__interrupt__'
    AND checkpoint_id = (SELECT checkpoint_id FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ''
    ORDER BY seq DESC LIMIT 1)"""
_HELD = "SELECT 1 FROM runs WHERE thread_id = ? AND status IN ('waiting', 'playing') AND until > ?"
_OF_TENANT = """SELECT thread_id FROM leases WHERE tenant = ? UNION
    SELECT thread_id FROM media_references WHERE tenant = ?"""
_OF_USER = """SELECT thread_id FROM leases WHERE tenant = ? AND user_id = ? UNION
    SELECT thread_id FROM runs WHERE tenant = ? AND user_id = ?"""


def _tables(column: str) -> Iterator[str]:
    for statement in TABLES:
        declared = _DECLARED.match(statement)
        if declared and re.search(rf"\b{column} TEXT\b", declared[2]):
            yield declared[1]


BY_THREAD = tuple(_tables("thread_id"))
"""Tables that hold rows of a thread."""
BY_RUN = tuple(name for name in _tables("run_id") if name not in BY_THREAD)
"""Tables that hold rows of its runs."""


def delete_traces(connection: Connection, thread_id: str) -> None:
    """Deletes all rows of a thread, in the transaction of `connection`."""
    reach("delete.before")
    for table in BY_RUN:
        connection.execute(
            f"DELETE FROM {table} WHERE run_id IN (SELECT run_id FROM runs WHERE thread_id = ?)", (thread_id,)
        )
    for table in BY_THREAD:
        connection.execute(f"DELETE FROM {table} WHERE thread_id = ?", (thread_id,))
    reach("delete.after")


def is_known(connection: Connection, thread_id: str) -> bool:
    """Whether there is anything of this thread."""
    return any(
        connection.execute(f"SELECT 1 FROM {table} WHERE thread_id = ? LIMIT 1", (thread_id,)).fetchone()
        for table in BY_THREAD
    )


def is_waiting(connection: Connection, thread_id: str) -> bool:
    """Whether the thread waits for an answer."""
    return connection.execute(_WAITS, (thread_id, thread_id)).fetchone() is not None


def is_held(connection: Connection, thread_id: str, now: float) -> bool:
    """Whether a turn of the thread runs at the time `now`, in seconds since 1970."""
    return connection.execute(_HELD, (thread_id, now)).fetchone() is not None


def unused_since(
    connection: Connection, at: float, *, now: float, waiting: bool = False, limit: int | None = None
) -> list[str]:
    """The threads without a checkpoint since the time `at`, the oldest first; none that runs at `now`.

    Args:
        connection: In a transaction.
        at: In seconds since 1970.
        now: Likewise.
        waiting: Whether to take those that wait for an answer too.
        limit: At most so many.
    """
    found = [row[0] for row in connection.execute(_UNUSED, (id_at(at), _UUID6)).fetchall()]
    found += [row[0] for row in connection.execute(_BARE, (at,)).fetchall()]
    unused: list[str] = []
    for thread_id in found:
        if len(unused) == limit:
            break
        if not is_held(connection, thread_id, now) and (waiting or not is_waiting(connection, thread_id)):
            unused.append(thread_id)
    return unused


def of_tenant(connection: Connection, tenant: str) -> list[str]:
    """The threads that ran for this tenant."""
    return [row[0] for row in connection.execute(_OF_TENANT, (tenant, tenant)).fetchall()]


def of_user(connection: Connection, tenant: str, user: str) -> list[str]:
    """The threads that ran for this user of this tenant."""
    return [row[0] for row in connection.execute(_OF_USER, (tenant, user) * 2).fetchall()]


def forget(connection: Connection, namespace: str) -> int:
    """Deletes what is remembered across threads in `namespace` (its text) and below it; returns how many."""
    reach("memory.forget.before")
    found = connection.execute(
        "DELETE FROM memories WHERE namespace = ? OR (namespace >= ? AND namespace < ?)",
        (namespace, *below(namespace)),
    )
    reach("memory.forget.after")
    return found.rowcount


def id_at(at: float) -> str:
    """What the ids of checkpoints that were made at the time `at` (seconds since 1970) begin with."""
    steps = max(0, int(at * 10_000_000)) + _1582
    return f"{steps >> 28:08x}-{steps >> 12 & 0xFFFF:04x}-6{steps & 0xFFF:03x}"


def made_at(checkpoint_id: str) -> float | None:
    """When a checkpoint was made, in seconds since 1970, by its id; None for an id that tells no time."""
    high, _, rest = checkpoint_id.partition("-")
    middle, _, low = rest.partition("-")
    if low[:1] != "6":
        return None
    try:
        steps = (int(high, 16) << 28) | (int(middle, 16) << 12) | int(low[1:4], 16)
    except ValueError:
        return None
    return (steps - _1582) / 10_000_000
