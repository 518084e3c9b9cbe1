"""PostgresDatabase on a real server: who writes when, what is tried again, what is told, what is left."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from stretto._internal.postgres import PostgresDatabase
from stretto.errors import StrettoError, ThreadError

Open = Callable[..., PostgresDatabase]

PREPARE = """
def prepare(connection):
    connection.execute("CREATE SCHEMA IF NOT EXISTS stretto")
    columns = "name TEXT PRIMARY KEY, amount BIGINT, content BYTEA"
    connection.execute(f"CREATE TABLE IF NOT EXISTS sums ({columns})")

def add(name):
    def work(connection):
        found = connection.execute("SELECT amount FROM sums WHERE name = ?", (name,)).fetchone()
        amount = found[0] + 1 if found else 1
        connection.execute(
            "INSERT INTO sums (name, amount) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET amount = ?",
            (name, amount, amount),
        )
        return amount
    return work
"""
_names: dict[str, Any] = {}
exec(PREPARE, _names)
prepare, add = _names["prepare"], _names["add"]


@pytest.fixture
def opened(postgres: str) -> Iterator[Open]:
    """Opens databases at the URL of a fresh one."""
    made: list[PostgresDatabase] = []

    def open_one(**options: Any) -> PostgresDatabase:
        made.append(PostgresDatabase(postgres, prepare=prepare, refusal=ThreadError, **options))
        return made[-1]

    yield open_one
    for database in made:
        database.close()


def kept(name: str) -> Callable[[Any], int | None]:
    def work(connection: Any) -> int | None:
        found = connection.execute("SELECT amount FROM sums WHERE name = ?", (name,)).fetchone()
        return found and found[0]

    return work


def pid_of(connection: Any) -> int:
    return connection.execute("SELECT pg_backend_pid()").fetchone()[0]


def ended(url: str, pid: int, *, kill: bool = True) -> None:
    """Waits until a session has ended, by our hand or by the server's."""
    with psycopg.connect(url, autocommit=True) as other:
        if kill:
            other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone():
            pass


async def test_marks_are_values_and_bytes_come_back_as_bytes(opened: Open) -> None:
    def work(connection: Any) -> Any:
        rows = [("a?'%", 2**40, b"\0\xff" * 9), ("b", -1, None)]
        connection.executemany("INSERT INTO sums VALUES (?, ?, ?)", rows)
        query = "SELECT *, 'what?''?' FROM sums WHERE name LIKE '%?%' AND 7 % 4 = 3 AND amount > ?"
        cursor = connection.execute(query, (5,))
        deleted = connection.execute("DELETE FROM sums").rowcount
        return cursor.fetchone(), cursor.fetchall(), deleted

    row = ("a?'%", 2**40, b"\0\xff" * 9, "what?'?")
    assert await opened().transact(work) == (row, [], 2)


async def test_what_fails_leaves_nothing_behind(opened: Open) -> None:
    database = opened()

    def work(connection: Any) -> None:
        add("a")(connection)
        raise LookupError("of ours")

    with pytest.raises(LookupError, match="of ours"):
        await database.transact(work)

    def swallowed(connection: Any) -> None:
        add("a")(connection)
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT nothing")

    with pytest.raises(ThreadError, match="a statement failed, and the transaction with it"):
        await database.transact(swallowed)
    assert await database.transact(kept("a")) is None


@pytest.mark.parametrize("key", ["t", ""])
async def test_writers_of_one_key_and_writers_of_none_come_one_after_the_other(
    key: str, opened: Open
) -> None:
    databases = [opened(), opened()]
    keys = [key, key] if key else ["t", ""]  # who has no key comes alone
    calls = [
        database.transact(add("a"), key=keys[number % 2]) for number in range(50) for database in databases
    ]
    assert sorted(await asyncio.gather(*calls)) == list(range(1, 101))


async def test_writers_of_different_keys_do_not_wait_for_each_other(opened: Open) -> None:
    database, both = opened(), threading.Barrier(2, timeout=30)
    await asyncio.gather(*(database.transact(lambda _: both.wait(), key=key) for key in "ab"))


async def test_who_reads_sees_one_moment_and_waits_for_no_writer(opened: Open) -> None:
    database = opened()
    await database.transact(add("a"))

    def reading(connection: Any) -> Any:
        first = kept("a")(connection)
        database.transact_now(add("a"))
        return first, kept("a")(connection)

    assert await database.transact(reading, writes=False) == (1, 1)
    assert await database.transact(kept("a"), writes=False) == 2
    with pytest.raises(ThreadError, match="read-only transaction"):
        await database.transact(add("a"), writes=False)


