"""The ledger: reserved before a call, settled after it, by scope; and wall time."""

import asyncio
import time
from math import inf

import pytest

from stretto.budgets import Ledger, Prices, open_ledger
from stretto.context import Run, RunContext
from stretto.counters import MemoryCounters
from stretto.errors import ConfigError, LimitReached
from stretto.settings import Budget, Budgets, Limits, Price, WindowBudget
from stretto.testing.counters_contract import FakeClock
from stretto.usage import Usage

MODEL = ("test:model",)
PRICES = {"test:model": Price(input=10, output=30)}


def ledger_of(
    budgets: Budgets, *, thread: str = "t", tenant: str = "acme", counters: MemoryCounters | None = None
) -> Ledger:
    run = Run(thread_id=thread, tenant=tenant)
    ledger = open_ledger(run, agent="desk", budgets=budgets, counters=counters, prices=Prices(PRICES))
    assert ledger is not None
    return ledger


def test_without_a_budget_there_is_no_ledger() -> None:
    assert open_ledger(Run(), budgets=Budgets()) is None
    assert open_ledger(Run(limits=Limits(steps=3))) is None


@pytest.mark.parametrize(
    ("budget", "name", "said"),
    [
        (Budget(calls=1), "run.calls", r"this run may use 1 calls.*raise `budgets\.run\.calls`"),
        (Budget(tokens=400), "run.tokens", r"may use 400 tokens and the next call may take 300 tokens"),
        (Budget(money=0.005), "run.money", r"may use 0\.005 USD and the next call may take 0\.005 USD"),
    ],
)
async def test_what_does_not_fit_is_refused_and_named(budget: Budget, name: str, said: str) -> None:
    ledger = ledger_of(Budgets(run=budget))
    await ledger.reserve("answer", MODEL, 200, answer=100)
    with pytest.raises(LimitReached, match=said) as refused:
        await ledger.reserve("answer", MODEL, 200, answer=100)
    assert refused.value.limit == name


async def test_a_refused_call_leaves_nothing_reserved_in_the_other_budgets() -> None:
    budgets = Budgets(tenant=WindowBudget(tokens=1000), run=Budget(tokens=400))
    counters = MemoryCounters()
    ledger = ledger_of(budgets, counters=counters)
    await ledger.reserve("a", MODEL, 200, answer=100)
    with pytest.raises(LimitReached):
        await ledger.reserve("a", MODEL, 200, answer=100)
    assert await counters.add("desk/tenant/acme/tokens", 0, window=inf) == 300


async def test_settling_gives_back_what_was_not_used_and_tells_the_cost() -> None:
    counters = MemoryCounters()
    ledger = ledger_of(Budgets(tenant=WindowBudget(tokens=1000, money=1)), counters=counters)
    reserved = await ledger.reserve("a", MODEL, 200, answer=100)
    usage = await ledger.settle(reserved, Usage(150, 20, calls=1), model="model")
    assert usage.cost == pytest.approx((150 * 10 + 20 * 30) / 1e6)
    assert await counters.add("desk/tenant/acme/tokens", 0, window=inf) == 170
    assert await counters.add("desk/tenant/acme/money", 0, window=inf) == pytest.approx(usage.cost)


async def test_a_call_that_used_more_than_was_reserved_counts_in_full() -> None:
    ledger = ledger_of(Budgets(run=Budget(tokens=1000)))
    reserved = await ledger.reserve("a", MODEL, 200, answer=100)
    await ledger.settle(reserved, Usage(200, 900, calls=1))
    assert await ledger.shares("a") == (1.1, "run.tokens")
    with pytest.raises(LimitReached):
        await ledger.reserve("a", MODEL, 1, answer=1)


async def test_an_abandoned_call_counts_by_what_came_of_it() -> None:
    counters = MemoryCounters()
    ledger = ledger_of(Budgets(tenant=WindowBudget(tokens=1000)), counters=counters)
    await ledger.abandon(await ledger.reserve("a", MODEL, 200, answer=100), 30)
    assert await counters.add("desk/tenant/acme/tokens", 0, window=inf) == 210
    await ledger.abandon(await ledger.reserve("a", MODEL, 200, answer=100), 0)
    assert await counters.add("desk/tenant/acme/tokens", 0, window=inf) == 210


async def test_an_answer_of_unknown_length_is_reserved_as_the_budgets_say() -> None:
    ledger = ledger_of(Budgets(run=Budget(tokens=1000), answer=300))
    reserved = await ledger.reserve("a", MODEL, 200, answer=None)
    assert (reserved.output_tokens, reserved.cut, reserved.bounded) == (300, False, True)
    calls_only = await ledger_of(Budgets(run=Budget(calls=2))).reserve("a", MODEL, 200, answer=None)
    assert not calls_only.bounded


