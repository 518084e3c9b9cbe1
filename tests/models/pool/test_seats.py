"""Who takes a call and when: the line is fair, holds to deadlines, and loses no seat."""

import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest

from stretto.context import Run, RunContext, use_context
from stretto.counters import MemoryCounters
from stretto.errors import CounterError, ModelTimeout, ModelUnavailable, RateLimited
from stretto.messages import Image, Message
from stretto.models.pool import Breaker, Member, Pool, Retries
from stretto.models.pool.call import Call
from stretto.models.protocol import Headroom, RetractPiece
from stretto.settings import ModelSettings

ASK = [Message.user("Hello?")]


async def ask(pool, tenant="default", timeout=120.0, done=None, messages=ASK):
    use_context(RunContext(Run(tenant=tenant)))
    async for _ in pool.stream(messages, settings=ModelSettings(timeout=timeout)):
        pass
    if done is not None:
        done.append(tenant)


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_no_more_calls_play_at_once_than_a_member_takes(played, pool_of):
    gates = [asyncio.Event() for _ in range(5)]
    model = played("a", lambda n: [gates[n - 1], "x"])
    pool = pool_of(Member(model, concurrency=2))
    calls = [asyncio.create_task(ask(pool)) for _ in range(5)]
    await settle()
    assert model.open == 2
    for gate in gates:
        gate.set()
        await settle()
        assert model.open <= 2
    await asyncio.gather(*calls)
    assert pool.status()[0].in_flight == 0 and len(model.asked) == 5


async def test_tenants_are_served_in_turn_however_many_calls_one_has(played, pool_of):
    gate = asyncio.Event()
    model = played("a", lambda n: [gate, "x"] if n == 1 else ["x"])
    pool = pool_of(Member(model, concurrency=1))
    done = []
    first = asyncio.create_task(ask(pool, "first"))
    await settle()
    greedy = [asyncio.create_task(ask(pool, "greedy", done=done)) for _ in range(6)]
    await settle()
    modest = [asyncio.create_task(ask(pool, "modest", done=done)) for _ in range(2)]
    await settle()
    gate.set()
    await asyncio.gather(first, *greedy, *modest)
    assert done[:4] in (["greedy", "modest"] * 2, ["modest", "greedy"] * 2)


async def test_a_call_that_leaves_the_line_costs_no_seat(played, pool_of):
    gate = asyncio.Event()
    model = played("a", lambda n: [gate, "x"])
    pool = pool_of(Member(model, concurrency=1))
    calls = [asyncio.create_task(ask(pool)) for _ in range(4)]
    await settle()
    for call in calls[1:3]:
        call.cancel()
    gate.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert len(model.asked) == 2 and pool.status()[0].in_flight == 0


async def test_a_call_that_is_not_served_by_its_deadline_says_so(played, pool_of):
    never = asyncio.Event()
    pool = pool_of(Member(played("a", lambda n: [never]), concurrency=1))
    first = asyncio.create_task(ask(pool))
    await settle()
    with pytest.raises(ModelTimeout, match="no place for this call in time") as caught:
        await ask(pool, timeout=0.02)
    assert caught.value.deadline == "queue"
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_a_call_that_cannot_make_its_deadline_fails_at_once(played, pool_of, clock):
    gate = asyncio.Event()

    def slow(n):
        if n == 1:
            clock.now += 10.0  # one answer takes 10 s, and is what the next are judged by
            return ["x"]
        return [gate, "x"]

    pool = pool_of(Member(played("a", slow), concurrency=1), clock=clock)
    await ask(pool)
    calls = [asyncio.create_task(ask(pool, timeout=1000.0)) for _ in range(4)]
    await settle()
    with pytest.raises(ModelTimeout, match=r"4 wait"):
        await ask(pool, timeout=20.0)  # nothing moves the clock: it did not wait
    gate.set()
    await asyncio.gather(*calls)


