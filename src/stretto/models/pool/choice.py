"""Which member takes a call: the lowest tier that can, and in it the better of two picked by weight.

Also which members are outliers. Pure functions of how the members stand; they ask nobody.
"""

from collections.abc import Iterable, Sequence
from random import Random
from statistics import median

from stretto.models.pool.member import Standing
from stretto.models.pool.rules import Outliers


def choose(standings: Iterable[Standing], now: float, random: Random) -> Standing | None:
    """The one that takes a call now; None when none of them can."""
    able: dict[int, list[Standing]] = {}
    for standing in standings:
        if standing.admits(now):
            able.setdefault(standing.member.tier, []).append(standing)
    if not able:
        return None
    tier = able[min(able)]
    return better_of_two([one for one in tier if one.ejected_until <= now] or tier, now, random)


def better_of_two(able: Sequence[Standing], now: float, random: Random) -> Standing:
    """Two by weight, and of them the one that a call would wait for least."""
    if len(able) == 1:
        return able[0]
    if len(able) == 2:
        first, second = able
    else:
        weights = [one.member.weight for one in able]
        (first,) = random.choices(able, weights)
        others = [one for one in able if one is not first]
        (second,) = random.choices(others, [one.member.weight for one in others])
    return min(first, second, key=lambda one: one.cost(now))


def eject(standing: Standing, all_: Sequence[Standing], rule: Outliers, now: float) -> bool:
    """Leaves `standing` out when it is far slower than the others of its tier; whether it was."""
    others = [
        one.first_tokens.value(now)
        for one in all_
        if one is not standing and one.member.tier == standing.member.tier and one.first_tokens.samples
    ]
    out = sum(one.ejected_until > now for one in all_ if one is not standing)
    if not others or standing.first_tokens.samples < rule.samples or out + 1 > rule.most * len(all_):
        return False
    if standing.first_tokens.value(now) <= rule.times * median(others):
        standing.ejections = 0
        return False
    standing.ejections += 1
    standing.ejected_until = now + rule.seconds * standing.ejections
    return True
