"""`CountersContract`: the tests every `Counters` passes. Needs pytest and pytest-asyncio; knows no store.

    class TestMyCounters(CountersContract):
        @pytest.fixture
        async def counters(self, clock):
            counters = MyCounters(clock=clock)
            yield counters
            await counters.close()

A store that cannot be given a clock overrides the fixture `clock` with one whose `advance` waits.
"""

import asyncio
import random
from math import inf

import pytest

from stretto.context import Counters
from stretto.errors import ConfigError

__all__ = ["CountersContract", "FakeClock"]


class FakeClock:
    """Seconds that pass when told to."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time now."""
        return self.now

    async def advance(self, seconds: float) -> None:
        """Lets time pass."""
        self.now += seconds


class CountersContract:
    """Subclass it and give one fixture `counters`; a fresh one a test."""

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def clock(self) -> FakeClock:
        """The time the counters go by."""
        return FakeClock()

    async def test_takes_up_to_the_limit_and_not_beyond(self, counters: Counters) -> None:
        """The third of three fits, the fourth has to wait."""
        taken = [await counters.take("k", 1, limit=3, window=60) for _ in range(4)]
        assert taken[:3] == [0, 0, 0]
        assert 0 < taken[3] <= 60

    async def test_what_is_refused_is_not_counted(self, counters: Counters) -> None:
        """A smaller one still fits after one that did not."""
        assert await counters.take("k", 8, limit=10, window=60) == 0
        assert await counters.take("k", 3, limit=10, window=60) > 0
        assert await counters.add("k", 0, window=60) == 8
        assert await counters.take("k", 2, limit=10, window=60) == 0

    async def test_what_it_says_to_wait_is_enough_and_needed(
        self, counters: Counters, clock: FakeClock
    ) -> None:
        """It fits after that many seconds, and not a second sooner."""
        await counters.take("k", 4, limit=10, window=60)
        await clock.advance(20)
        await counters.take("k", 6, limit=10, window=60)
        wait = await counters.take("k", 5, limit=10, window=60)
        assert wait == pytest.approx(60, abs=0.01), "4 leave after 40 s, which is not enough"
        assert await counters.take("k", 4, limit=10, window=60) == pytest.approx(40, abs=0.01)
        await clock.advance(wait - 1)
        assert 0 < await counters.take("k", 5, limit=10, window=60) <= 1.01
        await clock.advance(1)
        assert await counters.take("k", 5, limit=10, window=60) == 0

    async def test_what_never_fits_waits_for_ever(self, counters: Counters) -> None:
        """More than the limit, and anything in a total that is full."""
        assert await counters.take("k", 11, limit=10, window=60) == inf
        assert await counters.take("total", 10, limit=10, window=inf) == 0
        assert await counters.take("total", 1, limit=10, window=inf) == inf

    async def test_a_total_stays(self, counters: Counters, clock: FakeClock) -> None:
        """Years do not change it."""
        await counters.add("k", 2.5, window=inf)
        await clock.advance(1e9)
        assert await counters.add("k", 1, window=inf) == 3.5

    async def test_add_counts_over_the_limit_and_take_sees_it(self, counters: Counters) -> None:
        """What was really used may be more than was reserved."""
        await counters.take("k", 5, limit=10, window=60)
        assert await counters.add("k", 20, window=60) == 25
        assert await counters.take("k", 1, limit=10, window=60) > 0

    async def test_giving_back_makes_room_at_once(self, counters: Counters) -> None:
        """A reservation is settled by what was used."""
        await counters.take("k", 10, limit=10, window=60)
        assert await counters.add("k", -7, window=60) == 3
        assert await counters.take("k", 7, limit=10, window=60) == 0

    async def test_what_has_left_the_window_is_not_given_back(
        self, counters: Counters, clock: FakeClock
    ) -> None:
        """Else the window would hold less than nothing, and the limit would be passed later."""
        await counters.take("k", 10, limit=10, window=60)
        await clock.advance(50)
        assert await counters.add("k", -9, window=60, ago=50) == 1
        await counters.take("k", 9, limit=10, window=60)
        await clock.advance(15)
        assert await counters.add("k", -1, window=60, ago=65) == 9
        await clock.advance(60)
        assert await counters.add("k", -5, window=60, ago=60) == 0
        assert await counters.take("k", 11, limit=10, window=60) == inf

    async def test_everything_can_be_given_back(self, counters: Counters) -> None:
        """`-inf` empties a counter."""
        await counters.add("k", 10, window=inf)
        assert await counters.add("k", -inf, window=inf) == 0
        assert await counters.take("k", 10, limit=10, window=inf) == 0

    async def test_keys_and_windows_are_counted_apart(self, counters: Counters) -> None:
        """The same key over another window is another counter."""
        await counters.add("k", 5, window=60)
        assert await counters.add("other", 0, window=60) == 0
        assert await counters.add("k", 1, window=3600) == 1
        assert await counters.add("k", 1, window=inf) == 1

    async def test_fractions_add_up_to_the_limit(self, counters: Counters) -> None:
        """Ten tenths are one, whatever floats say."""
        taken = [await counters.take("k", 0.1, limit=1, window=inf) for _ in range(11)]
        assert taken == [0] * 10 + [inf]

    async def test_takes_at_once_never_pass_the_limit(self, counters: Counters) -> None:
        """100 at the same time, 30 places."""
        taken = await asyncio.gather(*(counters.take("k", 1, limit=30, window=60) for _ in range(100)))
        assert sum(wait == 0 for wait in taken) == 30

    async def test_no_stretch_as_long_as_the_window_passes_the_limit(
        self, counters: Counters, clock: FakeClock
    ) -> None:
        """The law of a sliding window, over 1,500 calls at random times with random settlements."""
        choose = random.Random(7)
        used: list[tuple[float, float]] = []
        unsettled: list[tuple[float, float, float]] = []
        for _ in range(1500):
            await clock.advance(choose.expovariate(1.5))
            for done in sorted(entry for entry in unsettled if entry[0] <= clock.now):
                unsettled.remove(done)
                await counters.add("k", done[2], window=60, ago=clock.now - done[1])
            asked = choose.randint(1, 6)
            if await counters.take("k", asked, limit=60, window=60) == 0:
                real = choose.randint(0, asked)
                unsettled.append((clock.now + choose.uniform(0, 20), clock.now, real - asked))
                used.append((clock.now, real))
        for start, _ in used:
            assert sum(amount for at, amount in used if start <= at < start + 59.99) <= 60
        assert sum(amount for _, amount in used) > 700, "and lets through most of what fits"

    @pytest.mark.parametrize("window", [0, -1, float("nan")])
    async def test_a_window_without_length_is_refused(self, counters: Counters, window: float) -> None:
        """It would count nothing and allow everything."""
        with pytest.raises(ConfigError, match="window"):
            await counters.take("k", 1, limit=1, window=window)
