"""Runs whose callers leave, whose processes end, whose loops are held up: no thread is blocked by them."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stretto._internal.owner import this_process
from stretto.graph import Conversation
from stretto.threads import runs
from stretto.threads.runs import Ticket
from stretto.threads.stores import open_store
from stretto.threads.turns import Turns


class Slow:
    """A database whose answers come late: what was written is there when its caller leaves."""

    seal = None

    def __init__(self, inner: Any) -> None:
        self.inner, self.slow, self.written = inner, False, asyncio.Event()

    async def transact(self, work: Any, **options: Any) -> Any:
        found = await self.inner.transact(work, **options)
        if self.slow:
            self.slow = False
            self.written.set()
            await asyncio.Event().wait()
        return found


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Slow]:
    async with open_store("sqlite", tmp_path / "t.sqlite", Conversation) as saver:
        yield Slow(saver.file)


def ticket(run_id: str, *, kept: bool = False) -> Ticket:
    return Ticket(run_id, "t", "default", "agent", run_id.encode(), kept)


async def statuses(database: Slow) -> dict[str, str]:
    query = "SELECT run_id, status FROM runs ORDER BY place"
    return dict(await database.transact(lambda c: c.execute(query).fetchall(), writes=False))


async def leave(database: Slow, coroutine: Any) -> None:
    """Leaves twice, once what it does is written."""
    database.slow = True
    task = asyncio.create_task(coroutine)
    await database.written.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


def nothing(result: Any) -> bytes:
    return b""


async def test_who_leaves_while_it_arrives_leaves_no_run_behind(database: Slow) -> None:
    turns = Turns(database)
    await leave(database, turns.arrive(ticket("a"), "reject"))
    assert await statuses(database) == {}
    hold = await turns.arrive(ticket("b"), "reject")
    assert hold.token and not hold.left
    await hold.end("done", nothing)


@pytest.mark.parametrize("before", [True, False])
async def test_who_leaves_while_its_run_ends_ends_it_all_the_same(database: Slow, before: bool) -> None:
    turns = Turns(database)
    hold = await turns.arrive(ticket("a"), "reject")
    if before:  # nothing was written

        async def held_up(work: Any, **options: Any) -> Any:
            del database.transact
            database.slow = False
            database.written.set()
            await asyncio.Event().wait()

        database.transact = held_up  # type: ignore[method-assign]
    await leave(database, hold.end("done", nothing))
    assert await statuses(database) == {} and not turns._holds and turns._timer is None


async def test_who_leaves_while_it_takes_a_run_up_leaves_it_to_the_next(database: Slow) -> None:
    turns = Turns(database)
    hold = await turns.arrive(ticket("a", kept=True), "reject")
    await hold.end("cancelled", nothing)
    await leave(database, turns.take_up("a"))
    again = await turns.take_up("a")
    assert again is not None and await turns.take_up("a") is None
    await again.turn()
    await again.end("done", nothing)
    assert await statuses(database) == {"a": "done"}


def dead() -> str:
    """The name of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return f"{this_process().split('|')[0]}|{child.pid}|1"


async def test_a_question_whose_process_ended_waits_for_who_gets_the_thread(database: Slow) -> None:
    turns = Turns(database)
    playing = await turns.arrive(ticket("a"), "enqueue")
    await turns.arrive(ticket("gone"), "enqueue")
    owner = dead()
    await database.transact(lambda c: c.execute("UPDATE runs SET owner = ? WHERE run_id = 'gone'", (owner,)))
    turns._leave_line(turns._holds.pop("gone"))
    waiting = await turns.arrive(ticket("b"), "enqueue")
    await waiting.end("cancelled", nothing)  # it leaves the line, and takes nobody's question with it
    last = await turns.arrive(ticket("c"), "enqueue")
    await playing.end("done", nothing)
    await last.turn()
    assert [left.asked for left in last.left] == [b"gone"] and await statuses(database) == {"c": "playing"}
    await last.end("done", nothing)


async def test_runs_that_are_taken_up_one_by_one_do_not_close_those_behind_them(database: Slow) -> None:
    turns = Turns(database)
    holds = [await turns.arrive(ticket(name, kept=True), "enqueue") for name in "abc"]
    for hold in holds:
        await hold.end("cancelled", nothing)
    for name in "abc":
        assert await database.transact(lambda c: runs.given_up(c, "agent")) == [*"abc"["abc".index(name) :]]
        hold = await turns.take_up(name)
        assert hold is not None
        await hold.turn()
        assert not hold.left
        await hold.end("done", nothing)
    assert await statuses(database) == {"a": "done", "b": "done", "c": "done"}


async def test_what_a_run_took_in_goes_along_when_its_process_ends(database: Slow) -> None:
    turns = Turns(database)
    leader = await turns.arrive(ticket("a", kept=True), "merge")
    other = await turns.arrive(ticket("b", kept=True), "merge")
    await leader.merge()
    assert other.taken_by == "a"
    await leader.end("cancelled", nothing)
    again = await turns.take_up("a")
    assert again is not None and [left.asked for left in again.left] == [b"b"]
    await again.end("done", nothing)
    await other.end("done", nothing)


async def test_a_run_whose_loop_was_held_up_is_not_taken_for_one_that_was_left(
    database: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = Turns(database)
    hold = await turns.arrive(ticket("a", kept=True), "reject")
    now = runs.time.time()
    monkeypatch.setattr("stretto.threads.runs.time.time", lambda: now + 2 * runs.PATIENCE)
    assert (await database.transact(lambda c: runs.ended(c, "a")))[0] == "playing"
    assert await turns.take_up("a") is None
    assert await database.transact(lambda c: runs.given_up(c, "agent")) == []
    await hold.end("done", nothing)


async def test_one_beat_follows_another_however_runs_come_and_go(
    database: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stretto.threads.turns._BEAT", 0.0)
    turns = Turns(database)
    beats: list[int] = []
    inner = database.transact

    async def counting(work: Any, **options: Any) -> Any:
        if work is runs.wishes:
            beats.append(1)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            beats.pop()
            assert not beats, "two beats at once"
        return await inner(work, **options)

    database.transact = counting  # type: ignore[method-assign]
    for number in range(50):
        hold = await turns.arrive(ticket(str(number)), "reject")
        for _ in range(number % 5):
            await asyncio.sleep(0)
        await hold.end("done", nothing)
    assert turns._timer is None
    if turns._beating is not None:
        await turns._beating
    assert turns._timer is None and turns._beating is None


@pytest.mark.parametrize("name", ["_LIVE", "_WISHES", "_OLD", "_TOOK_IN", "_STATUS", "_KEPT_RUN", "_WAITING"])
async def test_what_is_asked_at_every_turn_and_beat_scans_no_ended_run(name: str, database: Slow) -> None:
    statement = getattr(runs, name)
    values = ("x",) * statement.count("?")
    rows = await database.transact(
        lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall(),
        writes=False,
    )
    assert rows and all("SCAN" not in row[3] for row in rows), rows
