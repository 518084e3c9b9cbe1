"""Deleting a thread leaves no row of it in any table, and a thread's age is told by its checkpoints."""

import re
import sqlite3
import time
from collections.abc import Callable, Iterator

import pytest

from stretto._internal import faults
from stretto.threads.deletion import (
    BY_RUN,
    BY_THREAD,
    delete_traces,
    forget,
    id_at,
    is_known,
    is_waiting,
    made_at,
    of_tenant,
    of_user,
    unused_since,
)
from stretto.threads.tables import TABLES, prepare

NOW = 1_800_000_000.0
DAY = 86_400.0
COUNTED = {"seq", "place"}
"""Columns that the database numbers."""
Fill = Callable[..., None]


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    prepare(opened)
    yield opened
    opened.close()


@pytest.fixture
def fill(connection: sqlite3.Connection) -> Fill:
    """`fill(table, **values)`: a row, with whatever its other columns take."""

    def add(table: str, **values: object) -> None:
        usual = {"TEXT": "x", "REAL": 1.0, "BLOB": b"x", "INTEGER": 1}
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        row = {name: values.get(name, usual[kind]) for _, name, kind, *_ in columns if name not in COUNTED}
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))

    return add


def tables_of(connection: sqlite3.Connection) -> dict[str, set[str]]:
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")} for name in names}


def test_no_table_keeps_a_row_of_a_deleted_thread(connection: sqlite3.Connection, fill: Fill) -> None:
    found = tables_of(connection)
    assert len(found) == sum("CREATE TABLE" in statement for statement in TABLES)
    ours = [name for name, columns in found.items() if {"thread_id", "run_id"} & columns]
    assert {"checkpoints", "writes", "items", "leases", "runs", "events", "journal", "effects"} <= set(ours)
    for name in ours:
        fill(name, thread_id="gone", run_id="run of gone")
        fill(name, thread_id="stays", run_id="run of stays")
    delete_traces(connection, "gone")
    for name in ours:
        which = "thread_id" if "thread_id" in found[name] else "run_id"
        left = [row[0] for row in connection.execute(f"SELECT {which} FROM {name}")]
        assert left == ["stays" if which == "thread_id" else "run of stays"], name
    assert not is_known(connection, "gone")
    assert is_known(connection, "stays")


def test_the_tables_to_clear_are_told_by_their_declarations() -> None:
    assert set(BY_RUN) == {"events"}
    declared = [re.match(r"CREATE TABLE IF NOT EXISTS (\w+)", statement) for statement in TABLES]
    others = {name[1] for name in declared if name} - set(BY_THREAD) - set(BY_RUN)
    assert others == {"graphs", "memories", "sealing"}  # a table that belongs to no thread is named here


def test_fault_points_stand_before_and_after(connection: sqlite3.Connection) -> None:
    reached: list[str] = []
    faults.listen(reached.append)
    try:
        delete_traces(connection, "t")
    finally:
        faults.listen(None)
    assert reached == ["delete.before", "delete.after"]


def aged(fill: Fill, thread_id: str, days: float, *, waiting: bool = False) -> None:
    tip = id_at(NOW - days * DAY) + "-8000-000000000000"
    fill("checkpoints", thread_id=thread_id, checkpoint_ns="", checkpoint_id=tip)
    if waiting:
        fill("writes", thread_id=thread_id, checkpoint_ns="", checkpoint_id=tip, channel="__interrupt__")


def test_threads_grow_old_but_not_while_they_wait_or_run(connection: sqlite3.Connection, fill: Fill) -> None:
    aged(fill, "old", 40)
    aged(fill, "older", 50)
    aged(fill, "waiting", 60, waiting=True)
    aged(fill, "running", 60)
    aged(fill, "used again", 60)
    aged(fill, "used again", 1)
    aged(fill, "young", 2)
    fill("checkpoints", thread_id="foreign", checkpoint_ns="", checkpoint_id="1")
    fill("runs", thread_id="running", run_id="c", status="playing", until=NOW + 5)
    fill("runs", thread_id="old", run_id="d", status="playing", until=NOW - 5)
    fill("runs", thread_id="failed at once", run_id="a", began=NOW - 40 * DAY)
    fill("runs", thread_id="failed just now", run_id="b", began=NOW)
    cutoff = NOW - 30 * DAY
    found = unused_since(connection, cutoff, now=NOW)
    assert found == ["old", "older", "failed at once"]
    with_waiting = unused_since(connection, cutoff, now=NOW, waiting=True)
    assert set(with_waiting) == {*found, "waiting"}
    assert unused_since(connection, cutoff, now=NOW, limit=1) == ["old"]
    assert is_waiting(connection, "waiting")
    assert not is_waiting(connection, "old")


def test_a_time_and_the_ids_of_that_time_are_the_same() -> None:
    from langgraph.checkpoint.base.id import uuid6

    before = time.time()
    made = made_at(str(uuid6()))
    assert made is not None
    assert before - 0.01 <= made <= time.time() + 0.01
    assert made_at(id_at(NOW)) == pytest.approx(NOW, abs=1e-5)
    assert made_at("1") is None
    assert id_at(NOW) < id_at(NOW + 0.001)


def test_what_belongs_to_a_tenant_or_a_user_is_found(connection: sqlite3.Connection, fill: Fill) -> None:
    fill("leases", thread_id="a", tenant="acme")
    fill("media_references", thread_id="b", tenant="acme")
    fill("leases", thread_id="c", tenant="other")
    assert set(of_tenant(connection, "acme")) == {"a", "b"}
    fill("leases", thread_id="d", tenant="acme", user_id="ann")
    fill("runs", thread_id="e", run_id="r", tenant="acme", user_id="ann")
    fill("leases", thread_id="f", tenant="other", user_id="ann")
    assert set(of_user(connection, "acme", "ann")) == {"d", "e"}
    for namespace in ("acme/ann", "acme/ann/facts", "acme/anna", "ann"):
        fill("memories", namespace=namespace, name="x")
    assert forget(connection, "acme/ann") == 2
    left = [row[0] for row in connection.execute("SELECT namespace FROM memories ORDER BY namespace")]
    assert left == ["acme/anna", "ann"]
