"""Waits for files to change. Knows neither documents nor stores.

By looking at times and sizes: that works on every system and on folders of other machines.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Set

from stretto.knowledge.opened import off_loop

Stamps = Mapping[str, tuple[int, int, int]]
_SHARE = 20
"""The time between two looks is at least so many times what a look takes."""


async def changes(look: Callable[[], Stamps], every: float) -> AsyncGenerator[Set[str]]:
    """At once, and after each change, the sources that have not changed since the last time.

    A change counts when a second look, `every` seconds later, sees the same: then nobody is writing any more.
    """
    settled: Stamps = {}
    first = True
    before: Stamps | None = None
    while True:
        started = time.monotonic()
        now = await off_loop(look)
        took = time.monotonic() - started
        if first or (now != settled and now == before):
            yield {source for source, stamp in now.items() if settled.get(source) == stamp}
            settled, first = now, False
        before = now
        await asyncio.sleep(max(every, _SHARE * took))
