"""HTTP sessions, one an event loop, opened when first used and closed when the loop ends.

Knows no endpoint. A program that calls `asyncio.run` many times gets a working session in each.
"""

import asyncio
from collections.abc import AsyncGenerator
from weakref import WeakKeyDictionary

import aiohttp


async def _keep(session: aiohttp.ClientSession) -> AsyncGenerator[aiohttp.ClientSession]:
    # `asyncio.run` closes the async generators of its loop at its end, and so this one's session.
    try:
        yield session
    finally:
        await session.close()


class Sessions:
    """The sessions of one model.

    Args:
        limit: connections at once; more calls wait for a free one.
        trust_env: take proxies from the environment.
    """

    def __init__(self, *, limit: int = 100, trust_env: bool = False) -> None:
        self._limit = limit
        self._trust_env = trust_env
        self._open: WeakKeyDictionary[
            asyncio.AbstractEventLoop,
            tuple[aiohttp.ClientSession, AsyncGenerator[aiohttp.ClientSession]],
        ] = WeakKeyDictionary()

    async def get(self) -> aiohttp.ClientSession:
        """The session of the running loop."""
        loop = asyncio.get_running_loop()
        found = self._open.get(loop)
        if found is not None and not found[0].closed:
            return found[0]
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._limit, keepalive_timeout=60.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=self._trust_env,
            auto_decompress=True,
        )
        keeper = _keep(session)
        self._open[loop] = (session, keeper)
        await anext(keeper)
        return session

    async def close(self) -> None:
        """Closes the session of the running loop. Others close when their loops end."""
        found = self._open.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found[1].aclose()
