"""HTTP sessions, one an event loop, opened when first used and closed when the loop ends.

Knows no endpoint. A program that calls `asyncio.run` many times gets a working session in each.
"""

import asyncio
import functools
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler


class _Reading(ResponseHandler):
    """aiohttp's connection, which asks its parser to go on after each chunk read: here only where it paused.

    Every token of a stream is a chunk, so this is a fifth of what reading one costs.
    """

    def resume_reading(self, resume_parser: bool = True) -> None:
        if self._reading_paused:
            super().resume_reading(resume_parser)


class Sessions:
    """The sessions of one model.

    Args:
        limit: connections at once; more calls wait for a free one.
        trust_env: take proxies from the environment.
    """

    def __init__(self, *, limit: int = 100, trust_env: bool = False) -> None:
        self._limit = limit
        self._trust_env = trust_env
        self._open: dict[asyncio.AbstractEventLoop, AsyncGenerator[aiohttp.ClientSession]] = {}
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}

    async def get(self) -> aiohttp.ClientSession:
        """The session of the running loop."""
        loop = asyncio.get_running_loop()
        found = self._sessions.get(loop)
        if found is not None and not found.closed:
            return found
        self._open[loop] = keeper = self._keep(loop)
        return await anext(keeper)

    async def _keep(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[aiohttp.ClientSession]:
        # `asyncio.run` closes the async generators of its loop at its end, and so this one's session.
        connector: Any = aiohttp.TCPConnector(limit=self._limit, keepalive_timeout=60.0)
        connector._factory = functools.partial(_Reading, loop=loop)
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=self._trust_env,
        )
        self._sessions[loop] = session
        try:
            yield session
        finally:
            self._sessions.pop(loop, None)
            self._open.pop(loop, None)
            await session.close()

    async def close(self) -> None:
        """Closes the session of the running loop. Others close when their loops end."""
        keeper = self._open.get(asyncio.get_running_loop())
        if keeper is not None:
            await keeper.aclose()

    def __len__(self) -> int:
        """Sessions open now, in all loops."""
        return len(self._sessions)
