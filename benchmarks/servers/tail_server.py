"""The endpoints of `benchmarks/pool_tail.py`: three in one process, each with slots that requests queue for.

Prints their addresses. `tail_server.py SEED TIMES MEDIAN SLOTS`: the third is TIMES as slow.
"""

import asyncio
import heapq
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

from stretto.testing import FaultyServer
from stretto.testing.faults import log_normal


class Slots:
    """Delays of requests that queue for one of `slots`: what the queue and the first token take together."""

    def __init__(self, delays: Callable[[], float], slots: int) -> None:
        self._delays = delays
        self._free = [0.0] * slots

    def __call__(self) -> float:
        """Seconds until the first token of a request that comes now."""
        now = time.monotonic()
        done = max(now, heapq.heappop(self._free)) + self._delays()
        heapq.heappush(self._free, done)
        return done - now


def answer(request: object) -> str:
    """Some words."""
    return " ".join(["word"] * 20)


async def main(seed: int, times: float, median: float, slots: int) -> None:
    """Serves until it is ended."""
    async with AsyncExitStack() as stack:
        for number in range(3):
            slower = times if number == 2 else 1.0
            delays = log_normal(median, seed=seed + number, times=slower)
            server = FaultyServer(otherwise=answer, first_token=Slots(delays, slots), context=1 << 30)
            await stack.enter_async_context(server)
            print(server.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
