"""Threads at a glance, for those who look after them: which there are, how large, used when. Plain SQL."""

from typing import NamedTuple

from stretto.threads.database import Connection
from stretto.threads.deletion import made_at

_LATEST = """SELECT thread_id, MAX(checkpoint_id) FROM checkpoints WHERE checkpoint_ns = ''
    GROUP BY thread_id ORDER BY MAX(seq) DESC LIMIT ?"""
_COUNT = "SELECT COUNT(DISTINCT thread_id) FROM checkpoints WHERE checkpoint_ns = ''"
_SIZES = (
    "SELECT SUM(LENGTH(checkpoint) + LENGTH(metadata)) FROM checkpoints WHERE thread_id = ?",
    "SELECT SUM(LENGTH(value)) FROM writes WHERE thread_id = ?",
    "SELECT SUM(LENGTH(content)) FROM items WHERE thread_id = ?",
    "SELECT SUM(LENGTH(content)) FROM journal WHERE thread_id = ?",
    "SELECT SUM(LENGTH(content)) FROM events WHERE run_id IN (SELECT run_id FROM runs WHERE thread_id = ?)",
    "SELECT SUM(bytes) FROM media_references WHERE thread_id = ?",
)
_CHECKPOINTS = """SELECT checkpoint_id, metadata FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ''
    ORDER BY seq DESC"""


class Kept(NamedTuple):
    """A thread that is kept."""

    thread_id: str
    used: float | None
    """Seconds since 1970; None where its checkpoints tell no time."""
    bytes: int
    """Of all that is kept of it, its media included."""


def kept_threads(connection: Connection, limit: int) -> list[Kept]:
    """The threads that were used last, the latest first."""
    found = connection.execute(_LATEST, (limit,)).fetchall()
    return [Kept(name, made_at(checkpoint), size_of(connection, name)) for name, checkpoint in found]


def count_threads(connection: Connection) -> int:
    """How many threads are kept."""
    return connection.execute(_COUNT).fetchone()[0]


def size_of(connection: Connection, thread_id: str) -> int:
    """Bytes of all that is kept of a thread."""
    return sum(int(connection.execute(query, (thread_id,)).fetchone()[0] or 0) for query in _SIZES)


def checkpoints_of(connection: Connection, thread_id: str) -> list[tuple[str, bytes]]:
    """Id and metadata of the checkpoints of a thread, the last first."""
    found = connection.execute(_CHECKPOINTS, (thread_id,)).fetchall()
    return [(row[0], bytes(row[1] or b"{}")) for row in found]
