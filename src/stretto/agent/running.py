"""`Running`: runs that outlive whoever started them. A task of ours owns each; its events are kept.

A reader that comes back with the last number it saw gets the rest. When the process ends, the next one takes
its runs up where they were.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any, NamedTuple

from stretto.agent.opened import Kept, Opened
from stretto.agent.question import Asked
from stretto.agent.turn import Player
from stretto.context import Run
from stretto.errors import ThreadError
from stretto.events import Event, RunFinished
from stretto.observe import logged
from stretto.results import Result
from stretto.threads import runs
from stretto.threads.record import Recorder, Shown, events_after, packed, shown
from stretto.threads.turns import Hold

_LATE = 100
"""Looks for the last event of a run that has ended."""
_LOOK = 0.05
"""Seconds between two looks for events of a run in another process."""


class Started(NamedTuple):
    """A run that goes on by itself."""

    run_id: str
    """For `follow`, `result` and `stop`."""
    thread_id: str


class Running:
    """The runs of one agent that nobody has to wait for.

    Args:
        name: The agent's.
        opened: Its threads.
        player: Plays the turns.
    """

    def __init__(self, name: str, opened: Opened, player: Player) -> None:
        self._name, self._opened, self._player = name, opened, player
        self._tasks: dict[str, tuple[asyncio.Task[Any], Hold]] = {}
        self._signals: defaultdict[tuple[Any, str], set[asyncio.Event]] = defaultdict(set)
        """Of who follows a run, by event loop: one loop cannot wake another."""

    async def start(self, run: Run, asked: Asked) -> None:
        """Starts a run; from here on it is not lost, whatever becomes of the caller.

        Raises:
            ThreadBusy: Another one plays the thread, and a second one is refused.
        """
        asked = await self._player.ready(run, asked, kept=True)
        store = await self._opened.kept()
        self._own(store, run, asked, await self._player.arrive(run, asked, kept=True), None)

    async def recover(self, new_run: Callable[[runs.Ticket], Run]) -> list[str]:
        """Takes up the agent's runs whose processes ended; returns their ids."""
        store = await self._opened.kept()
        found = await store.database.transact(
            lambda connection: runs.given_up(connection, self._name), writes=False
        )
        return [run_id for run_id in found if await self._take_up(store, run_id, new_run)]

    async def events(self, run_id: str, after: int) -> AsyncGenerator[Event]:
        """The events of a run behind number `after`, as they come, to its `RunFinished`.

        Raises:
            ThreadError: There is no such run, or its process ended and nobody took it up.
        """
        store = await self._opened.kept()
        signal, place = asyncio.Event(), (asyncio.get_running_loop(), run_id)
        self._signals[place].add(signal)
        late = 0
        try:
            while True:
                signal.clear()
                status, _ = await store.database.transact(
                    lambda connection: runs.ended(connection, run_id), writes=False
                )
                async for event in events_after(store.database, run_id, after):
                    after = event.number
                    yield event
                    if isinstance(event, RunFinished):
                        return
                if status not in runs.LIVE:
                    late += 1  # it tells its end after it has left the thread
                    if after == 0 or status == "left" or late > _LATE:
                        raise ThreadError(
                            f"run `{run_id}` is not known here, or its process ended; "
                            "`await agent.recover()` takes up what was left"
                        )
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if self._here(run_id) and not late else _LOOK):
                        await signal.wait()
        finally:
            self._signals[place].discard(signal)
            if not self._signals[place]:
                del self._signals[place]

    async def stop(self, run_id: str) -> bool:
        """Stops a run, and returns once it has ended; False where it had ended before."""
        store = await self._opened.kept()
        if not await store.turns.stop(run_id):
            return False
        task = self._here(run_id)
        if task is not None:
            await asyncio.wait([task])
        else:
            await store.turns.result_of(run_id)
        return True

    async def result(self, run_id: str) -> Result:
        """The result of a run, once it has ended; raises ThreadError where there is none."""
        async for event in self.events(run_id, 0):
            if isinstance(event, RunFinished) and event.result is not None:
                return event.result
        raise ThreadError(f"run `{run_id}` failed; its events say why: `agent.follow({run_id!r})`")

    async def close(self) -> None:
        """Leaves the runs of this event loop to the process that takes them up."""
        loop = asyncio.get_running_loop()
        mine = {
            run_id: (task, hold) for run_id, (task, hold) in self._tasks.items() if task.get_loop() is loop
        }
        for task, _ in mine.values():
            task.cancel()
        if mine:
            await asyncio.wait([task for task, _ in mine.values()])
        for run_id, (_, hold) in mine.items():  # a task that had not begun leaves nothing by itself
            self._tasks.pop(run_id, None)
            await hold.end("cancelled", packed)

    async def _take_up(self, store: Kept, run_id: str, new_run: Callable[[runs.Ticket], Run]) -> bool:
        hold = await store.turns.take_up(run_id)
        if hold is None:
            return False
        try:
            run = new_run(hold.ticket)
            seen = await shown(store.database, run_id)
        except BaseException:
            await hold.end("cancelled", packed)  # the next one takes it up
            raise
        run.number = seen.number
        self._own(store, run, Asked.unpacked(hold.ticket.asked), hold, seen)
        return True

    def _here(self, run_id: str) -> asyncio.Task[Any] | None:
        """The task of a run that this event loop plays."""
        task, _ = self._tasks.get(run_id, (None, None))
        return task if task is not None and task.get_loop() is asyncio.get_running_loop() else None

    def _own(self, store: Kept, run: Run, asked: Asked, hold: Hold, seen: Shown | None) -> None:
        recorder = Recorder(store.database, run.id, lambda: self._tell(run.id))
        run.sink = logged(recorder.add)

        async def play() -> None:
            try:
                await self._player.kept_turn(run, asked, hold, seen)
            finally:
                try:
                    await recorder.close()
                finally:
                    self._tasks.pop(run.id, None)
                    self._tell(run.id)

        task = asyncio.create_task(play())
        self._tasks[run.id] = task, hold
        task.add_done_callback(_looked_at)

    def _tell(self, run_id: str) -> None:
        for signal in self._signals.get((asyncio.get_running_loop(), run_id), ()):
            signal.set()


def _looked_at(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # the run's events tell of it
