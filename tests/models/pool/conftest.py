"""A model that does what a test says, and the clock of its pool."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from random import Random
from typing import Any

import pytest

from stretto.errors import ModelError
from stretto.messages import Message
from stretto.models.pool import Pool
from stretto.models.protocol import Capabilities, Piece, Reply, TextPiece
from stretto.settings import ModelSettings
from stretto.usage import Usage


class Played:
    """A ChatModel that plays what `play` says of each call: texts, pieces, errors, events to wait for."""

    def __init__(self, name: str, play: Callable[[int], Sequence[Any]], **can: Any) -> None:
        self.name, self._play = name, play
        self.capabilities = Capabilities(**can)
        self.asked: list[tuple[Sequence[Message], ModelSettings]] = []
        self.open = self.closed = 0

    async def stream(
        self, messages: Sequence[Message], *, tools: Any = (), schema: Any = None, settings: Any = None
    ) -> AsyncIterator[Piece]:
        self.asked.append((list(messages), settings))
        text = ""
        self.open += 1
        try:
            for step in self._play(len(self.asked)):
                await asyncio.sleep(0)
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, ModelError):
                    step.partial = text
                    raise step
                elif isinstance(step, str):
                    text += step
                    yield TextPiece(step)
                else:
                    yield step
            yield Reply(Message.assistant(text), Usage(10, len(text), calls=1), model=self.name, chunks=1)
        finally:
            self.open -= 1

    async def close(self) -> None:
        self.closed += 1


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def played() -> type[Played]:
    return Played


@pytest.fixture
async def pool_of():
    """Makes pools with a seeded choice, and closes them."""
    made: list[Pool] = []

    def make(*members: Any, **options: Any) -> Pool:
        made.append(Pool(members, **{"random": Random(7), **options}))
        return made[-1]

    yield make
    for pool in made:
        await pool.close()