@pytest.mark.parametrize("budget", [Budget(money=0.005), Budget(tokens=300), Budget(tokens=300, calls=2)])
async def test_a_shorter_answer_is_reserved_where_that_is_wanted(budget: Budget) -> None:
    ledger = ledger_of(Budgets(run=budget))
    with pytest.raises(LimitReached):
        await ledger.reserve("a", MODEL, 200, answer=1000)
    reserved = await ledger.reserve("a", MODEL, 200, answer=1000, shrink=True)
    assert (reserved.output_tokens, reserved.cut) == (100, True)
    with pytest.raises(LimitReached):
        await ledger.reserve("a", MODEL, 1, answer=1000, shrink=True)


async def test_tenants_threads_and_nodes_are_counted_apart() -> None:
    counters = MemoryCounters()
    budgets = Budgets(
        tenant=WindowBudget(calls=3), thread=WindowBudget(calls=2), nodes={"look": Budget(calls=1)}
    )

    async def refused(thread: str, tenant: str, node: str = "answer") -> str:
        try:
            await ledger_of(budgets, thread=thread, tenant=tenant, counters=counters).reserve(
                node, MODEL, 1, answer=1
            )
        except LimitReached as error:
            return error.limit
        return ""

    assert await refused("t1", "acme", "look") == ""
    assert await refused("t1", "acme", "look/inner") == "look.calls"
    assert await refused("t1", "acme") == ""
    assert await refused("t1", "acme") == "thread.calls"
    assert await refused("t2", "acme") == ""
    assert await refused("t3", "acme") == "tenant.calls"
    assert await refused("t3", "globex") == ""


async def test_a_window_lets_a_tenant_go_on_and_says_when() -> None:
    clock = FakeClock()
    counters = MemoryCounters(clock=clock)
    ledger = ledger_of(Budgets(tenant=WindowBudget(calls=1, window=3600)), counters=counters)
    await ledger.reserve("a", MODEL, 1, answer=1)
    await clock.advance(600)
    with pytest.raises(LimitReached, match=r"in 3600 s.*or wait 3000 s") as refused:
        await ledger.reserve("a", MODEL, 1, answer=1)
    assert refused.value.retry_after == pytest.approx(3000, abs=1)
    await clock.advance(3001)
    await ledger.reserve("a", MODEL, 1, answer=1)


async def test_calls_at_once_never_reserve_more_than_there_is() -> None:
    counters = MemoryCounters()
    budgets = Budgets(tenant=WindowBudget(tokens=1000))
    ledgers = [ledger_of(budgets, thread=str(number), counters=counters) for number in range(10)]
    outcomes = await asyncio.gather(
        *(ledger.reserve("a", MODEL, 200, answer=None, shrink=True) for ledger in ledgers),
        return_exceptions=True,
    )
    reserved = [each for each in outcomes if not isinstance(each, BaseException)]
    assert sum(each.input_tokens + each.output_tokens for each in reserved) == 1000
    assert all(isinstance(each, LimitReached) for each in outcomes if isinstance(each, BaseException))


async def test_a_call_that_nobody_reserved_is_counted_before_the_next() -> None:
    ledger = ledger_of(Budgets(run=Budget(calls=2, tokens=100)))
    run = Run(ledger=ledger)
    RunContext(run, node="mine").spend(Usage(40, 5, calls=1), model="test:model")
    assert await ledger.shares("mine") == (0.5, "run.calls")
    with pytest.raises(LimitReached, match="used 105 tokens and may use 100"):
        RunContext(run, node="mine").spend(Usage(60, 0, calls=1), model="test:model")


async def test_a_call_that_was_reserved_is_not_counted_twice() -> None:
    ledger = ledger_of(Budgets(run=Budget(calls=10)))
    run = Run(ledger=ledger)
    usage = await ledger.settle(await ledger.reserve("a", MODEL, 10, answer=5), Usage(10, 5, calls=1))
    RunContext(run, node="a").spend(usage, model="test:model")
    assert await ledger.shares("a") == (0.1, "run.calls")
    assert run.usage.cost == pytest.approx(250 / 1e6)


async def test_a_price_that_is_not_known_is_told_before_the_call() -> None:
    ledger = ledger_of(Budgets(run=Budget(money=1)))
    with pytest.raises(ConfigError, match="`compatible:x`"):
        await ledger.reserve("a", ("test:model", "compatible:x"), 10, answer=5)


async def play(ledger: Ledger, seconds: float, *, resumed: bool = False, paused: bool = False) -> None:
    async with ledger.running(resumed=resumed):
        await asyncio.sleep(seconds)
        ledger.paused = paused


async def test_the_time_of_a_run_goes_on_when_it_is_resumed_and_begins_anew_with_a_question() -> None:
    counters = MemoryCounters()
    budgets = Budgets(run=Budget(seconds=0.1))
    await play(ledger_of(budgets, counters=counters), 0.06, paused=True)
    began = time.perf_counter()
    with pytest.raises(
        LimitReached, match=r"this run took longer than 0\.1 s.*budgets\.run\.seconds"
    ) as told:
        await play(ledger_of(budgets, counters=counters), 5, resumed=True)
    assert time.perf_counter() - began < 1
    assert told.value.limit == "run.seconds"
    with pytest.raises(LimitReached, match="this run may use"):
        await play(ledger_of(budgets, counters=counters), 0, resumed=True)
    await play(ledger_of(budgets, counters=counters), 0.01)


