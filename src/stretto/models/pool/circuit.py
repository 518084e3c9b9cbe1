"""The breaker of one member: closed, open after failures, half open for one trial. Plain state, no clock."""

from collections import deque
from typing import Literal

from stretto.models.pool.rules import Breaker

State = Literal["closed", "open", "half_open"]
"""closed: it plays; open: it is left alone until its cooldown is over; half_open: one trial is under way."""

_WINDOW = 20


class Circuit:
    """Counts failures and says whether a call may go through."""

    __slots__ = ("_cooldown", "_recent", "_row", "_rule", "state", "until")

    def __init__(self, rule: Breaker) -> None:
        self._rule = rule
        self.state: State = "closed"
        self.until = 0.0
        """When it may be tried, unless it is closed: a trial is not waited for longer either."""
        self._cooldown = rule.cooldown
        self._row = 0
        self._recent: deque[bool] = deque(maxlen=_WINDOW)

    def admits(self, now: float) -> bool:
        """Whether a call may go through now."""
        return self.state == "closed" or now >= self.until

    def begun(self, now: float) -> None:
        """A call goes through: where it was open, this is the trial."""
        if self.state != "closed" and now >= self.until:
            self.state, self.until = "half_open", now + self._rule.longest

    def failed(self, now: float, *, surely: bool = False) -> bool:
        """A call failed; returns whether that opened it. `surely`: so will the next one."""
        self._row = self._rule.failures if surely else self._row + 1
        self._recent.append(False)
        if self.state == "half_open":
            self._cooldown = min(self._rule.longest, self._cooldown * 2)
        elif self.state == "open":
            return False  # one of those that were under way
        elif self._row < self._rule.failures and not self._half_failed():
            return False
        self.state, self.until = "open", now + self._cooldown
        return True

    def _half_failed(self) -> bool:
        return len(self._recent) == _WINDOW and sum(self._recent) <= _WINDOW / 2

    def succeeded(self) -> None:
        """A call, or a trial, was answered."""
        self._row = 0
        self._recent.append(True)
        if self.state != "closed":
            self.state, self._cooldown = "closed", self._rule.cooldown
            self._recent.clear()

    def dropped(self, now: float) -> None:
        """The trial ended without a verdict: its caller left."""
        if self.state == "half_open":
            self.state, self.until = "open", now
