"""A race for the first token: a second attempt beside a slow first one; the one that speaks first is heard.

Each attempt plays in a task of its own from its beginning to its end, since what it opened (timeouts,
sockets) belongs to the task. Only hedged calls pay for that.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from stretto.errors import ModelError
from stretto.models.protocol import Piece

_AHEAD = 64
"""Pieces that an attempt may be ahead of its reader."""

Attempt = AsyncGenerator[Piece]


class _Player:
    """One attempt in a task."""

    def __init__(self, attempt: Attempt) -> None:
        self._pieces: asyncio.Queue[Piece | BaseException | None] = asyncio.Queue(_AHEAD)
        self.spoke = asyncio.Event()
        """Its first piece, or its end, has come."""
        self.failure: ModelError | None = None
        """Set when it failed before its first piece."""
        self._stopped = False
        self._task = asyncio.create_task(self._play(attempt))

    async def _play(self, attempt: Attempt) -> None:
        end: BaseException | None = None
        try:
            async with aclosing(attempt):
                async for piece in attempt:
                    await self._pieces.put(piece)
                    self.spoke.set()
        except asyncio.CancelledError as error:
            if self._stopped:
                raise
            end = error  # by something else than us: the reader must not wait for it
        except Exception as error:
            end = error
            if isinstance(error, ModelError) and not self.spoke.is_set():
                self.failure = error
        self.spoke.set()
        await self._pieces.put(end)

    async def pieces(self) -> AsyncGenerator[Piece]:
        """All it gives; raises what it raised."""
        while (piece := await self._pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def stop(self) -> asyncio.Task[None]:
        """Ends it; its socket is closed once the task is done."""
        self._stopped = True
        self._task.cancel()
        return self._task


async def race(first: Attempt, after: float, second: Callable[[], Awaitable[Attempt | None]]) -> Attempt:
    """The pieces of `first`, or of `second()` if `first` says nothing for `after` seconds and it is quicker.

    A failure of one before its first piece is the other's chance; when both fail, the first's is raised.
    """
    players = [_Player(first)]
    try:
        winner = players[0]
        if not await _within(winner, after) and (attempt := await second()) is not None:
            players.append(_Player(attempt))
            winner = await _quicker(players)
            await asyncio.wait([player.stop() for player in players if player is not winner])
        async with aclosing(winner.pieces()) as pieces:
            async for piece in pieces:
                yield piece
    finally:
        await asyncio.wait([player.stop() for player in players])


async def _within(player: _Player, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await player.spoke.wait()
    except TimeoutError:
        return False
    return True


async def _quicker(players: list[_Player]) -> _Player:
    """The first that spoke without failing; the first of all when all failed."""
    waits = {asyncio.create_task(player.spoke.wait()): player for player in players}
    try:
        pending = set(waits)
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for player in (waits[task] for task in waits if task in done):
                if player.failure is None:
                    return player
        return players[0]
    finally:
        for task in waits:
            task.cancel()
