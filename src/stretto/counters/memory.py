"""`MemoryCounters`: counters of one process. Forgets with the process; shares nothing with another."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from stretto.counters.window import SLACK, check, fits, given_back, part_of, seconds_until


@dataclass
class _Entry:
    part: int
    at: float
    amount: float


@dataclass
class _Sum:
    total: float = 0.0
    entries: deque[_Entry] = field(default_factory=deque[_Entry])


class MemoryCounters:
    """Sums by key and window; usable from every thread and event loop of the process.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sums: dict[tuple[str, float], _Sum] = {}
        self._lock = Lock()
        self._crowded = 1024

    async def take(self, key: str, amount: float, *, limit: float, window: float) -> float:
        """Counts `amount` if the sum stays within `limit`, and returns 0; else the seconds until it would."""
        check(amount, window)
        with self._lock:
            now = self._clock()
            found = self._current(key, window, now)
            if not fits(found.total, amount, limit):
                excess = found.total + amount - limit
                entries = ((entry.at, entry.amount) for entry in found.entries)
                return seconds_until(entries, excess, now=now, window=window)
            self._count(found, amount, now, window)
            self._keep(key, window, found)
            return 0.0

    async def add(self, key: str, amount: float, *, window: float, ago: float = 0.0) -> float:
        """Counts `amount` in any case; a negative one gives back what was taken `ago` seconds before."""
        check(amount, window)
        with self._lock:
            now = self._clock()
            found = self._current(key, window, now)
            if amount < 0:
                self._give_back(found, -amount, part_of(now - ago, window))
            else:
                self._count(found, amount, now, window)
            self._keep(key, window, found)
            return found.total

    def _current(self, key: str, window: float, now: float) -> _Sum:
        """The sum without what has left its window."""
        found = self._sums.get((key, window)) or _Sum()
        entries = found.entries
        while entries and entries[0].at <= now - window + SLACK:
            found.total -= entries.popleft().amount
        if not entries:
            found.total = 0.0
        return found

    def _count(self, found: _Sum, amount: float, now: float, window: float) -> None:
        entries = found.entries
        if amount == 0:
            return
        part = part_of(now, window)
        if entries and entries[-1].part == part:
            entries[-1].amount += amount
            entries[-1].at = now
        else:
            entries.append(_Entry(part, now, amount))
        found.total += amount

    def _give_back(self, found: _Sum, amount: float, taken: int) -> None:
        latest_first = ((entry.part, entry.amount) for entry in reversed(found.entries))
        changed = dict(given_back(latest_first, amount, taken))
        for entry in found.entries:
            entry.amount = changed.get(entry.part, entry.amount)
        found.entries = deque(entry for entry in found.entries if entry.amount > 0)
        found.total = sum(entry.amount for entry in found.entries)

    def _keep(self, key: str, window: float, found: _Sum) -> None:
        if found.entries:
            self._sums[key, window] = found
            if len(self._sums) > self._crowded:
                self._sweep()
        else:
            self._sums.pop((key, window), None)

    def _sweep(self) -> None:
        """Drops counters whose window is empty; the next sweep comes when their number has doubled."""
        now = self._clock()
        for (key, window), found in list(self._sums.items()):
            if found.entries[-1].at <= now - window:
                del self._sums[key, window]
        self._crowded = max(1024, 2 * len(self._sums))
