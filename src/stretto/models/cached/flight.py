"""One call of a model that several callers follow. Knows no keys and no stores.

The call belongs to nobody: it goes on while anyone listens, and is cancelled when the last one leaves.
"""

import asyncio
import copy
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import cast

import msgspec

from stretto.models.protocol import Piece, Reply
from stretto.usage import Usage


class Flight:
    """A stream in the air.

    Args:
        stream: The call.
        ended: Told the reply before any listener has it, or None once it is sure that none will come.
    """

    def __init__(self, stream: AsyncIterator[Piece], ended: Callable[[Reply | None], None]) -> None:
        self._stream, self._ended = stream, ended
        self._pieces: list[Piece] = []
        self._listening: set[asyncio.Event] = set()
        self._error: Exception | None = None
        self._over = False
        """Nothing more comes."""
        self._told = False
        self._paid = False
        self._task = asyncio.create_task(self._fly())

    async def _fly(self) -> None:
        try:
            async with aclosing(cast("AsyncGenerator[Piece]", self._stream)) as stream:
                async for piece in stream:
                    if isinstance(piece, Reply):
                        self._tell(piece)
                    self._pieces.append(piece)
                    self._wake()
        except Exception as error:
            self._error = error
        finally:
            self._tell(None)
            self._over = True
            self._wake()

    def _tell(self, reply: Reply | None) -> None:
        if not self._told:
            self._told = True
            self._ended(reply)

    def _wake(self) -> None:
        for ready in self._listening:
            ready.set()

    async def listen(self) -> AsyncGenerator[Piece]:
        """All pieces from the first on, as they come.

        The first listener who takes the reply has its usage; to the others it cost nothing. Errors reach all,
        each as its own copy.
        """
        ready = asyncio.Event()
        self._listening.add(ready)
        heard = 0
        try:
            while True:
                while heard < len(self._pieces):
                    piece = self._pieces[heard]
                    heard += 1
                    yield self._billed(piece) if isinstance(piece, Reply) else piece
                if self._over:
                    break
                ready.clear()
                await ready.wait()
            if self._error is not None:
                raise _copied(self._error)
        finally:
            self._listening.discard(ready)
            if not self._listening and not self._over:
                self._tell(None)  # at once: who asks from now on begins a call of its own
                self._task.cancel()
                await asyncio.wait([self._task])

    def _billed(self, reply: Reply) -> Reply:
        if self._paid:
            return msgspec.structs.replace(reply, usage=Usage(), headroom=None)
        self._paid = True
        return reply


def _copied(error: Exception) -> Exception:
    """The error again, since what one run notes on it is not for another."""
    try:
        return copy.copy(error)
    except TypeError:  # its constructor takes something else than its message
        return error.with_traceback(None)
