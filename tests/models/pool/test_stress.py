"""Many calls at random: members that fail, die in mid-stream and hang, callers that leave at any await.

Afterwards nothing is left: every seat is back, the line is empty, no task runs, no breaker waits for a trial.
"""

import asyncio
from random import Random

import pytest

from stretto.context import Run, RunContext, use_context
from stretto.counters import MemoryCounters
from stretto.errors import (
    BadRequest,
    ContextOverflow,
    ModelError,
    ModelTimeout,
    ModelUnavailable,
    RateLimited,
)
from stretto.messages import Message
from stretto.models.pool import Breaker, Hedge, Member, Pool, Retries
from stretto.models.protocol import Capabilities, Reply, RetractPiece, TextPiece, ToolCallPiece
from stretto.settings import ModelSettings
from stretto.usage import Usage

ASK = [Message.user("Hello?")]
CALLS = 150


class Rough:
    """A ChatModel that does anything, by `random`."""

    def __init__(self, name, random, **can):
        self.name, self._random, self.capabilities = name, random, Capabilities(**can)
        self.open = 0

    async def stream(self, messages, *, tools=(), schema=None, settings=None):
        random, text = self._random, ""
        self.open += 1
        try:
            for _ in range(random.randrange(6)):
                await asyncio.sleep(random.choice((0, 0, 0, 0.001)))
                self._fail()
                if random.random() < 0.1:
                    yield ToolCallPiece(0, "c1", "find", "{}")
                text += "word "
                yield TextPiece("word ")
                if random.random() < 0.05:
                    yield RetractPiece(len(text))
                    text = ""
            if random.random() < 0.03:
                await asyncio.sleep(60)
            if random.random() < 0.95:
                yield Reply(Message.assistant(text), Usage(10, 3, calls=1), model=self.name)
        finally:
            try:
                await asyncio.sleep(0)  # as a socket takes to close
            finally:
                self.open -= 1

    def _fail(self):
        kinds = (ModelUnavailable, ModelTimeout, RateLimited, ContextOverflow, BadRequest)
        if self._random.random() < 0.1:
            error = self._random.choice(kinds)("rough")
            if isinstance(error, RateLimited):
                error.retry_after = 0.001
            raise error

    async def close(self):
        pass


async def call(pool, random):
    use_context(RunContext(Run(tenant=random.choice("abc"))))
    shown = ""
    leaves = random.randrange(8) if random.random() < 0.2 else None
    stream = pool.stream(ASK, settings=ModelSettings(timeout=random.choice((0.01, 0.05, 1.0)), max_tokens=50))
    try:
        async for piece in stream:
            if isinstance(piece, TextPiece):
                shown += piece.text
            elif isinstance(piece, RetractPiece):
                assert piece.length <= len(shown)
                shown = shown[: len(shown) - piece.length]
            elif isinstance(piece, Reply):
                assert piece.message.text == shown
            if leaves == 0:
                break
            leaves = None if leaves is None else leaves - 1
    except ModelError as error:
        assert not error.partial or error.partial == shown
    finally:
        await stream.aclose()


async def leave_at_random(tasks, random):
    """Cancels some, a few of them twice, each some steps of the loop after the one before."""
    for task in random.sample(tasks, len(tasks) // 3):
        for _ in range(random.randrange(4)):
            await asyncio.sleep(0)
        task.cancel()
        if random.random() < 0.3:
            await asyncio.sleep(0)
            task.cancel()


@pytest.mark.parametrize("seed", range(8))
async def test_nothing_is_left_of_many_calls_that_fail_and_are_left_anywhere(seed):
    random = Random(seed)
    models = [Rough(name, random, prefill=name != "b", tools=True) for name in "abcd"]
    pool = Pool(
        [
            Member(models[0], concurrency=3),
            Member(models[1], concurrency=2, requests_per_minute=100),
            Member(models[2], tier=1, concurrency=2, tokens_per_minute=100_000),
            Member(Pool([models[3]], random=random, retries=Retries(delay=0.0)), tier=1, concurrency=4),
        ],
        random=random,
        hedge=Hedge(samples=3, least=0.0005) if seed % 2 else False,
        breaker=Breaker(failures=2, cooldown=0.002, longest=0.01, probe=seed % 4 < 2),
        retries=Retries(share=1.0, floor=100, delay=0.001),
        counters=MemoryCounters(),
    )
    before = asyncio.all_tasks()
    calls = [asyncio.create_task(call(pool, random)) for _ in range(CALLS)]
    await leave_at_random(calls, random)
    _, late = await asyncio.wait(calls, timeout=0.3)
    for task in late:
        task.cancel()  # those that hang at a member which says nothing
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert [one for one in ended if one is not None and not isinstance(one, asyncio.CancelledError)] == []
    await pool.close()
    await asyncio.sleep(0.002)
    assert asyncio.all_tasks() == before
    assert [one.in_flight for one in pool.status()] == [0] * 4 and [one.open for one in models] == [0] * 4
    assert pool._seats.waiting == 0
    for standing in pool._standings:
        assert standing.in_flight == 0 and not standing._silent
        assert standing.circuit.state != "half_open"
