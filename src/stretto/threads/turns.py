"""`Turns`: who plays which thread, among the runs of this process and of all others. Knows no graph.

The rows of `runs.py` decide; this is the waiting. Runs of one process wake each other at once, those of other
processes are looked for every 20 ms by the first who waits.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from stretto._internal.loggers import logger
from stretto._internal.to_the_end import to_the_end
from stretto.errors import ThreadConflict, ThreadError
from stretto.threads import runs
from stretto.threads.database import Connection, Database
from stretto.threads.runs import Ended, Left, SecondTurn, Ticket, Wish
from stretto.threads.seal import covered, uncovered

Last = Callable[[Connection], object]
"""Writes what belongs to the end of a run."""
_log = logger("stretto.threads")
_LOOK = 0.02
"""Seconds between two looks for a free thread."""
_BEAT = 0.1
"""Seconds between two looks for wishes of other processes."""
_RENEW = 20
"""Beats between two signs of life."""


class Hold:
    """A run in its thread, from its arrival to its end."""

    def __init__(self, turns: "Turns", ticket: Ticket) -> None:
        self.ticket = ticket
        self.token = 0
        """What the saver asks for; 0 while another one plays."""
        self.left: list[Left] = []
        """Runs whose process ended before they did."""
        self.wish: Wish = ""
        """What others want of this run."""
        self.on_wish: Callable[[], object] = _nothing
        """Called when they want it."""
        self.taken_by = ""
        """The run that this one's question went into."""
        self.took_in = False
        """Whether others' questions went into this one."""
        self.result: Any = None
        """What came of it."""
        self.status: Ended = "failed"
        """How it ended, as far as is known."""
        self.at_end: list[Last] = []
        """What else is written in the transaction that ends it."""
        self._leader: Hold | None = None
        self._done = asyncio.Event()
        self._turns = turns
        self._wake = asyncio.Event()

    async def turn(self) -> None:
        """Waits until the thread is this run's, or until another one took its question in.

        Raises:
            ThreadConflict: It was given up meanwhile, for it gave no sign of life.
        """
        while not self.token and not self.taken_by:
            if self._turns.is_first(self):
                await self._turns.take(self)
                if self.token or self.taken_by:
                    return
            self._wake.clear()
            looking = asyncio.get_running_loop().call_later(_LOOK, self.wake)
            try:
                await self._wake.wait()
            finally:
                looking.cancel()

    def wake(self) -> None:
        """Lets it look again."""
        self._wake.set()

    def wished(self, what: Wish) -> None:
        """Somebody wants something of it; to be stopped is never taken back."""
        if self.wish != "stop" and self.wish != what:
            self.wish = what
            self.on_wish()

    async def merge(self) -> list[Left]:
        """Takes in what those who wait were asked."""
        self.wish = "stop" if self.wish == "stop" else ""
        return await self._turns.merge(self)

    async def leaders_result(self) -> Any:
        """What came of the run that took this one's question in: its result, or that as it was packed."""
        if self._leader is not None:
            await self._leader._done.wait()
            return self._leader.result
        return await self._turns.result_of(self.taken_by)

    def taken_in(self, leader: "Hold") -> None:
        """Its question went into another run of this process."""
        self._leader, self.taken_by = leader, leader.ticket.run_id
        self.wake()

    async def end(self, status: Ended, pack: Callable[[Any], bytes], last: Last | None = None) -> None:
        """Leaves the thread to the next one; a kept run that is cancelled, to the process that takes it up.

        Args:
            status: How it ended.
            pack: Makes bytes of its result where others may ask for it.
            last: Is called with the connection, in the transaction that ends the run.
        """
        try:
            if status == "cancelled" and self.ticket.kept:
                await self._turns.hand_over(self)
            else:
                last = _all([*self.at_end, *([last] if last else [])])
                wanted = self.result is not None and (self.ticket.kept or self.took_in)
                await self._turns.end(self, status, pack(self.result) if wanted else b"", last)
        finally:
            self._done.set()


