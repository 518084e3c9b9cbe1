"""The rows of runs: who plays a thread, who waits for it, and what was asked. Knows no event loop.

A run that keeps a thread has a row from its arrival to its end, so that its question survives its process.
Each function is one transaction's work on a `Connection`. A row whose owner is gone, or did not say for
`PATIENCE` seconds that it lives, is given up: who comes next takes the thread, with a higher token, and the
saver refuses what the old owner still writes.
"""

import time
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Literal, NamedTuple, get_args

from stretto._internal.faults import reach
from stretto._internal.owner import is_gone, this_process
from stretto.errors import ConfigError, ThreadBusy, ThreadConflict
from stretto.threads.database import Connection

PATIENCE = 10.0
"""Seconds after which a run that gives no sign is given up."""
LIVE = ("waiting", "playing", "merged")
"""What a run is until it has ended; merged: its question went into another one, whose end is its own."""
KEPT = 86_400.0
"""Seconds for which the events of an ended run can be asked for."""

_HELD_UP = 60.0
"""Seconds for which a run of this process is still waited for: its event loop may be held up."""

SecondTurn = Literal["reject", "enqueue", "interrupt", "merge"]
"""What a turn does while another one of its thread runs.

reject: it is refused, by ThreadBusy. enqueue: it waits for its turn. interrupt: the other is stopped, and its
partial answer kept. merge: its message goes into the running turn, which begins anew with all of them.
"""
Wish = Literal["", "stop", "merge"]
Ended = Literal["done", "interrupted", "failed", "stopped", "cancelled", "left"]

_LIVE = """SELECT run_id, status, owner, until, kept, asked FROM runs
    WHERE thread_id = ? AND status IN ('waiting', 'playing') ORDER BY place"""
_ARRIVE = """INSERT INTO runs (run_id, thread_id, tenant, user_id, agent, owner, status, kept, began, until,
    ended, wish, taken_by, asked, result) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', '', ?, ?)"""
_TOKEN = """INSERT INTO leases (thread_id, token, run_id, tenant, user_id) VALUES (?, 1, ?, ?, ?)
    ON CONFLICT (thread_id) DO UPDATE SET token = leases.token + 1, run_id = excluded.run_id,
    tenant = excluded.tenant,
    user_id = CASE excluded.user_id WHEN '' THEN leases.user_id ELSE excluded.user_id END"""
_WISH = "UPDATE runs SET wish = ? WHERE run_id = ? AND status IN ('waiting', 'playing', 'merged')"
_KEPT_RUN = (
    "SELECT thread_id, tenant, agent, asked, status, owner, until, user_id FROM runs "
    "WHERE run_id = ? AND kept = 1"
)
_WISHES = "SELECT run_id, wish FROM runs WHERE owner = ? AND wish != '' AND status IN ('waiting', 'playing')"
_WAITING = """SELECT run_id, asked FROM runs
    WHERE thread_id = ? AND status = 'waiting' AND wish = '' ORDER BY place"""
_OLD = "SELECT run_id FROM runs WHERE ended > 0 AND ended < ?"
_LEAVE = "UPDATE runs SET until = 0 WHERE run_id = ? AND owner = ? AND status IN ('waiting', 'playing')"
_LEFT = "UPDATE runs SET status = 'left', ended = ? WHERE run_id = ?"
_TAKEN_IN = "SELECT run_id, asked FROM runs WHERE status = 'merged' AND taken_by = ? ORDER BY place"
_STATUS = "SELECT status, result, owner, until FROM runs WHERE run_id = ?"
_ENDED = "UPDATE runs SET status = ?, ended = ?, result = ? WHERE run_id = ? AND owner = ?"
_MERGED = """UPDATE runs SET status = 'merged', taken_by = ?, ended = ?
    WHERE thread_id = ? AND status = 'waiting' AND wish = '' AND run_id != ?"""


def check_policy(given: SecondTurn) -> SecondTurn:
    """`given`; raises ConfigError where it is no policy."""
    if given not in get_args(SecondTurn):
        raise ConfigError(f"second_turn is {given!r}; give one of {', '.join(get_args(SecondTurn))}")
    return given


class Ticket(NamedTuple):
    """A run that wants to play a thread."""

    run_id: str
    thread_id: str
    tenant: str
    agent: str
    asked: bytes
    """What it was asked."""
    kept: bool = False
    """Whether its events are kept, and it goes on when its process ends."""
    user: str = ""
    """Of the tenant, whom it is for."""


class Left(NamedTuple):
    """A run whose process ended before it did."""

    run_id: str
    asked: bytes


