"""Requests and tokens a minute of one member, counted before a call and settled after it.

The counts lie in `Counters`, so that all processes that share them hold to one limit. Opens no store.
"""

from stretto.context import Counters

WINDOW = 60.0
_ANSWER = 256
"""Tokens of an answer where nothing is known of it yet."""


class Rates:
    """The limits of one member; None is without one."""

    def __init__(self, name: str, counters: Counters, *, requests: int | None, tokens: int | None) -> None:
        self._requests_key, self._tokens_key = f"requests:{name}", f"tokens:{name}"
        self._counters, self._requests, self._tokens = counters, requests, tokens
        self._answer, self._off = float(_ANSWER), 1.0

    def expected(self, read: float, max_tokens: int | None) -> float:
        """Tokens that a call will take: its prompt as learned from reported usage, and a usual answer."""
        answer = self._answer if max_tokens is None else min(self._answer, max_tokens)
        return read * self._off + answer

    async def take(self, tokens: float) -> float:
        """Counts one call of `tokens`; returns 0, or the seconds to wait, with nothing counted.

        A call larger than the limit itself is let through when the window is empty.
        """
        if self._requests is not None:
            wait = await self._counters.take(self._requests_key, 1, limit=self._requests, window=WINDOW)
            if wait:
                return wait
        if self._tokens is not None:
            asked = min(tokens, self._tokens)
            wait = await self._counters.take(self._tokens_key, asked, limit=self._tokens, window=WINDOW)
            if wait and self._requests is not None:
                await self._counters.add(self._requests_key, -1, window=WINDOW)
            return wait
        return 0.0

    async def settle(self, taken: float, read: float, used_in: int, used_out: int, *, ago: float) -> None:
        """Puts what a call really took in place of what was counted for it, `ago` seconds before."""
        if self._tokens is None or not used_in + used_out:
            return
        self._answer += 0.2 * (used_out - self._answer)
        if read > 50:
            self._off += 0.2 * (min(8.0, max(0.1, used_in / read)) - self._off)
        more = used_in + used_out - min(taken, self._tokens)
        await self._counters.add(self._tokens_key, more, window=WINDOW, ago=ago)
