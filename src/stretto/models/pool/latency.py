"""What a member's past says of its next first token. Plain arithmetic; the caller brings the clock's time."""

import math
from collections import deque

TAU = 10.0
"""Seconds after which a third of an old peak is left: a member that was slow is tried again."""
_KEPT = 256
_EVERY = 16


class PeakEwma:
    """A moving average that takes each peak at once and lets go of it slowly: a slow answer warns early."""

    __slots__ = ("_at", "_value", "samples")

    def __init__(self) -> None:
        self._value, self._at = 0.0, 0.0
        self.samples = 0

    def value(self, now: float) -> float:
        """Seconds to expect; it fades while nothing is observed."""
        return self._value * math.exp((self._at - now) / TAU) if self._value else 0.0

    def observe(self, seconds: float, now: float) -> None:
        """Takes one answer in."""
        kept = math.exp((self._at - now) / TAU)
        self._value = max(seconds, self._value * kept + seconds * (1 - kept))
        self._at = now
        self.samples += 1


class Quantile:
    """A quantile of the last 256 values, sorted anew at every 16th."""

    __slots__ = ("_known", "_q", "_values", "count")

    def __init__(self, q: float) -> None:
        self._q = q
        self._values: deque[float] = deque(maxlen=_KEPT)
        self._known = 0.0
        self.count = 0

    def observe(self, value: float) -> None:
        """Takes one value in."""
        self._values.append(value)
        self.count += 1
        if self.count % _EVERY == 0 or self.count < _EVERY:
            ranked = sorted(self._values)
            self._known = ranked[min(len(ranked) - 1, math.ceil(self._q * len(ranked)) - 1)]

    @property
    def value(self) -> float:
        """The quantile; 0 before the first value."""
        return self._known
