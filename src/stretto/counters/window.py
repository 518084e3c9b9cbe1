"""The arithmetic of a sliding window. Keeps nothing and knows no clock.

Entries that fall into the same 256th of a window are kept as one, at the time of the latest: a counter has at
most 257 entries however busy it is, and an entry never leaves early. So a limit is never passed, in any
stretch of time as long as the window; a full window may admit up to 0.4 % later than it could.
"""

from collections.abc import Iterable
from math import inf

from stretto.errors import ConfigError

PARTS = 256
SLACK = 1e-6
"""Seconds by which an entry may leave early: what a float of a date loses."""


def check(amount: float, window: float) -> None:
    """Raises ConfigError where a call makes no sense."""
    if not window > 0:
        raise ConfigError(f"a window of {window!r} seconds counts nothing; give seconds, or `inf`")
    if amount != amount:
        raise ConfigError("an amount is not a number; give how much is counted")


def part_of(now: float, window: float) -> int:
    """Which part of its window a moment belongs to; a total has one part."""
    return 0 if window == inf else int(now * PARTS / window)


def fits(total: float, amount: float, limit: float) -> bool:
    """Whether `amount` may still be counted; what floats lose in sums is forgiven."""
    return total + amount <= limit + 1e-9 * abs(limit)


def seconds_until(
    entries: Iterable[tuple[float, float]], excess: float, *, now: float, window: float
) -> float:
    """Seconds until `excess` has left the window, from `(time, amount)` oldest first; `inf` if never."""
    if window == inf:
        return inf
    freed = 0.0
    for at, amount in entries:
        freed += amount
        if freed >= excess * (1 - 1e-9):
            return max(at + window - now, SLACK)
    return inf


def given_back(entries: Iterable[tuple[int, float]], amount: float, taken: int) -> list[tuple[int, float]]:
    """What giving back `amount` that was taken in part `taken` does: the parts that change, with what stays.

    The part itself gives first, then older ones, which leave sooner anyway: so the window never holds
    less than was used. What has left already cannot be given back.

    Args:
        entries: `(part, amount)`, latest first.
        amount: Above 0.
        taken: The part of the moment it was taken.
    """
    changed: list[tuple[int, float]] = []
    for part, held in entries:
        if part > taken:
            continue
        stays = held - min(held, amount)
        changed.append((part, stays))
        amount -= held
        if amount <= 0:
            break
    return changed
