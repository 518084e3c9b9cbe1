"""`Retention`: how much of its threads a store keeps. Knows no store and no graph."""

import time
from typing import Annotated

from msgspec import Meta

from stretto._internal.plain import Plain
from stretto.errors import ConfigError

Count = Annotated[int, Meta(ge=1)]
Days = Annotated[float, Meta(gt=0)]
DAY = 86_400.0
"""Seconds."""
_BETWEEN = 60.0
"""Seconds between two looks for threads that have their days behind them."""


class Retention(Plain, frozen=True, forbid_unknown_fields=True):
    """How much is kept of threads; None keeps all. What is over goes at the end of a turn.

    A thread that waits for answers keeps what it needs to go on.
    """

    threads: Count | None = None
    """Threads; those that were used last stay, also while older ones wait for answers."""
    turns: Count | None = None
    """Turns of a conversation, the one that runs included; a turn begins with a message of the person."""
    checkpoints: Count | None = 1
    """Checkpoints of a thread, the latest first: 1 is what it takes to go on from where a turn ended."""
    days: Days | None = None
    """Threads that were not used for so many days go, but none that waits for answers."""

    def __post_init__(self) -> None:
        """Refuses what would keep nothing at all."""
        for name in ("threads", "turns", "checkpoints"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ConfigError(
                    f"Retention: {name} is {value!r}; give a whole number from 1, or None for all"
                )
        if self.days is not None and (type(self.days) not in (int, float) or not self.days > 0):
            raise ConfigError(f"Retention: days is {self.days!r}; give days above 0, or None for all")


class Aging:
    """When to look for threads that have their days behind them: a look costs a walk over all threads."""

    def __init__(self) -> None:
        self._next = 0.0

    def since(self, keep: Retention) -> float | None:
        """Before which time (seconds since 1970) what was used last goes; None where it is not due."""
        if keep.days is None or time.monotonic() < self._next:
            return None
        self._next = time.monotonic() + _BETWEEN
        return time.time() - keep.days * DAY
