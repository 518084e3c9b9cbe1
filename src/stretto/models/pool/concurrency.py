"""How many calls a member takes at once: the limit grows while its latency holds, and backs off.

After TCP's way (additive increase, multiplicative decrease). Knows no clock and no queue.
"""

START = 16
"""Calls at once before anything is known."""
MOST = 1024
_TOLERANCE = 3.0
"""Times the usual first token from which a member counts as overloaded."""


class Concurrency:
    """The adaptive limit of one member; `most` caps it."""

    __slots__ = ("_left", "_most", "_recent", "_usual", "limit")

    def __init__(self, most: int | None = None) -> None:
        self._most = most or MOST
        self.limit = float(min(START, self._most))
        self._usual = self._recent = 0.0
        self._left = 0

    def succeeded(self, first_token: float, in_flight: int) -> None:
        """An answer came: `first_token` in seconds, with `in_flight` calls beside it, itself included."""
        if not self._usual:
            self._usual = self._recent = first_token
        self._recent += 0.2 * (first_token - self._recent)
        self._usual += (0.1 if first_token < self._usual else 0.01) * (first_token - self._usual)
        self._left -= 1
        if self._recent > _TOLERANCE * self._usual:
            self.backed_off(0.9)
        elif in_flight >= self.limit / 2:
            self.limit = min(self._most, self.limit + 1 / self.limit)

    def backed_off(self, factor: float = 0.7) -> None:
        """It said 429, or became slow: fewer at once; at most one step for all calls that were under way."""
        if self._left <= 0:
            self._left = int(self.limit)
            self.limit = max(1.0, self.limit * factor)