async def test_a_connection_lost_before_the_end_is_opened_anew_and_the_work_done_again(
    opened: Open, postgres: str
) -> None:
    database, seen = opened(), []

    def work(connection: Any) -> Any:
        seen.append(pid_of(connection))
        add("a")(connection)
        if len(seen) == 1:
            ended(postgres, seen[0])
        return add("a")(connection)

    assert await database.transact(work) == 2
    assert len(set(seen)) == 2
    ended(postgres, seen[1])  # while nobody uses it
    assert await database.transact(kept("a"), writes=False) == 2


async def test_a_connection_lost_while_the_transaction_ends_is_told(opened: Open, postgres: str) -> None:
    calls = []

    def work(connection: Any) -> None:
        calls.append(add("a")(connection))
        ended(postgres, pid_of(connection))

    with pytest.raises(ThreadError, match="lost while a transaction ended; look whether it is kept"):
        await opened().transact(work)
    assert calls == [1]


async def test_of_two_that_block_each_other_both_end(opened: Open) -> None:
    databases, both, calls = [opened(), opened()], threading.Barrier(2, timeout=30), []
    for name, database in zip("ab", databases, strict=True):
        await database.transact(add(name))

    def work(names: str) -> Callable[[Any], None]:
        def crossing(connection: Any) -> None:
            calls.append(names)
            add(names[0])(connection)
            if calls.count(names) == 1:
                both.wait()
            add(names[1])(connection)

        return crossing

    pairs = zip(databases, ("ab", "ba"), strict=True)
    await asyncio.gather(*(database.transact(work(names), key=names) for database, names in pairs))
    assert len(calls) == 3
    assert [await databases[0].transact(kept(name)) for name in "ab"] == [3, 3]


async def test_the_transaction_of_who_stands_still_is_ended_and_begun_anew(
    opened: Open, postgres: str
) -> None:
    slow, quick, calls = opened(patience=0.2), opened(), []

    def work(connection: Any) -> Any:
        calls.append(pid_of(connection))
        amount = add("a")(connection)
        if len(calls) == 1:
            assert quick.transact_now(add("a"), key="t") == 1  # waits, then comes first
            ended(postgres, calls[0], kill=False)
        return amount

    await slow.transact(lambda connection: None)
    assert await slow.transact(work, key="t") == 2
    assert len(calls) == 2


async def test_who_waits_for_too_long_is_told(opened: Open) -> None:
    first, second = opened(), opened(patience=0.05)
    await second.transact(lambda connection: None)

    def work(connection: Any) -> None:
        with pytest.raises(ThreadError, match=r"others write to it for longer than 0\.1 s"):
            second.transact_now(add("a"), key="t")

    await first.transact(work, key="t")


async def test_who_is_cancelled_leaves_all_or_nothing(opened: Open) -> None:
    database, begun, go_on = opened(connections=1), threading.Event(), threading.Event()

    def slow(connection: Any) -> Any:
        begun.set()
        go_on.wait(30)
        return add("a")(connection)

    running = asyncio.create_task(database.transact(slow))
    await asyncio.to_thread(begun.wait)
    waiting = asyncio.create_task(database.transact(add("b")))
    await asyncio.sleep(0)
    for task in (running, waiting):
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not running.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [await database.transact(kept(name)) for name in "ab"] == [1, None]