async def test_those_who_wait_hear_at_once_that_all_are_down(played, pool_of):
    gate = asyncio.Event()
    model = played("a", lambda n: [gate, ModelUnavailable("no power")])
    rule = Breaker(failures=1, probe=False)
    pool = pool_of(Member(model, concurrency=1), breaker=rule, retries=Retries(attempts=1))
    calls = [asyncio.create_task(ask(pool)) for _ in range(5)]
    await settle()
    gate.set()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(one, ModelUnavailable) and "no power" in str(one) for one in ended)
    assert len(model.asked) == 1


async def test_the_declared_rate_is_never_passed_and_the_rest_waits_its_turn(played, pool_of):
    a, b = played("a", lambda n: ["x"]), played("b", lambda n: ["x"])
    counters = MemoryCounters()
    pool = pool_of(
        Member(a, requests_per_minute=3), Member(b, tier=1, requests_per_minute=4), counters=counters
    )
    ended = await asyncio.gather(*(ask(pool, timeout=5.0) for _ in range(9)), return_exceptions=True)
    assert (len(a.asked), len(b.asked)) == (3, 4)
    refused = [one for one in ended if one is not None]
    assert len(refused) == 2 and all(isinstance(one, RateLimited) for one in refused)
    assert all(50 < one.retry_after <= 60 for one in refused)
    assert all(one.in_flight == 0 for one in pool.status())


async def test_a_rate_makes_a_call_wait_until_it_fits(played, pool_of, monkeypatch):
    monkeypatch.setattr("stretto.models.pool.rates.WINDOW", 0.05)
    model = played("a", lambda n: ["x"])
    pool = pool_of(Member(model, requests_per_minute=1), counters=MemoryCounters())
    began = asyncio.get_running_loop().time()
    await asyncio.gather(ask(pool), ask(pool), ask(pool))
    assert len(model.asked) == 3 and asyncio.get_running_loop().time() - began >= 0.1


async def test_tokens_are_counted_before_a_call_and_settled_by_what_it_used(played, pool_of):
    counters = MemoryCounters()
    pool = pool_of(
        Member(played("a", lambda n: ["x" * 50]), tokens_per_minute=10_000, name="gauge"), counters=counters
    )
    await ask(pool)
    assert await counters.add("tokens:gauge", 0, window=60.0) == 60  # 10 read and 50 written, as it reported


async def test_one_who_takes_a_seat_of_a_full_window_gives_it_back_when_cancelled(played, pool_of):
    class Slow(MemoryCounters):
        async def take(self, *args, **options):
            await asyncio.Event().wait()

    pool = pool_of(Member(played("a", lambda n: ["x"]), requests_per_minute=9), counters=Slow())
    call = asyncio.create_task(ask(pool))
    await settle()
    assert pool.status()[0].in_flight == 1
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert pool.status()[0].in_flight == 0


async def test_a_call_is_not_held_up_by_those_who_wait_for_another_member(played, pool_of):
    gate = asyncio.Event()
    reads = played("reads", lambda n: ["x"], tools=False)
    sees = played("sees", lambda n: [gate, "x"], vision=True)
    pool = pool_of(Member(reads, concurrency=1), Member(sees, tier=1, concurrency=1))
    picture = [Message.user("What is this?", Image("data:image/png;base64,AAAA"))]
    looking = [asyncio.create_task(ask(pool, messages=picture)) for _ in range(12)]
    await settle()
    async with asyncio.timeout(2):
        await ask(pool)
    gate.set()
    await asyncio.gather(*looking)


async def test_a_free_seat_is_taken_at_once_though_someone_is_just_getting_up(played, pool_of):
    seats = pool_of(Member(played("a", lambda n: ["x"]), concurrency=2))._seats
    call = Call(ASK, (), None, ModelSettings(), tenant="default", now=time.monotonic())
    first, second = await seats.take(call), await seats.take(call)
    third = asyncio.create_task(seats.take(call))
    await settle()
    seats.free(first)
    seats.free(second)  # the third has its seat, and did not wake yet
    async with asyncio.timeout(2):
        await seats.take(call)
    await third


