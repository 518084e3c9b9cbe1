"""`Ledger`: what one run reserves and spends of its budgets. Reserved before a call, settled after it.

What is spent lies in `Counters`, so runs at the same time, other processes and a resumed run see it. Knows
nothing of how a call is made.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Any, TypeVar

import msgspec

from stretto.budgets.estimate import expected_output
from stretto.budgets.lines import Line, lines_of
from stretto.budgets.prices import Prices
from stretto.context import Counters, Run
from stretto.counters import MemoryCounters
from stretto.errors import LimitReached
from stretto.settings import Budgets, Rung
from stretto.usage import Usage

T = TypeVar("T")
LEAST_ANSWER = 16
"""Tokens; an answer that is cut shorter than this says nothing."""


@dataclass
class Reservation:
    """What is reserved for one call."""

    models: Sequence[str]
    """Who may answer."""
    input_tokens: int
    output_tokens: int
    cut: bool = False
    """The answer has to be shorter than was asked for."""
    amounts: list[tuple[Line, float]] = field(default_factory=list[tuple[Line, float]])
    settled: int = 0
    """How many of the amounts are settled: none is twice, however a call ends."""
    at: float = field(default_factory=time.monotonic)

    @property
    def bounded(self) -> bool:
        """Whether a longer answer than `output_tokens` would spend more than is reserved."""
        return any(amount and line.kind != "calls" for line, amount in self.amounts)


class Ledger:
    """The budgets of one run.

    Args:
        lines: The limits that hold.
        counters: Where sums are kept.
        prices: What calls cost; None: nothing is priced.
        budgets: Its ladder, and what is reserved for an answer.
        models: Those that the ladder names, as `ChatModel`s.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        counters: Counters,
        prices: Prices | None,
        budgets: Budgets,
        models: Mapping[str, Any] | None = None,
    ) -> None:
        self.models = models or {}
        self._times = tuple(line for line in lines if line.kind == "seconds")
        self._lines = tuple(line for line in lines if line.kind != "seconds")
        self._counters, self._prices, self._budgets = counters, prices, budgets
        self._before: dict[Line, float] = {}
        self._within: dict[Line, float] = {}
        self._own: list[Usage] = []
        self._owed: list[tuple[str, str, Usage]] = []
        self.told: set[str] = set()
        """Which steps of the ladder this run was already told of."""
        self.paused = False
        """The run waits for a person: it will be resumed."""

    @property
    def ladder(self) -> tuple[Rung, ...]:
        """What is declared for a budget that is nearly spent."""
        return self._budgets.ladder

    @property
    def counts_calls(self) -> bool:
        """Whether calls have to be reserved or priced."""
        return bool(self._lines) or self._prices is not None

    # ---- wall time

    @asynccontextmanager
    async def running(self, *, resumed: bool) -> AsyncGenerator[None]:
        """Holds what runs inside to the wall time that is left, and settles it at the end.

        Raises:
            LimitReached: The time is used up.
        """
        began = time.perf_counter()
        await self._begin(resumed)
        run_lines = [line for line in self._times if not line.node]
        tightest = min(run_lines, key=self._left, default=None)
        if tightest is not None and self._left(tightest) <= 0:
            raise tightest.used_up(0, inf)
        scope = asyncio.timeout(None if tightest is None else self._left(tightest))
        done = False
        try:
            async with scope:
                yield
            done = not self.paused
        except TimeoutError:
            if tightest is None or not scope.expired():
                raise
            raise tightest.too_long() from None
        finally:
            await self._end(time.perf_counter() - began, done=done, resumed=resumed)

    async def timed(self, node: str, work: Awaitable[T]) -> T:
        """`work` of `node`, held to the node's wall time."""
        lines = [line for line in self._times if line.node and line.holds_for(node)]
        if not lines:
            return await work
        tightest = min(lines, key=self._left)
        began = time.perf_counter()
        scope = asyncio.timeout(max(0.0, self._left(tightest)))
        try:
            async with scope:
                return await work
        except TimeoutError:
            if not scope.expired():
                raise
            raise tightest.too_long() from None
        finally:
            for line in lines:
                self._within[line] = self._within.get(line, 0.0) + time.perf_counter() - began

    def _left(self, line: Line) -> float:
        return line.limit - self._before.get(line, 0.0) - self._within.get(line, 0.0)

    async def _begin(self, resumed: bool) -> None:
        for line in self._times:
            if resumed or not line.of_run:
                self._before[line] = await self._counters.add(line.key, 0, window=line.window)
        if not resumed:  # what a run before this one left in the thread is not this one's
            await self._clear(line for line in self._lines if line.of_run)

    async def _end(self, seconds: float, *, done: bool, resumed: bool) -> None:
        await self._pay()
        if done:
            stale = (line for line in (*self._lines, *(self._times if resumed else ())) if line.of_run)
            await self._clear(stale)
        for line in self._times:
            if line.of_run and done:
                continue
            spent = self._within.get(line, 0.0) if line.node else seconds
            await self._counters.add(line.key, spent, window=line.window)

    async def _clear(self, lines: Iterable[Line]) -> None:
        for line in lines:
            await self._counters.add(line.key, -inf, window=line.window)

    # ---- calls

    async def shares(self, node: str) -> tuple[float, str]:
        """The largest share that is spent of a budget that holds for `node`, and its name."""
        await self._pay()
        largest, name = 0.0, ""
        for line in self._lines:
            if line.holds_for(node):
                spent = await self._counters.add(line.key, 0, window=line.window)
                if spent / line.limit > largest:
                    largest, name = spent / line.limit, line.name
        return largest, name

    async def reserve(
        self, node: str, models: Sequence[str], read: int, *, answer: int | None, shrink: bool = False
    ) -> Reservation:
        """Reserves one call of `node` in every budget that holds for it.

        Args:
            node: Who asks.
            models: Who may answer; the dearest is reserved for.
            read: Tokens of the request.
            answer: Tokens the answer may have; None: what the budgets say.
            shrink: Rather a shorter answer than none.

        Raises:
            LimitReached: A budget does not hold it; nothing is reserved.
            ConfigError: A budget of money holds, and the price of a model is not known.
        """
        await self._pay()
        lines = [line for line in self._lines if line.holds_for(node)]
        wanted = answer or self._budgets.answer
        write = wanted
        least = min(wanted, LEAST_ANSWER) if shrink else wanted
        while True:
            asked = Reservation(models, read, write, write < wanted)
            refused = await self._take(lines, asked)
            if refused is None:
                return asked
            # others may take what is left between this look and the next take: then it shrinks again
            write = min(write - 1, await self._room(lines, asked) if shrink else 0)
            if write < least:
                if not shrink:
                    raise refused
                write, shrink = least, False  # the error tells of the least that would do

    def cut_off(self, reserved: Reservation) -> LimitReached:
        """The error for an answer that had to end before it was done."""
        line = min((line for line, _ in reserved.amounts), key=lambda line: line.kind == "calls")
        return LimitReached(
            f"the answer was cut after {reserved.output_tokens} tokens, all that was left for {line.whose}; "
            f"raise `{line.setting}`, or declare the step `partial_answer`",
            limit=line.name,
        )

    async def settle(self, reserved: Reservation, usage: Usage, *, model: str = "") -> Usage:
        """Puts what a call really took in place of what was reserved; the usage with its cost.

        Args:
            reserved: What `reserve` gave.
            usage: What the call took.
            model: Who answered, as the endpoint names it.
        """
        usage = await self._correct(reserved, usage, model)
        self._own.append(usage)
        return usage

    async def abandon(self, reserved: Reservation, received: int) -> None:
        """Settles a call that ended without its usage, after `received` bytes: by estimate, or by nothing."""
        if received:
            usage = Usage(reserved.input_tokens, expected_output(received))
            await self._correct(reserved, usage)
        else:
            await self._correct(reserved, Usage())

    def charge(self, usage: Usage, *, model: str, node: str, total: Usage) -> None:
        """Takes note of a call that was made; one that nobody reserved is counted before the next one.

        Raises:
            LimitReached: Such a call took the run's `total` over its tokens.
        """
        for index, settled in enumerate(self._own):
            if settled is usage:
                del self._own[index]
                return
        self._owed.append((node, model, usage))
        for line in self._lines:
            if line.of_run and not line.node and line.kind == "tokens" and total.total_tokens > line.limit:
                raise LimitReached(
                    f"{line.whose} used {total.total_tokens} tokens and may use {line.limit:g}; "
                    f"raise `{line.setting}`",
                    limit=line.name,
                )

    async def _pay(self) -> None:
        """Counts calls that were made without a reservation."""
        while self._owed:
            node, model, usage = self._owed.pop()
            for line in self._lines:
                if line.holds_for(node):
                    spent = float(usage.calls if line.kind == "calls" else usage.total_tokens)
                    if line.kind == "money":
                        spent = self._dearest([model], usage)
                    await self._counters.add(line.key, spent, window=line.window)

    async def _take(self, lines: Sequence[Line], asked: Reservation) -> LimitReached | None:
        """Fills `asked`, or leaves nothing reserved and tells what refused."""
        usage = Usage(asked.input_tokens, asked.output_tokens, calls=1)
        amounts: dict[str, float] = {"calls": 1.0, "tokens": float(usage.total_tokens)}
        for line in lines:
            if line.kind == "money" and "money" not in amounts:
                amounts["money"] = self._dearest(asked.models, usage)
            amount = amounts[line.kind]
            try:
                wait = await self._counters.take(line.key, amount, limit=line.limit, window=line.window)
            except BaseException:
                await self._give_back(asked)
                raise
            if wait:
                await self._give_back(asked)
                return line.used_up(amount, inf if line.of_run else wait)
            asked.amounts.append((line, amount))
        return None

    async def _give_back(self, asked: Reservation) -> None:
        for line, amount in asked.amounts:
            await self._counters.add(line.key, -amount, window=line.window)

    async def _correct(self, reserved: Reservation, usage: Usage, model: str = "") -> Usage:
        ago = time.monotonic() - reserved.at
        if self._prices is not None:
            named = [name for name in reserved.models if name == model or name.endswith(f":{model}")]
            usage = msgspec.structs.replace(usage, cost=self._cost(named or reserved.models, usage))
        for line, amount in reserved.amounts[reserved.settled :]:
            reserved.settled += 1
            if line.kind != "calls":
                real = usage.cost if line.kind == "money" else float(usage.total_tokens)
                await self._counters.add(line.key, real - amount, window=line.window, ago=ago)
        return usage

    async def _room(self, lines: Sequence[Line], asked: Reservation) -> int:
        """How many tokens an answer may have for the call to be affordable."""
        room = float(asked.output_tokens)
        for line in lines:
            left = line.limit - await self._counters.add(line.key, 0, window=line.window)
            if line.kind == "calls":
                room = room if left >= 1 else 0.0
            elif line.kind == "tokens":
                room = min(room, left - asked.input_tokens)
            else:
                price = self._dearest(asked.models, Usage(output_tokens=1_000_000)) / 1e6
                left -= self._dearest(asked.models, Usage(asked.input_tokens))
                room = min(room, left / price) if price else room if left >= 0 else 0.0
        return int(room)

    def _dearest(self, models: Sequence[str], usage: Usage) -> float:
        return (self._prices or Prices()).dearest(models, usage)

    def _cost(self, models: Sequence[str], usage: Usage) -> float:
        costs = [self._prices.cost(model, usage) for model in models] if self._prices else []
        return max((cost for cost in costs if cost is not None), default=0.0)


def open_ledger(
    run: Run,
    *,
    agent: str = "",
    budgets: Budgets | None = None,
    counters: Counters | None = None,
    prices: Prices | None = None,
    models: Mapping[str, Any] | None = None,
) -> Ledger | None:
    """The ledger of `run`; None where nothing is limited or priced."""
    budgets = budgets or Budgets()
    lines = tuple(lines_of(budgets, run.limits, agent=agent, thread_id=run.thread_id, tenant=run.tenant))
    if not lines and prices is None:
        return None
    if prices is None and any(line.kind == "money" for line in lines):
        prices = Prices()
    return Ledger(lines, counters or MemoryCounters(), prices, budgets, models)
