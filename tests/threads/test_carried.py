"""Journal and effects follow a task to its new id; a fork takes journal and media, never the effects."""

import sqlite3
from collections.abc import Iterator

import pytest

from stretto.threads.carried import OF_TASKS, copy_tasks, copy_to_fork
from stretto.threads.tables import prepare


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    prepare(opened)
    opened.execute("INSERT INTO journal VALUES ('t', 'old', 0, x'01'), ('t', 'other', 0, x'02')")
    opened.execute("INSERT INTO effects VALUES ('t', 'old', 0, 'k', 'pay', 'once', '{}', 'done', 1.0, x'03')")
    opened.execute("INSERT INTO media_references VALUES ('t', 'f00', 'acme', 3, 'image/png')")
    yield opened
    opened.close()


def test_what_a_task_did_is_found_under_its_new_id_however_often_it_is_copied(
    connection: sqlite3.Connection,
) -> None:
    for _ in range(2):
        copy_tasks(connection, "t", [("old", "new"), ("unknown", "x")])
    rows = connection.execute("SELECT task_id, content FROM journal ORDER BY task_id").fetchall()
    assert rows == [("new", b"\1"), ("old", b"\1"), ("other", b"\2")]
    effects = connection.execute("SELECT task_id, effect_key, state FROM effects ORDER BY task_id").fetchall()
    assert effects == [("new", "k", "done"), ("old", "k", "done")]


def test_all_tables_with_rows_of_a_task_are_found_by_their_declarations(
    connection: sqlite3.Connection,
) -> None:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    found = set[str]()
    for (name,) in tables:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
        if {"thread_id", "task_id"} <= set(columns) and "checkpoint_id" not in columns:
            found.add(name)
            assert set(columns) == {"thread_id", "task_id", *OF_TASKS[name]}
    assert found == set(OF_TASKS) == {"journal", "effects"}


def test_a_fork_has_the_journal_and_the_media_and_no_effect(connection: sqlite3.Connection) -> None:
    copy_to_fork(connection, "t", "fork")
    count = "SELECT COUNT(*) FROM {} WHERE thread_id = 'fork'"
    assert connection.execute(count.format("journal")).fetchone() == (2,)
    assert connection.execute(count.format("media_references")).fetchone() == (1,)
    assert connection.execute(count.format("effects")).fetchone() == (0,)
