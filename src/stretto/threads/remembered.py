"""The rows of what is remembered across threads. Plain SQL; knows no embedder and no langgraph.

A row has content (the value, and which of its fields are embedded) and vectors, both behind a seal.
Namespaces and names are not encrypted.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from stretto._internal.namespaces import below
from stretto.errors import ConfigError, ThreadError
from stretto.threads.database import Connection
from stretto.threads.seal import Seal

Paths = list[str] | bool | None
"""Which fields are embedded: these, none (False), or those of the store (None)."""

_COLUMNS = "namespace, name, content, vector, created, updated, ttl"
_ALIVE = "(until = 0 OR until > ?)"
_ONE = f"SELECT {_COLUMNS} FROM memories WHERE namespace = ? AND name = ? AND {_ALIVE}"
_ALL = f"SELECT {_COLUMNS} FROM memories WHERE {_ALIVE}"
_LATEST = " ORDER BY updated DESC, namespace, name"
_BELOW = " AND (namespace = ? OR (namespace >= ? AND namespace < ?))"
_SPACES = f"SELECT DISTINCT namespace FROM memories WHERE {_ALIVE}"
_PUT = """INSERT INTO memories (namespace, name, content, vector, created, updated, ttl, until)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (namespace, name) DO UPDATE SET content = excluded.content,
    vector = excluded.vector, updated = excluded.updated, ttl = excluded.ttl, until = excluded.until"""
_EXPIRED = "DELETE FROM memories WHERE namespace = ? AND until > 0 AND until <= ?"
_DROP = "DELETE FROM memories WHERE namespace = ? AND name = ?"

EMBED = "UPDATE memories SET vector = ? WHERE namespace = ? AND name = ? AND updated = ?"
"""Only what nobody has written since."""
REFRESH = "UPDATE memories SET until = ? WHERE namespace = ? AND name = ? AND until > 0"


class Row(NamedTuple):
    """A row as it is kept."""

    namespace: str
    name: str
    content: bytes
    vector: bytes
    created: float
    updated: float
    ttl: float
    """Seconds it stays after it was used; 0: for ever."""


class Content(msgspec.Struct, array_like=True):
    """What the content of a row says."""

    value: dict[str, Any]
    paths: Paths = None


class Vectors(NamedTuple):
    """What an embedder made of a value: its own name, and float32 numbers, one vector behind the other."""

    embedder: str = ""
    numbers: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Content).decode


def one(connection: Connection, namespace: str, name: str, now: float) -> Row | None:
    """A row by its name, if it is there at the time `now` (seconds since 1970)."""
    found = connection.execute(_ONE, (namespace, name, now)).fetchone()
    return Row(*found) if found else None


def within(
    connection: Connection, namespace: str, now: float, *, limit: int | None = None, offset: int = 0
) -> list[Row]:
    """The rows of a namespace and of all below it (of all, where it is empty), the latest first."""
    query, values = _ALL, [now]
    given: list[Any] = list(values)
    if namespace:
        query, given = query + _BELOW, [*values, namespace, *below(namespace)]
    query += _LATEST
    if limit is not None:
        query, given = f"{query} LIMIT ? OFFSET ?", [*given, limit, offset]
    return [Row(*found) for found in connection.execute(query, given).fetchall()]


def namespaces(connection: Connection, now: float) -> list[str]:
    """Those that hold something."""
    return [row[0] for row in connection.execute(_SPACES, (now,)).fetchall()]


def put(connection: Connection, row: Row) -> None:
    """Keeps a row; one of its name is replaced, and keeps the time at which it was created."""
    connection.execute(_EXPIRED, (row.namespace, row.updated))
    until = row.updated + row.ttl if row.ttl else 0.0
    connection.execute(_PUT, (*row, until))


def drop(connection: Connection, rows: Iterable[tuple[str, str]]) -> int:
    """Deletes rows by namespace and name; returns how many were there."""
    return sum(connection.execute(_DROP, each).rowcount for each in rows)


class Sealing:
    """Packs what rows hold.

    Args:
        seal: Stands around it.
    """

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def packed(self, namespace: str, name: str, content: Content) -> bytes:
        """The bytes of a row's content; raises ConfigError for a value that is not plain data."""
        try:
            plain = _encode(content)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ConfigError(
                f"`{name}` cannot be remembered, its value is not plain data: {error}"
            ) from None
        return self._seal.seal(plain, _about("content", namespace, name))

    def packed_vectors(self, namespace: str, name: str, vectors: Vectors) -> bytes:
        """The bytes of a row's vectors."""
        plain = vectors.embedder.encode() + b"\0" + vectors.numbers
        return self._seal.seal(plain, _about("vector", namespace, name))

    def content(self, row: Row) -> Content:
        """What a row holds; raises ThreadError where it is damaged, or of another key."""
        return _decode(self._read(row, "content", row.content))

    def vectors(self, row: Row) -> Vectors:
        """The vectors of a row; raises ThreadError likewise."""
        embedder, _, numbers = self._read(row, "vector", row.vector).partition(b"\0")
        return Vectors(embedder.decode(), numbers)

    def _read(self, row: Row, column: str, content: bytes) -> bytes:
        try:
            return self._seal.unseal(content, _about(column, row.namespace, row.name))
        except ThreadError as error:
            raise ThreadError(f"what is remembered in `{row.namespace}` as `{row.name}` {error}") from None


def execute_all(connection: Connection, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
    """Runs statements with their values."""
    for statement, values in statements:
        connection.execute(statement, values)


def _about(column: str, namespace: str, name: str) -> bytes:
    return "\0".join(("memories", column, namespace, name)).encode()
