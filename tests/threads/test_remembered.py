"""Rows of what is remembered: those of one namespace and below it, alive, the latest first."""

import sqlite3
from collections.abc import Iterator

import pytest

from stretto.errors import ConfigError, ThreadError
from stretto.threads import remembered
from stretto.threads.deletion import forget
from stretto.threads.remembered import Content, Row, Sealing, Vectors
from stretto.threads.seal import Checked
from stretto.threads.tables import prepare


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    prepare(opened)
    yield opened
    opened.close()


def row(namespace: str, name: str, at: float, *, ttl: float = 0.0) -> Row:
    return Row(namespace, name, b"c", b"v", at, at, ttl)


def test_rows_are_of_their_namespace_and_those_below_it(connection: sqlite3.Connection) -> None:
    for at, namespace in enumerate(("a", "a/b", "a/b/c", "a/b0", "a/bc", "b")):
        remembered.put(connection, row(namespace, "x", at))
    found = [each.namespace for each in remembered.within(connection, "a/b", 9)]
    assert found == ["a/b/c", "a/b"]
    assert len(remembered.within(connection, "", 9)) == 6
    assert [each.namespace for each in remembered.within(connection, "", 9, limit=2, offset=1)] == [
        "a/bc",
        "a/b0",
    ]
    assert forget(connection, "a/b") == 2
    assert remembered.namespaces(connection, 9) == ["a", "a/b0", "a/bc", "b"]


def test_a_row_that_is_replaced_keeps_when_it_was_created(connection: sqlite3.Connection) -> None:
    remembered.put(connection, row("a", "x", 1))
    remembered.put(connection, row("a", "x", 5))
    found = remembered.one(connection, "a", "x", 9)
    assert found is not None and (found.created, found.updated) == (1, 5)
    assert remembered.drop(connection, [("a", "x"), ("a", "y")]) == 1
    assert remembered.one(connection, "a", "x", 9) is None


def test_a_row_whose_time_is_over_is_not_there_and_goes_with_the_next_one(
    connection: sqlite3.Connection,
) -> None:
    remembered.put(connection, row("a", "x", 1, ttl=10))
    assert remembered.one(connection, "a", "x", 10.9) is not None
    assert remembered.one(connection, "a", "x", 11) is None
    assert remembered.within(connection, "a", 11) == [] and remembered.namespaces(connection, 11) == []
    remembered.put(connection, row("a", "y", 12))
    assert connection.execute("SELECT name FROM memories").fetchall() == [("y",)]


def test_what_a_row_holds_comes_back_from_its_place_only() -> None:
    sealing = Sealing(Checked())
    content = Content({"n": 1, "raw": b"x"}, ["n"])
    kept = Row(
        "a",
        "x",
        sealing.packed("a", "x", content),
        sealing.packed_vectors("a", "x", Vectors("local:minilm", b"\0\1")),
        0,
        0,
        0,
    )
    assert sealing.content(kept).value == content.value and sealing.content(kept).paths == ["n"]
    assert sealing.vectors(kept) == Vectors("local:minilm", b"\0\1")
    for other in (kept._replace(namespace="b"), kept._replace(content=kept.vector)):
        with pytest.raises(ThreadError, match=r"what is remembered in `.` as `x` is damaged"):
            sealing.content(other)
    with pytest.raises(ConfigError, match="`x` cannot be remembered, its value is not plain data"):
        sealing.packed("a", "x", Content({"n": object()}))
