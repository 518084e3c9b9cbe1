"""A member that is down is asked for one token now and then, so that its recovery is seen without traffic."""

import asyncio

import pytest

from stretto.errors import BadRequest, ModelUnavailable
from stretto.messages import Message
from stretto.models.pool import Breaker, Retries
from stretto.models.protocol import complete

ASK = [Message.user("Hello?")]
RULE = Breaker(failures=2, cooldown=0.01)


async def fail(pool, times):
    for _ in range(times):
        with pytest.raises(ModelUnavailable):
            async for _ in pool.stream(ASK):
                pass


async def until(true):
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.002)


async def test_recovery_is_seen_without_traffic(played, pool_of, caplog):
    caplog.set_level("INFO", logger="stretto.models")
    works = []
    model = played("a", lambda n: ["x"] if works else [ModelUnavailable("no power")])
    pool = pool_of(model, breaker=RULE, retries=Retries(attempts=1))
    await fail(pool, 5)
    assert pool.status()[0].health == "down" and len(model.asked) == 2
    await until(lambda: len(model.asked) >= 4)
    assert pool.status()[0].health == "down" and model.asked[-1][1].max_tokens == 1
    works.append(True)
    await until(lambda: pool.status()[0].health == "up")
    assert (await complete(pool, ASK)).message.text == "x"
    told = [record.message for record in caplog.records]
    assert told[:2] == ["`pool:pool`: `a` failed: no power"] * 2
    assert told[2:] == ["`pool:pool` leaves `a` alone until it recovers", "`a` answers again"]


async def test_an_endpoint_that_refuses_the_probe_itself_is_up(played, pool_of):
    model = played(
        "a", lambda n: [ModelUnavailable("down") if n <= 2 else BadRequest("max_tokens is too small")]
    )
    pool = pool_of(model, breaker=RULE, retries=Retries(attempts=1))
    await fail(pool, 2)
    await until(lambda: pool.status()[0].health == "up")


async def test_closing_the_pool_ends_the_probes(played, pool_of):
    model = played("a", lambda n: [ModelUnavailable("down")])
    pool = pool_of(model, breaker=RULE, retries=Retries(attempts=1))
    before = len(asyncio.all_tasks())
    await fail(pool, 2)
    assert len(asyncio.all_tasks()) == before + 1
    await pool.close()
    assert len(asyncio.all_tasks()) == before


def test_a_pool_that_outlives_its_event_loop_is_tried_by_the_next_call(played):
    from stretto.models.pool import Pool

    model = played("a", lambda n: [ModelUnavailable("down")] if n <= 2 else ["x"])
    pool = Pool([model], breaker=Breaker(failures=2, cooldown=0.0), retries=Retries(attempts=1))
    asyncio.run(fail(pool, 2))

    async def again():
        return (await complete(pool, ASK)).message.text

    assert asyncio.run(again()) == "x"
