"""The deadlines of one answer: first token, idle and total. Knows no socket, and nothing of what is received.

One timer an answer: `heard` only moves a number, and the timer looks at it when it rings. A consumer that
takes its time with a piece is not the endpoint's fault: nothing rings between `pause` and `heard`.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from stretto.errors import Deadline, ModelTimeout
from stretto.settings import ModelSettings

NEVER = float("inf")

TAIL = 5.0
"""Seconds an endpoint has for its usage and its end once it said why the answer ends."""


class Progress(Protocol):
    """What an answer tells of how far it is."""

    moved: bool
    """There was content since this was last set to False."""

    @property
    def finished(self) -> bool:
        """Only its end is awaited."""
        ...


class Deadlines:
    """When the next content of an answer has to be there, on the clock of the running loop.

    Args:
        settings: `first_token`, `idle` and `timeout` count from now.
        where: the model, for the errors.
    """

    def __init__(self, settings: ModelSettings, where: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._where = where
        self._idle = NEVER if settings.idle is None else settings.idle
        self._total = self._loop.time() + settings.timeout
        self._timer: asyncio.TimerHandle | None = None
        self._rings = NEVER
        self._finished = False
        self._close: Callable[[], None] | None = None
        self.at = NEVER
        """When it has to be there, in seconds of `loop.time()`."""
        self.which: Deadline = "total"
        """The deadline that `at` is."""
        self.expired = False
        """Whether it closed what it guards."""
        self.begin()

    def begin(self) -> None:
        """The first content is awaited from now on."""
        first = self._settings.first_token
        self._set(NEVER if first is None else first, "first_token")

    def heard(self) -> None:
        """There was content; the next is awaited from now on."""
        self._set(self._idle, "idle")

    def after(self, answer: Progress) -> None:
        """Moves the deadline where the last read brought content, or the end of it."""
        if answer.moved:
            answer.moved = False
            self._set(self._idle, "idle")
        if answer.finished and not self._finished:
            self._finished = True
            self._total = min(self._total, self._loop.time() + TAIL)
            self._set(self._idle, "idle")

    def pause(self) -> None:
        """Nothing is awaited until `heard`."""
        self.at = NEVER

    def guard(self, close: Callable[[], None]) -> None:
        """Calls `close` when a deadline passes, until `stop`."""
        self._close = close
        self._arm()

    def stop(self) -> None:
        """Guards no longer."""
        self._close = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def error(self, partial: str = "") -> ModelTimeout:
        """The error for the deadline that passed."""
        said = {
            "first_token": f"sent no content within {self._settings.first_token} s; raise `first_token`",
            "idle": f"sent no further content for {self._settings.idle} s; raise `idle`",
        }.get(self.which, f"did not finish within {self._settings.timeout:g} s; raise `timeout`")
        return ModelTimeout(f"{self._where} {said} in its settings", partial=partial, deadline=self.which)

    def _set(self, seconds: float, which: Deadline) -> None:
        at = self._loop.time() + seconds
        if at < self._total:
            self.at, self.which = at, which
        else:
            self.at = at = self._total
            self.which = "total"
        if at < self._rings and self._close is not None:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings = self.at
        self._timer = self._loop.call_at(self.at, self._ring) if self.at < NEVER else None

    def _ring(self) -> None:
        self._timer = None
        if self._loop.time() < self.at or self._close is None:
            self._arm()
            return
        self.expired = True
        self._close()
