"""`ThreadJournal`: rows by thread and task, a transaction each, and never two processes in one place."""

from pathlib import Path
from typing import Any

import pytest

from stretto._internal.faults import listen
from stretto._internal.sqlite_file import SqliteFile
from stretto.errors import ThreadConflict, ThreadError
from stretto.steps import Effect, Recalled
from stretto.threads.journal import ThreadJournal, forget
from stretto.threads.tables import prepare


@pytest.fixture
def database(tmp_path: Path) -> SqliteFile:
    return SqliteFile(tmp_path / "t.sqlite", prepare=prepare, refusal=ThreadError)


def effect(**changed: Any) -> Effect:
    return Effect(**{"key": "k", "tool": "pay", "effect": "once", "arguments": "{}", "at": 1.5, **changed})


async def test_steps_and_effects_are_found_by_thread_and_task(database: SqliteFile) -> None:
    journal = ThreadJournal(database, "t")
    await journal.record("task", {0: b"a", 1: b"b"})
    await journal.intend("task", {2: effect()})
    await journal.settle("task", 2, "done", b"paid")
    again = ThreadJournal(database, "t")
    assert await again.recall("task") == Recalled(
        {0: b"a", 1: b"b"}, {2: effect(standing="done", content=b"paid")}
    )
    assert await again.recall("other") == await ThreadJournal(database, "u").recall("task") == Recalled()
    await again.unsay("task", [1])
    assert (await again.recall("task")).steps == {0: b"a"}


async def test_a_turns_end_drops_its_steps_and_a_threads_end_drops_all(database: SqliteFile) -> None:
    for name in ("t", "u"):
        journal = ThreadJournal(database, name)
        await journal.record("task", {0: b"a"})
        await journal.intend("task", {1: effect()})
    first = ThreadJournal(database, "t")
    await first.recall("task")
    await database.transact(first.end)
    assert await first.recall("task") == Recalled({}, {1: effect()})
    await database.transact(lambda connection: forget(connection, "t"))
    assert await first.recall("task") == Recalled()
    assert await ThreadJournal(database, "u").recall("task") == Recalled({0: b"a"}, {1: effect()})


async def test_of_two_processes_in_one_node_one_begins_an_effect(database: SqliteFile) -> None:
    """One that was stopped and comes back has recalled what is not so any more."""
    first, second = ThreadJournal(database, "t"), ThreadJournal(database, "t")
    assert await first.recall("task") == await second.recall("task") == Recalled()
    await second.intend("task", {0: effect(at=2.0)})
    with pytest.raises(ThreadConflict, match="another process has begun `pay`"):
        await first.intend("task", {0: effect(at=3.0)})
    await second.intend("task", {0: effect(at=4.0, after=2.0)})
    with pytest.raises(ThreadConflict):
        await first.intend("task", {0: effect(at=5.0, after=2.0)})


async def test_a_run_that_may_not_write_any_more_begins_nothing_and_notes_what_it_did(
    database: SqliteFile,
) -> None:
    lost: list[bool] = []

    def fence(connection: Any) -> None:
        if lost:
            raise ThreadConflict("the lease is another's")

    journal = ThreadJournal(database, "t", fence=fence)
    await journal.record("task", {0: b"a"})
    await journal.intend("task", {1: effect()})
    lost.append(True)
    for late in (journal.record("task", {2: b"b"}), journal.intend("task", {3: effect()})):
        with pytest.raises(ThreadConflict, match="lease"):
            await late
    await journal.settle("task", 1, "done", b"paid")
    assert await journal.recall("task") == Recalled({0: b"a"}, {1: effect(standing="done", content=b"paid")})


async def test_each_durable_step_has_a_fault_point_before_and_after(database: SqliteFile) -> None:
    heard: list[str] = []
    listen(heard.append)
    try:
        journal = ThreadJournal(database, "t")
        await journal.recall("task")
        await journal.record("task", {0: b"a"})
        await journal.intend("task", {1: effect()})
        await journal.settle("task", 1, "done", b"")
        await database.transact(journal.end)
    finally:
        listen(None)
    steps = ("journal", "intent", "done", "forget_steps")
    assert heard == [f"{step}.{side}" for step in steps for side in ("before", "after")]


async def test_a_journal_tells_of_which_tasks_it_wrote(database: SqliteFile) -> None:
    journal = ThreadJournal(database, "t")
    assert not journal.wrote("task")
    await journal.record("task", {0: b"a"})
    await journal.intend("other", {0: effect()})
    assert journal.wrote("task") and journal.wrote("other") and not journal.wrote("third")
