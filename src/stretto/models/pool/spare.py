"""The budget of extra requests: what retries and hedges may send beside the calls themselves."""

from stretto.models.pool.rules import Retries

_LONGEST = 100.0
"""Extra requests that quiet times may save up."""


class Spare:
    """A bucket: each call pays a share in, each extra request takes one out."""

    __slots__ = ("_left", "_share")

    def __init__(self, rule: Retries) -> None:
        self._share, self._left = rule.share, float(rule.floor)

    def pay_in(self) -> None:
        """A call came."""
        self._left = min(_LONGEST, self._left + self._share)

    def take(self, *, owed: bool = False) -> bool:
        """Whether one more request may be sent; `owed` ones are sent in any case, and booked."""
        if self._left < 1 and not owed:
            return False
        self._left = max(-_LONGEST, self._left - 1)
        return True
