import asyncio

import pytest


class Clock:
    """The clock of the running loop, which can be put forward."""

    def __init__(self):
        self.ahead = 0.0
        self._loop = asyncio.get_running_loop()
        real = self._loop.time
        self._loop.time = lambda: real() + self.ahead

    async def forward(self, seconds):
        """Lets what is due then happen."""
        self.ahead += seconds
        due = asyncio.Event()
        self._loop.call_at(self._loop.time(), due.set)
        await due.wait()


@pytest.fixture
async def clock():
    return Clock()
