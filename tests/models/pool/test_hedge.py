"""A second member is asked when the first is slow to speak; the one that speaks first is heard."""

import asyncio

import pytest

from stretto.errors import ModelUnavailable
from stretto.messages import Message
from stretto.models.pool import Hedge, Member, Retries
from stretto.models.protocol import Reply, TextPiece
from stretto.settings import ModelSettings

ASK = [Message.user("Hello?")]
SOON = Hedge(samples=3, least=0.001)


async def text_of(pool, **options):
    return "".join([p.text async for p in pool.stream(ASK, **options) if isinstance(p, TextPiece)])


@pytest.fixture
async def hedging(played, pool_of):
    """A pool that knows three quick first tokens; then the first member does what the test says."""

    async def make(slow, quick, **options):
        first = played("a", lambda n: ["x"] if n <= 3 else slow(n))
        second = played("b", quick)
        pool = pool_of(Member(first), Member(second, tier=1), hedge=SOON, **options)
        for _ in range(3):
            await text_of(pool)
        assert not second.asked
        return pool, first, second

    return make


async def test_a_slow_first_token_is_hedged_and_the_loser_is_closed(hedging):
    never = asyncio.Event()
    pool, first, second = await hedging(lambda n: [never, "late"], lambda n: ["quick ", "answer"])
    assert await text_of(pool) == "quick answer"
    assert len(first.asked) == 4 and len(second.asked) == 1
    assert first.open == second.open == 0
    assert [one.in_flight for one in pool.status()] == [0, 0]
    assert pool.status()[0].failed == 0


async def test_the_first_is_heard_when_it_speaks_before_the_second(hedging):
    word, never = asyncio.Event(), asyncio.Event()

    def second(n):
        word.set()
        return [never, "late"]

    pool, first, other = await hedging(lambda n: [word, "first ", "answer"], second)
    assert await text_of(pool) == "first answer"
    assert len(other.asked) == 1 and first.open == other.open == 0


async def test_a_failure_of_one_is_the_others_chance(hedging):
    asked, go = asyncio.Event(), asyncio.Event()

    def second(n):
        asked.set()
        return [go, "saved"]

    pool, _, _ = await hedging(lambda n: [asked, ModelUnavailable("died")], second)
    call = asyncio.create_task(text_of(pool))
    await asked.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    go.set()
    assert await call == "saved"
    assert [one.failed for one in pool.status()] == [1, 0]


async def test_when_both_fail_before_a_word_the_call_goes_on_as_any_failed_one(hedging):
    asked = asyncio.Event()

    def second(n):
        asked.set()
        return [ModelUnavailable("b died")]

    pool, _, other = await hedging(
        lambda n: [asked, ModelUnavailable("a died")], second, retries=Retries(delay=0.0, attempts=2)
    )
    with pytest.raises(ModelUnavailable, match=r"a died.*b died|b died.*a died"):
        await text_of(pool)
    assert len(other.asked) >= 1


async def test_a_failure_after_the_first_word_fails_over_as_without_hedge(hedging):
    never = asyncio.Event()
    pool, first, _ = await hedging(
        lambda n: [never] if n == 4 else ["whole"], lambda n: ["half", ModelUnavailable("died")]
    )
    pieces = [piece async for piece in pool.stream(ASK)]
    assert isinstance(pieces[-1], Reply) and pieces[-1].message.text == "whole"
    assert len(first.asked) == 5


async def test_hedges_are_paid_from_the_retry_budget(hedging):
    later = asyncio.Event()
    pool, _, second = await hedging(
        lambda n: [later, "late"], lambda n: ["x"], retries=Retries(share=0.0, floor=0)
    )
    call = asyncio.create_task(text_of(pool))
    await asyncio.sleep(0.02)
    assert not second.asked
    later.set()
    assert await call == "late"


async def test_what_does_something_at_the_endpoint_is_not_hedged(hedging):
    later = asyncio.Event()
    pool, _, second = await hedging(lambda n: [later, "late"], lambda n: ["x"])
    call = asyncio.create_task(text_of(pool, settings=ModelSettings(extra={"web_search_options": {"a": 1}})))
    await asyncio.sleep(0.02)
    assert not second.asked
    later.set()
    assert await call == "late"


async def test_a_caller_that_leaves_ends_both(hedging):
    never, asked = asyncio.Event(), asyncio.Event()

    def second(n):
        asked.set()
        return [never]

    pool, first, other = await hedging(lambda n: [never], second)
    call = asyncio.create_task(text_of(pool))
    await asked.wait()
    before = len(asyncio.all_tasks())
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert first.open == other.open == 0 and [one.in_flight for one in pool.status()] == [0, 0]
    assert len(asyncio.all_tasks()) < before


async def test_a_reader_slower_than_the_model_still_hears_everything(hedging):
    never = asyncio.Event()
    words = [f"w{n} " for n in range(500)]
    pool, _, _ = await hedging(lambda n: [never], lambda n: words)
    heard = []
    async for piece in pool.stream(ASK):
        await asyncio.sleep(0)
        if isinstance(piece, TextPiece):
            heard.append(piece.text)
    assert heard == words


async def test_a_caller_that_leaves_twice_while_the_race_ends_leaves_nothing_behind(hedging):
    never, asked = asyncio.Event(), asyncio.Event()

    def second(n):
        asked.set()
        return [never]

    pool, first, other = await hedging(lambda n: [never], second)
    call = asyncio.create_task(text_of(pool))
    await asked.wait()
    call.cancel()
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    for _ in range(10):
        await asyncio.sleep(0)
    assert first.open == other.open == 0
    assert [one.in_flight for one in pool.status()] == [0, 0]


async def test_an_attempt_that_is_cancelled_from_within_does_not_leave_its_reader_waiting(played, pool_of):
    class Shared(played):
        async def stream(self, *args, **options):
            if len(self.asked) == 3:
                raise asyncio.CancelledError  # as by a task that it shares with others
            async for piece in super().stream(*args, **options):
                yield piece

    pool = pool_of(Shared("a", lambda n: ["x"]), hedge=Hedge(samples=3, least=1.0))
    for _ in range(3):
        await text_of(pool)
    call = asyncio.create_task(text_of(pool))
    await asyncio.wait([call], timeout=2)
    assert call.cancelled()
    assert pool.status()[0].in_flight == 0