class Place(NamedTuple):
    """Where a run stands in its thread."""

    token: int
    """0 while it waits."""
    left: tuple[Left, ...] = ()
    """Whom it came after."""
    wished: tuple[str, ...] = ()
    """Runs that are asked to make room."""


class _Row(NamedTuple):
    run_id: str
    status: str
    owner: str
    until: float
    kept: int
    asked: bytes

    def is_dead(self, now: float) -> bool:
        return _is_given_up(self.owner, self.until, now)


def _is_given_up(owner: str, until: float, now: float) -> bool:
    """Whether nobody plays a run any more: its process ended, or gave no sign of life."""
    if owner == this_process():
        return until + _HELD_UP <= now
    return until <= now or is_gone(owner)


def arrive(connection: Connection, ticket: Ticket, policy: SecondTurn) -> Place:
    """A run comes to its thread: it has it, or waits for it, or is refused.

    Raises:
        ThreadBusy: Another one plays, and the policy is `reject`.
    """
    now = time.time()
    live, dead = _look(connection, ticket.thread_id, now)
    if live and policy == "reject":
        raise ThreadBusy(
            f"thread `{ticket.thread_id}` is being answered; wait for the end of that turn, or let the agent "
            'take a second one: Agent(second_turn="enqueue"), "interrupt" or "merge"'
        )
    reach("lease.take.before")
    status = "waiting" if live else "playing"
    whose = (ticket.run_id, ticket.thread_id, ticket.tenant, ticket.user, ticket.agent)
    row = (*whose, this_process(), status)
    connection.execute(_ARRIVE, (*row, int(ticket.kept), now, now + PATIENCE, ticket.asked, b""))
    if not live:
        return Place(_token(connection, ticket), _close(connection, dead, now))
    wished: list[str] = []
    if policy == "interrupt":
        wished = [row.run_id for row in live]
        connection.executemany(_WISH, [("stop", run_id) for run_id in wished])
    elif policy == "merge":
        wished = [row.run_id for row in live if row.status == "playing"]
        connection.executemany(_WISH, [("merge", run_id) for run_id in wished])
    return Place(0, wished=tuple(wished))