def test_it_is_usable_in_many_loops_and_threads_and_after_it_was_closed(opened: Open) -> None:
    database = opened()
    assert [asyncio.run(database.transact(add("a"))) for _ in range(3)] == [1, 2, 3]
    threads = [threading.Thread(target=lambda: asyncio.run(database.transact(add("a")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.close()
    database.close()
    assert not ours()
    assert database.transact_now(add("a")) == 8


def ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("stretto-postgres")]


def test_what_nobody_holds_any_more_ends_its_threads(opened: Open, postgres: str) -> None:
    database = PostgresDatabase(postgres, prepare=prepare, refusal=ThreadError)
    database.transact_now(add("a"))
    (thread,) = ours()
    del database
    gc.collect()
    thread.join(30)
    assert not thread.is_alive()


def test_a_forked_process_opens_its_own_connections(opened: Open) -> None:
    database = opened()
    database.transact_now(add("a"), key="t")
    child = os.fork()
    if not child:
        try:
            ended_well = database.transact_now(add("a"), key="t") == 2
            database.close()
            os._exit(0 if ended_well else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert database.transact_now(add("a"), key="t") == 3


CHILD = (
    """
import os, sys
from stretto._internal.postgres import PostgresDatabase
from stretto.errors import ThreadError
"""
    + PREPARE
    + """
database = PostgresDatabase(sys.argv[1], prepare=prepare, refusal=ThreadError, patience=0.5)
"""
)


def child(code: str, *arguments: str) -> Any:
    command = [sys.executable, "-c", CHILD + code, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_transaction_that_hangs_does_not_keep_the_program_alive(postgres: str) -> None:
    code = """
import threading
begun = threading.Event()
def work(connection):
    begun.set()
    connection.execute("SELECT pg_sleep(1000)")
threading.Thread(target=lambda: database.transact_now(work), daemon=True).start()
begun.wait()
print("the end", flush=True)
"""
    with child(code, postgres) as hanging:
        assert hanging.communicate(timeout=30) == ("the end\n", None) and hanging.returncode == 0


def test_a_process_that_was_stopped_in_a_transaction_holds_nobody_up_and_does_it_anew(
    opened: Open, postgres: str
) -> None:
    code = """
calls = []
def work(connection):
    calls.append(add("a")(connection))
    if len(calls) == 1:
        print("inside", flush=True)
        sys.stdin.readline()
    return calls[-1]
print(database.transact_now(work, key="t"), calls)
"""
    with child(code, postgres) as stopped:
        assert stopped.stdout.readline() == "inside\n"
        stopped.send_signal(signal.SIGSTOP)
        assert opened().transact_now(add("a"), key="t") == 1
        stopped.send_signal(signal.SIGCONT)
        assert stopped.communicate("\n", timeout=30)[0] == "2 [1, 2]\n"


def test_processes_that_write_at_once_lose_nothing(opened: Open, postgres: str) -> None:
    code = """
print("ready", flush=True)
sys.stdin.readline()
for number in range(25):
    database.transact_now(add("a"), key="t")
"""
    children = [child(code, postgres) for _ in range(4)]  # they make the tables at once, too
    for one in children:
        assert one.stdout.readline() == "ready\n"
    for one in children:
        one.stdin.write("\n")
        one.stdin.flush()
    assert [(one.communicate(timeout=60), one.returncode)[1] for one in children] == [0] * 4
    assert opened().transact_now(kept("a")) == 100


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("correct-horse", "battery-staple", r"`postgresql://127\.0\.0\.1:\d+/test_\d+`: .*password"),
        ("test_", "none_of_ours_", "does not exist"),
        ("keeper:correct", "keeper:correct%zz", "URL cannot be read: write postgresql://USER"),
        ("127.0.0.1:", "127.0.0.1:1", r"failed|invalid port"),
    ],
)
async def test_a_place_that_cannot_be_reached_is_told_at_once_without_its_password(
    old: str, new: str, told: str, postgres: str, caplog: Any
) -> None:
    caplog.set_level("DEBUG")
    with pytest.raises(ThreadError, match=told) as caught:
        url = postgres.replace(old, new)
        database = PostgresDatabase(url, prepare=prepare, refusal=ThreadError, patience=1000)
        await database.transact(add("a"))
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert not any(word in shown for word in ("correct-horse", "battery-staple", "keeper:", "psycopg.Op"))


async def test_what_the_database_refuses_is_our_error(opened: Open) -> None:
    database = opened()
    for statement, value in (
        ("SELECT * FROM nowhere WHERE 1 = ?", 1),
        ("SELECT ?", "\0"),
        ("SELECT ?", "\ud800"),
    ):
        with pytest.raises(ThreadError) as caught:
            await database.transact(lambda connection, s=statement, v=value: connection.execute(s, (v,)))
        assert caught.value.__suppress_context__
    assert isinstance(caught.value, StrettoError)


def test_without_the_driver_the_command_to_type_is_told() -> None:
    code = "import sys; sys.modules['psycopg'] = None\ntry:\n    import stretto._internal.postgres\n"
    code += "except Exception as error:\n    print(type(error).__name__, error)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("MissingExtra") and 'pip install "stretto[postgres]"' in said
