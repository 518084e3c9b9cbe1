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
from stretto.threads.record import Recorder, Shown, events_after, shown
from stretto.threads.turns import Hold

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
        self._signals: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    async def start(self, run: Run, asked: Asked) -> None:
        """Starts a run; from here on it is not lost, whatever becomes of the caller.

        Raises:
            ThreadBusy: Another one plays the thread, and a second one is refused.
        """
        asked = await self._player.ready(run, asked, kept=True)
        hold = await self._player.arrive(run, asked, kept=True)
        await self._own(run, asked, hold, None)

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
        signal = asyncio.Event()
        self._signals[run_id].add(signal)
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
                if status not in ("waiting", "playing"):
                    if after == 0 or status == "left":
                        raise ThreadError(
                            f"run `{run_id}` is not known here, or its process ended; "
                            "`await agent.recover()` takes up what was left"
                        )
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if run_id in self._tasks else _LOOK):
                        await signal.wait()
        finally:
            self._signals[run_id].discard(signal)
            if not self._signals[run_id]:
                del self._signals[run_id]

    async def stop(self, run_id: str) -> bool:
        """Stops a run, and returns once it has ended; False where it had ended before."""
        store = await self._opened.kept()
        if not await store.turns.stop(run_id):
            return False
        if run_id in self._tasks:
            await asyncio.wait([self._tasks[run_id][0]])
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
        mine = [(task, hold) for task, hold in self._tasks.values() if task.get_loop() is loop]
        for task, hold in mine:
            hold.handing_over = True
            task.cancel()
        if mine:
            await asyncio.wait([task for task, _ in mine])

    async def _take_up(self, store: Kept, run_id: str, new_run: Callable[[runs.Ticket], Run]) -> bool:
        hold = await store.turns.take_up(run_id)
        if hold is None:
            return False
        run = new_run(hold.ticket)
        seen = await shown(store.database, run_id)
        run.number = seen.number
        await self._own(run, Asked.unpacked(hold.ticket.asked), hold, seen)
        return True

    async def _own(self, run: Run, asked: Asked, hold: Hold, seen: Shown | None) -> None:
        store = await self._opened.kept()
        recorder = Recorder(store.database, run.id, lambda: self._tell(run.id))
        run.sink = logged(recorder.add)

        async def play() -> None:
            try:
                await self._player.kept_turn(run, asked, hold, seen)
            finally:
                await recorder.close()
                self._tasks.pop(run.id, None)
                self._tell(run.id)

        task = asyncio.create_task(play())
        self._tasks[run.id] = task, hold
        task.add_done_callback(_looked_at)

    def _tell(self, run_id: str) -> None:
        for signal in self._signals.get(run_id, ()):
            signal.set()


def _looked_at(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # the run's events tell of it