async def test_a_run_that_died_or_failed_is_resumed_with_what_it_spent() -> None:
    counters = MemoryCounters()
    budgets = Budgets(run=Budget(calls=2))
    died = ledger_of(budgets, counters=counters)
    await died.reserve("a", MODEL, 1, answer=1)  # and no end: the process was killed
    resumed = ledger_of(budgets, counters=counters)
    with pytest.raises(LimitReached):
        async with resumed.running(resumed=True):
            await resumed.reserve("a", MODEL, 1, answer=1)
            await resumed.reserve("a", MODEL, 1, answer=1)
    again = ledger_of(budgets, counters=counters)
    with pytest.raises(LimitReached):
        async with again.running(resumed=True):
            await again.reserve("a", MODEL, 1, answer=1)
    fresh = ledger_of(budgets, counters=counters)
    async with fresh.running(resumed=False):
        await fresh.reserve("a", MODEL, 1, answer=1)


async def test_the_time_of_a_thread_adds_up_over_its_runs() -> None:
    counters = MemoryCounters()
    budgets = Budgets(thread=WindowBudget(seconds=0.08))
    await play(ledger_of(budgets, counters=counters), 0.05)
    with pytest.raises(LimitReached, match="thread `t` took longer than"):
        await play(ledger_of(budgets, counters=counters), 5)
    with pytest.raises(LimitReached, match="thread `t` may use"):
        await play(ledger_of(budgets, counters=counters), 0)
    await play(ledger_of(budgets, thread="other", counters=counters), 0.01)


async def test_the_time_of_a_node_adds_up_over_its_visits() -> None:
    ledger = ledger_of(Budgets(nodes={"look": Budget(seconds=0.08)}))
    async with ledger.running(resumed=False):
        await ledger.timed("look", asyncio.sleep(0.05))
        await ledger.timed("answer", asyncio.sleep(0.05))
        with pytest.raises(LimitReached, match=r"node `look` of this run took longer") as told:
            await ledger.timed("look", asyncio.sleep(5))
    assert told.value.limit == "look.seconds"


async def test_a_timeout_of_somebody_else_stays_one() -> None:
    ledger = ledger_of(Budgets(run=Budget(seconds=10), nodes={"look": Budget(seconds=10)}))

    async def slow() -> None:
        async with asyncio.timeout(0.001):
            await asyncio.sleep(1)

    with pytest.raises(TimeoutError):
        async with ledger.running(resumed=False):
            await ledger.timed("look", slow())


async def test_a_finished_run_leaves_nothing_in_the_counters() -> None:
    counters = MemoryCounters()
    budgets = Budgets(run=Budget(tokens=1000, seconds=10), nodes={"a": Budget(calls=5, seconds=5)})
    ledger = ledger_of(budgets, counters=counters)
    async with ledger.running(resumed=False):
        reserved = await ledger.reserve("a", MODEL, 10, answer=10)
        await ledger.settle(reserved, Usage(10, 10, calls=1))
        assert counters._sums
    assert not counters._sums


class Leaving(MemoryCounters):
    """Its caller is cancelled as it counts under the key that `at` names, for the `after`th time."""

    def __init__(self, at: str, after: int = 1) -> None:
        super().__init__()
        self.at, self.after = at, after

    def _leave(self, key: str) -> None:
        self.after -= key.endswith(self.at)
        if self.after == 0:
            self.after = -1
            raise asyncio.CancelledError

    async def take(self, key: str, amount: float, *, limit: float, window: float) -> float:
        self._leave(key)
        return await super().take(key, amount, limit=limit, window=window)

    async def add(self, key: str, amount: float, *, window: float, ago: float = 0.0) -> float:
        self._leave(key)
        return await super().add(key, amount, window=window, ago=ago)


async def test_a_caller_that_leaves_while_it_reserves_leaves_nothing_reserved() -> None:
    counters = Leaving("run/t/tokens")
    budgets = Budgets(tenant=WindowBudget(tokens=1000), run=Budget(tokens=400))
    with pytest.raises(asyncio.CancelledError):
        await ledger_of(budgets, counters=counters).reserve("a", MODEL, 200, answer=100)
    assert await counters.add("desk/tenant/acme/tokens", 0, window=inf) == 0


async def test_a_caller_that_leaves_while_it_settles_gives_nothing_back_twice() -> None:
    counters = Leaving("run/t/tokens", after=2)
    budgets = Budgets(tenant=WindowBudget(tokens=1000), run=Budget(tokens=900))
    ledger = ledger_of(budgets, counters=counters)
    await counters.add("desk/tenant/acme/tokens", 500, window=inf)
    reserved = await ledger.reserve("a", MODEL, 200, answer=100)
    with pytest.raises(asyncio.CancelledError):
        await ledger.settle(reserved, Usage(10, 5))
    await ledger.abandon(reserved, 0)
    assert await counters.add("desk/tenant/acme/tokens", 0, window=inf) == 515