def take(connection: Connection, ticket: Ticket) -> Place | str:
    """The thread, where it is this run's turn; the run that took it in, where it was merged."""
    thread_id, run_id = ticket.thread_id, ticket.run_id
    found = connection.execute("SELECT status, taken_by FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if found is None or found[0] != "waiting":
        return found[1] if found and found[0] == "merged" else ""
    now = time.time()
    live, dead = _look(connection, thread_id, now, before=run_id)
    if live:
        return Place(0)
    reach("lease.take.before")
    connection.execute("UPDATE runs SET status = 'playing' WHERE run_id = ?", (run_id,))
    return Place(_token(connection, ticket), _close(connection, dead, now))


def take_up(connection: Connection, run_id: str) -> Ticket | None:
    """A kept run whose process ended, made this process's; None where it is not to be taken up."""
    now = time.time()
    row = connection.execute(_KEPT_RUN, (run_id,)).fetchone()
    if row is None or row[4] not in ("waiting", "playing") or not _is_given_up(row[5], row[6], now):
        return None
    connection.execute(
        "UPDATE runs SET owner = ?, until = ?, status = 'waiting' WHERE run_id = ?",
        (this_process(), now + PATIENCE, run_id),
    )
    return Ticket(run_id, row[0], row[1], row[2], row[3], kept=True, user=row[7])


def taken_in(connection: Connection, run_id: str) -> list[Left]:
    """What the runs whose questions went into this one were asked."""
    return [Left(*row) for row in connection.execute(_TAKEN_IN, (run_id,)).fetchall()]


def given_up(connection: Connection, agent: str) -> list[str]:
    """The kept runs of an agent whose processes ended, in the order of their arrival."""
    now = time.time()
    rows = connection.execute(
        "SELECT run_id, owner, until FROM runs WHERE agent = ? AND kept = 1 "
        "AND status IN ('waiting', 'playing') ORDER BY place",
        (agent,),
    ).fetchall()
    return [run_id for run_id, owner, until in rows if _is_given_up(owner, until, now)]


def merge(connection: Connection, thread_id: str, run_id: str) -> list[Left]:
    """Takes those that wait into the run that plays: what they were asked, in the order of arrival."""
    rows = connection.execute(_WAITING, (thread_id,)).fetchall()
    connection.execute(_MERGED, (run_id, time.time(), thread_id, run_id))
    connection.execute("UPDATE runs SET wish = '' WHERE run_id = ? AND wish = 'merge'", (run_id,))
    return [Left(*row) for row in rows]


def renew(connection: Connection, run_ids: Iterable[str]) -> None:
    """Says that the runs live."""
    reach("lease.renew.before")
    until = time.time() + PATIENCE
    rows = [(until, run_id, this_process()) for run_id in run_ids]
    connection.executemany("UPDATE runs SET until = ? WHERE run_id = ? AND owner = ?", rows)
    reach("lease.renew.after")


def wishes(connection: Connection) -> list[tuple[str, Wish]]:
    """What is wished of the runs of this process."""
    return list(connection.execute(_WISHES, (this_process(),)).fetchall())


def wish(connection: Connection, run_id: str, what: Wish) -> bool:
    """Wishes something of a run; False where it has ended."""
    return connection.execute(_WISH, (what, run_id)).rowcount > 0


def end(
    connection: Connection, run_id: str, thread_id: str, status: Ended, result: bytes, kept: bool
) -> None:
    """A run ends: the thread is free. Its row stays where somebody may still ask for it."""
    reach("lease.release.before")
    taken = connection.execute("SELECT 1 FROM runs WHERE taken_by = ? LIMIT 1", (run_id,)).fetchone()
    now = time.time()
    if kept or taken:
        connection.execute(_ENDED, (status, now, result, run_id, this_process()))
        _forget_old(connection, now)
    else:
        connection.execute("DELETE FROM runs WHERE run_id = ? AND owner = ?", (run_id, this_process()))
    reach("lease.release.after")


def leave(connection: Connection, run_id: str) -> None:
    """This process plays a run no further: whoever takes it up need not wait."""
    connection.execute(_LEAVE, (run_id, this_process()))


def fence(thread_id: str, token: int) -> Callable[[Connection], None]:
    """Raises ThreadConflict, within a transaction, where a later turn was given the thread."""

    def check(connection: Connection) -> None:
        if not holds(connection, thread_id, token):
            raise ThreadConflict(
                f"another turn took thread `{thread_id}` over while this one ran, which goes on no further; "
                "ask again"
            )

    return check


def owns(connection: Connection, run_id: str) -> bool:
    """Whether a run is this process's."""
    found = connection.execute("SELECT owner FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    return found is not None and found[0] == this_process()


def holds(connection: Connection, thread_id: str, token: int) -> bool:
    """Whether no later turn was given the thread."""
    found = connection.execute("SELECT token FROM leases WHERE thread_id = ?", (thread_id,)).fetchone()
    return found is None or found[0] == token


def ended(connection: Connection, run_id: str) -> tuple[str, bytes]:
    """Status and result of a run; `left` where its process ended, or where it is not known."""
    row = connection.execute(_STATUS, (run_id,)).fetchone()
    if row is None:
        return "left", b""
    status, result, owner, until = row
    gone = status in LIVE and _is_given_up(owner, until, time.time())
    return "left" if gone else status, result


def _token(connection: Connection, ticket: Ticket) -> int:
    connection.execute(_TOKEN, (ticket.thread_id, ticket.run_id, ticket.tenant, ticket.user))
    query = "SELECT token FROM leases WHERE thread_id = ?"
    found = connection.execute(query, (ticket.thread_id,)).fetchone()
    reach("lease.take.after")
    return found[0]


def _look(
    connection: Connection, thread_id: str, now: float, *, before: str = ""
) -> tuple[list[_Row], list[_Row]]:
    """Who is there, and whose process ended; of those that came before the run `before`, if it is given."""
    rows = [_Row(*row) for row in connection.execute(_LIVE, (thread_id,)).fetchall()]
    rows = list(takewhile(lambda row: row.run_id != before, rows))
    return [row for row in rows if not row.is_dead(now)], [row for row in rows if row.is_dead(now)]


def _close(connection: Connection, dead: Iterable[_Row], now: float) -> tuple[Left, ...]:
    """Ends the runs whose processes ended: whoever takes their thread takes their questions over."""
    closed: list[Left] = []
    for row in dead:
        closed += [Left(row.run_id, row.asked), *taken_in(connection, row.run_id)]
        if row.kept:
            connection.execute(_LEFT, (now, row.run_id))
        else:
            connection.execute("DELETE FROM runs WHERE run_id = ?", (row.run_id,))
    return tuple(closed)


def _forget_old(connection: Connection, now: float) -> None:
    """Drops ended runs, and their events, that nobody asks for any more."""
    old = connection.execute(_OLD, (now - KEPT,)).fetchall()
    for (run_id,) in old:
        connection.execute("DELETE FROM events WHERE run_id = ?", (run_id,))
        connection.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
