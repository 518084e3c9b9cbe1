"""MemoryCounters: the contract, threads, and no growth with keys that are over."""

import asyncio
from threading import Thread

import pytest

from stretto.counters import MemoryCounters
from stretto.testing.counters_contract import CountersContract, FakeClock


class TestMemoryCounters(CountersContract):
    @pytest.fixture
    def counters(self, clock: FakeClock) -> MemoryCounters:
        return MemoryCounters(clock=clock)


async def test_counters_whose_window_is_over_are_dropped() -> None:
    clock = FakeClock()
    counters = MemoryCounters(clock=clock)
    for number in range(5000):
        await clock.advance(1)
        await counters.take(f"tenant-{number}", 1, limit=10, window=60)
    assert len(counters._sums) <= 1100


async def test_a_counter_that_is_given_back_leaves_nothing() -> None:
    counters = MemoryCounters()
    await counters.add("k", 3, window=float("inf"))
    await counters.add("k", -3, window=float("inf"))
    assert not counters._sums


def test_threads_share_it() -> None:
    counters = MemoryCounters()
    taken: list[float] = []

    async def many() -> None:
        for _ in range(500):
            taken.append(await counters.take("k", 1, limit=700, window=600))

    threads = [Thread(target=lambda: asyncio.run(many())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(wait == 0 for wait in taken) == 700
