"""How fast work goes and how long it will take, from what was done lately. Prints nothing."""

import time
from collections import deque
from collections.abc import Callable

_WINDOW = 60.0
"""Seconds that count as lately."""
_STEP = 0.25


class Pace:
    """Told how much is done, it says how fast that goes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def at(self, done: int, total: int) -> tuple[float, float | None]:
        """How many a second, and the seconds until all are done; 0 and None while that is not known."""
        now = self._clock()
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()  # another piece of work has begun
        if not self._seen or now - self._seen[-1][0] >= _STEP:
            self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > _WINDOW:
            self._seen.popleft()
        since, first = self._seen[0]
        if done <= first or now - since < _STEP:
            return 0.0, None
        rate = (done - first) / (now - since)
        return rate, (total - done) / rate if total >= done else None


def spelled(seconds: float) -> str:
    """A time for people: `40 s`, `3 min`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