class Turns:
    """The runs of one event loop on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._door = asyncio.Lock()
        self._holds: dict[str, Hold] = {}
        self._lines: defaultdict[str, list[Hold]] = defaultdict(list)
        self._timer: asyncio.TimerHandle | None = None
        self._beating: asyncio.Task[None] | None = None
        self._beats = 0

    async def arrive(self, ticket: Ticket, policy: SecondTurn) -> Hold:
        """A run comes to its thread.

        Raises:
            ThreadBusy: Another one plays, and the policy is `reject`.
        """
        cover = covered(self._database.seal, ticket.asked, "asked", ticket.run_id)
        row = ticket._replace(asked=cover)
        async with self._door:  # who waits for another process is not overtaken by who comes later
            try:
                place = await self._database.transact(
                    lambda connection: runs.arrive(connection, row, policy), key=ticket.thread_id
                )
            except asyncio.CancelledError:  # it may have come to its thread all the same
                await to_the_end(self._end(ticket, "cancelled", b"", kept=False))
                raise
        hold = self._hold(ticket)
        hold.token = place.token
        hold.left += self._read(place.left)
        if not place.token:
            self._lines[ticket.thread_id].append(hold)
        for run_id in place.wished:
            if run_id in self._holds:
                self._holds[run_id].wished("stop" if policy == "interrupt" else "merge")
        return hold

    async def take_up(self, run_id: str) -> Hold | None:
        """A kept run whose process ended, which goes on in this one; None where there is no such run."""

        def work(connection: Connection) -> tuple[Ticket | None, list[Left]]:
            return runs.take_up(connection, run_id), runs.taken_in(connection, run_id)

        try:
            ticket, taken_in = await self._database.transact(work)
        except asyncio.CancelledError:  # it may have been taken up all the same
            await to_the_end(self._leave(run_id))
            raise
        if ticket is None:
            return None
        (asked,) = self._read([Left(run_id, ticket.asked)])
        ticket = ticket._replace(asked=asked.asked)
        hold = self._hold(ticket)
        hold.left += self._read(taken_in)
        self._lines[ticket.thread_id].append(hold)
        return hold

    async def stop(self, run_id: str) -> bool:
        """Wishes that a run stops; False where it has ended."""
        if not await self._database.transact(lambda connection: runs.wish(connection, run_id, "stop")):
            return False
        if run_id in self._holds:
            self._holds[run_id].wished("stop")
        return True

    def is_first(self, hold: Hold) -> bool:
        """Whether it waits the longest of this process."""
        return self._lines[hold.ticket.thread_id][0] is hold

    async def take(self, hold: Hold) -> None:
        """Gives it the thread where it is its turn."""
        thread_id, run_id = hold.ticket.thread_id, hold.ticket.run_id
        found = await self._database.transact(
            lambda connection: runs.take(connection, hold.ticket), key=thread_id
        )
        if isinstance(found, str):
            hold.taken_by = found
            if not found:
                raise ThreadConflict(
                    f"run `{run_id}` gave no sign for {runs.PATIENCE:g} s while it waited for thread "
                    f"`{thread_id}`, and was given up; ask again"
                )
        else:
            hold.token = found.token
            hold.left += self._read(found.left)
        if hold.token or hold.taken_by:
            self._leave_line(hold)

    async def merge(self, hold: Hold) -> list[Left]:
        """Takes in what those who wait were asked."""
        thread_id, run_id = hold.ticket.thread_id, hold.ticket.run_id
        taken = await self._database.transact(
            lambda connection: runs.merge(connection, thread_id, run_id), key=thread_id
        )
        hold.took_in = hold.took_in or bool(taken)
        for other in [self._holds[each.run_id] for each in taken if each.run_id in self._holds]:
            self._leave_line(other)
            other.taken_in(hold)
        return self._read(taken)

    async def result_of(self, run_id: str) -> bytes:
        """The packed result of a run of another process, once it ended; empty where that was not well."""
        while True:
            status, result = await self._database.transact(
                lambda connection: runs.ended(connection, run_id), writes=False
            )
            if status not in runs.LIVE:
                return uncovered(self._database.seal, result, "result", run_id) if result else b""
            await asyncio.sleep(_LOOK)

    async def end(self, hold: Hold, status: Ended, result: bytes, last: Last | None = None) -> None:
        """A run ends, and the next one is woken; whoever is cancelled meanwhile ends it too."""
        ticket = hold.ticket
        if self._holds.pop(ticket.run_id, None) is None:
            return
        kept = ticket.kept or hold.took_in
        try:
            await self._end(ticket, status, result, kept=kept, last=last)
        except asyncio.CancelledError:  # twice does no harm
            await to_the_end(self._end(ticket, status, result, kept=kept, last=last))
            raise
        finally:
            self._gone(hold)

    async def hand_over(self, hold: Hold) -> None:
        """A kept run is left to whoever takes it up."""
        if self._holds.pop(hold.ticket.run_id, None) is not None:
            try:
                await to_the_end(self._leave(hold.ticket.run_id))
            finally:
                self._gone(hold)

    async def _end(
        self, ticket: Ticket, status: Ended, result: bytes, *, kept: bool, last: Last | None = None
    ) -> None:
        if result:
            result = covered(self._database.seal, result, "result", ticket.run_id)

        def work(connection: Connection) -> None:
            mine = runs.end(connection, ticket.run_id, ticket.thread_id, status, result, kept)
            if mine and last is not None:
                last(connection)

        await self._database.transact(work, key=ticket.thread_id)

    def _read(self, left: Iterable[Left]) -> list[Left]:
        seal = self._database.seal
        return [Left(each.run_id, uncovered(seal, each.asked, "asked", each.run_id)) for each in left]

    async def _leave(self, run_id: str) -> None:
        await self._database.transact(lambda connection: runs.leave(connection, run_id))

    def _hold(self, ticket: Ticket) -> Hold:
        hold = self._holds[ticket.run_id] = Hold(self, ticket)
        if self._timer is None and self._beating is None:
            self._timer = asyncio.get_running_loop().call_later(_BEAT, self._start_beat)
        return hold

    def _gone(self, hold: Hold) -> None:
        self._leave_line(hold)
        line = self._lines.get(hold.ticket.thread_id)
        if line:
            line[0].wake()
        if not self._holds and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave_line(self, hold: Hold) -> None:
        line = self._lines.get(hold.ticket.thread_id)
        if line is not None and hold in line:
            line.remove(hold)
        if not line:
            self._lines.pop(hold.ticket.thread_id, None)

    def _start_beat(self) -> None:
        self._timer = None
        self._beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        """Hears what others wish, and says now and then that the runs of this process live."""
        self._beats += 1
        try:
            if self._beats % _RENEW == 0:
                alive = list(self._holds)
                await self._database.transact(lambda connection: runs.renew(connection, alive))
            for run_id, what in await self._database.transact(runs.wishes, writes=False):
                if run_id in self._holds:
                    self._holds[run_id].wished(what)
        except ThreadError as error:  # the turns themselves fail if it stays so
            _log.warning("what others wish of the turns here could not be read: %s", error)
        finally:
            self._beating = None
            if self._holds:
                self._timer = asyncio.get_running_loop().call_later(_BEAT, self._start_beat)


def _all(lasts: Sequence[Last]) -> Last | None:
    """All of them as one."""

    def work(connection: Connection) -> None:
        for last in lasts:
            last(connection)

    return work if lasts else None


def _nothing() -> None:
    """Nobody listens."""