async def test_those_who_wait_for_one_member_hear_at_once_that_it_is_down(played, pool_of):
    gate = asyncio.Event()
    reads = played("reads", lambda n: ["x"])
    sees = played("sees", lambda n: [gate, ModelUnavailable("no power")], vision=True)
    rule = Breaker(failures=1, probe=False)
    pool = pool_of(reads, Member(sees, concurrency=1), breaker=rule, retries=Retries(attempts=1))
    picture = [Message.user("What is this?", Image("data:image/png;base64,AAAA"))]
    calls = [asyncio.create_task(ask(pool, messages=picture)) for _ in range(3)]
    await settle()
    gate.set()
    async with asyncio.timeout(2):
        ended = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(one, ModelUnavailable) and "no power" in str(one) for one in ended)


async def test_a_member_that_may_be_tried_again_gets_one_call_and_not_all_that_wait(played, pool_of, clock):
    works, never = asyncio.Event(), asyncio.Event()
    shaky = played("shaky", lambda n: [ModelUnavailable("no power")] if n == 1 else [never])
    sound = played("sound", lambda n: ["x"] if n == 1 else [works, "x"])
    rule = Breaker(failures=1, probe=False)
    pool = pool_of(Member(shaky), Member(sound, tier=1, concurrency=1), breaker=rule, clock=clock)
    await ask(pool)
    calls = [asyncio.create_task(ask(pool)) for _ in range(6)]
    await settle()
    assert len(shaky.asked) == 1 and len(sound.asked) == 2
    clock.now += 1.0
    works.set()
    await settle()
    assert len(shaky.asked) == 2
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_a_caller_that_leaves_as_the_answer_begins_again_costs_no_seat(played, pool_of):
    a = played("a", lambda n: ["Half ", ModelUnavailable("died")])
    pool = pool_of(Member(a), Member(played("b", lambda n: ["x"]), tier=1))
    async with aclosing(pool.stream(ASK)) as pieces:
        async for piece in pieces:
            if isinstance(piece, RetractPiece):
                break
    assert [one.in_flight for one in pool.status()] == [0, 0]


def test_a_caller_whose_event_loop_is_gone_is_passed_over(played):
    model = played("a", lambda n: ["x"])
    pool = Pool([Member(model, concurrency=1)])
    holds, gone = asyncio.new_event_loop(), asyncio.new_event_loop()
    first = pool.stream(ASK)
    holds.run_until_complete(anext(first))
    waits = gone.create_task(ask(pool))
    gone.run_until_complete(asyncio.sleep(0.01))
    gone.close()
    holds.run_until_complete(first.aclose())
    holds.run_until_complete(ask(pool))
    assert pool.status()[0].in_flight == 0 and len(model.asked) == 2
    holds.close()
    waits._log_destroy_pending = False


def test_callers_in_several_threads_lose_no_seat(played):
    pool = Pool([Member(played(name, lambda n: ["x"]), concurrency=2) for name in "abc"])

    async def many():
        for _ in range(20):
            await asyncio.gather(*(ask(pool) for _ in range(10)))

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            for done in [threads.submit(asyncio.run, many()) for _ in range(4)]:
                done.result()
    finally:
        sys.setswitchinterval(usual)
    assert [one.in_flight for one in pool.status()] == [0, 0, 0]


async def test_an_answer_is_not_lost_because_it_could_not_be_settled(played, pool_of):
    class Broken(MemoryCounters):
        async def add(self, *args, **options):
            raise CounterError("the disk is full")

    pool = pool_of(Member(played("a", lambda n: ["x"]), tokens_per_minute=9000), counters=Broken())
    await ask(pool)
    assert pool.status()[0].in_flight == 0


async def test_a_429_that_tells_when_it_has_room_again_is_left_alone_until_then(played, pool_of):
    full = RateLimited("slow down", headroom=Headroom(tokens=0, tokens_reset=50.0))
    pool = pool_of(played("a", lambda n: [full] if n == 1 else ["x"]), retries=Retries(delay=0.0))
    with pytest.raises(RateLimited) as refused:
        await ask(pool, timeout=20.0)
    assert 40 < refused.value.retry_after <= 50
