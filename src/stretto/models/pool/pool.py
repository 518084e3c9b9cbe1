"""`Pool`: many models play as one. The only retry loop of the system, its hedges, and failover in mid-stream.

It wraps `ChatModel`s, whatever they are, and is one itself. Who takes a call is `seats`' business; what was
shown of an answer is `call`'s.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from random import Random
from typing import TypeVar, cast

import msgspec

from stretto._internal.redact import redact
from stretto.budgets.estimate import expected_input
from stretto.context import Counters, running_context
from stretto.counters import SqliteCounters, default_path
from stretto.errors import (
    BadRequest,
    ConfigError,
    ContextOverflow,
    CounterError,
    ModelError,
    ModelNotFound,
    ModelTimeout,
    ModelUnavailable,
    OutputInvalid,
    RateLimited,
)
from stretto.messages import Message, ToolSpec
from stretto.models.pool.call import Call, is_content
from stretto.models.pool.choice import eject
from stretto.models.pool.hedge import race
from stretto.models.pool.latency import Quantile
from stretto.models.pool.member import Member, Standing, declared_members, settings_of
from stretto.models.pool.probe import Prober
from stretto.models.pool.rates import Rates
from stretto.models.pool.rules import Breaker, Hedge, Outliers, Retries
from stretto.models.pool.seats import Seats
from stretto.models.pool.spare import Spare
from stretto.models.pool.status import MemberStatus, joined, status_of, unique_names
from stretto.models.protocol import Capabilities, ChatModel, OutputSchema, Piece, Reply, RetractPiece
from stretto.settings import ModelSettings

_log = logging.getLogger("stretto.models")
_KNOWN = 20
"""First tokens from which the learned time to them counts."""
_TELLING = {BadRequest, ContextOverflow, ModelTimeout, RateLimited}
_DEFAULT = ModelSettings()
R = TypeVar("R")


class Pool:
    """A model made of models.

    Args:
        members: The models, by name, as they are, or as `Member` with weight, tier and limits.
        name: What it is called.
        hedge: Ask a second member when the first is slow to speak. Here and below: True is the usual rule.
        retries: How many requests may be sent beside the calls, and how often one call may be tried.
        breaker: When a failing member is left alone; False: never.
        outliers: When a slow member is left out; False: never.
        settings: Used where a call gives none; a member's own are under them.
        counters: Where rates are counted. Without it: in the file that all processes of this user share.
        random: Chooses between members; give a seeded one to repeat a run.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        members: Sequence[ChatModel | Member | str],
        *,
        name: str = "pool:pool",
        hedge: Hedge | bool = False,
        retries: Retries | None = None,
        breaker: Breaker | bool = True,
        outliers: Outliers | bool = True,
        settings: ModelSettings | None = None,
        counters: Counters | None = None,
        random: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._clock, self._random = name, clock, random or Random()
        self._hedge, self._breaker = _rule(hedge, Hedge), _rule(breaker, Breaker)
        self._outliers, self._retries = (
            _rule(outliers, Outliers),
            _rule(retries or True, Retries) or Retries(),
        )
        self._settings = settings or _DEFAULT
        declared = declared_members(members, name)
        self._standings = [
            Standing(one, label, self._breaker, _rates(one, label, counters))
            for one, label in zip(declared, unique_names(declared), strict=True)
        ]
        self._counts = any(one.tokens_per_minute is not None for one in declared)
        self._seats = Seats(name, self._standings, clock=clock, random=self._random)
        self._spare = Spare(self._retries)
        self._slowest = Quantile(self._hedge.quantile if self._hedge else 0.95)
        self._prober = Prober(clock, self._seats.look)
        self._longest = max(settings_of(one.model).timeout for one in declared)
        self._capabilities = joined([one.model.capabilities for one in declared])

    @property
    def name(self) -> str:
        """`pool:NAME`."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What any member can do: a call goes to those that can answer it."""
        return self._capabilities

    @property
    def members(self) -> tuple[Member, ...]:
        """The members as declared."""
        return tuple(one.member for one in self._standings)

    def status(self) -> tuple[MemberStatus, ...]:
        """How each member does now."""
        return tuple(status_of(one, self._clock()) for one in self._standings)

    def __repr__(self) -> str:
        return f"Pool({self._name!r}, {len(self._standings)} members)"

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: OutputSchema | None = None,
        settings: ModelSettings | None = None,
    ) -> AsyncGenerator[Piece]:
        """The answer piece by piece, a `Reply` last, by whichever members it takes.

        When a member dies in mid-stream, the next goes on behind what was shown where it can; else a
        `RetractPiece` takes that back and the answer begins again. Raises ModelError when no member could
        answer; closing it cancels all requests.
        """
        context = running_context()
        tenant = context.run.tenant if context is not None else "default"
        wanted = self._settings.merged(settings)
        if wanted.timeout == _DEFAULT.timeout and self._longest > wanted.timeout:
            wanted = msgspec.structs.replace(wanted, timeout=self._longest)
        call = Call(messages, tools, schema, wanted, tenant=tenant, now=self._clock())
        call.read = expected_input(messages, tools) if self._counts else 0
        self._spare.pay_in()
        while True:
            try:
                standing = await self._seats.take(call)
            except ModelError as error:
                raise self._verdict(call, error) from None
            try:
                async with aclosing(self._played(call, standing)) as pieces:
                    async for piece in pieces:
                        if isinstance(piece, Reply):
                            yield call.whole(piece)
                            return
                        call.heard(piece)
                        yield piece
            except ModelError as error:
                await self._go_on(call, error)

    def _played(self, call: Call, standing: Standing) -> AsyncGenerator[Piece]:
        first = self._attempt(call, standing)
        rule = self._hedge
        if rule is None or call.begun or self._slowest.count < rule.samples or not call.repeatable:
            return first

        async def second() -> AsyncGenerator[Piece] | None:
            if not self._spare.take():
                return None
            other = await self._seats.take_now(call, beside=standing)
            return None if other is None else self._attempt(call, other)

        return race(first, max(rule.least, self._slowest.value), second)

    async def _attempt(self, call: Call, standing: Standing) -> AsyncGenerator[Piece]:
        """One request to one member; what it does is noted in how the member stands."""
        number, heard, answered = 0, 0.0, 0.0
        try:
            if call.begun and not call.continues(standing.model.capabilities):
                yield RetractPiece(len(call.text))
            call.go_on()
            began = self._clock()
            number = standing.begin(began)
            stream = standing.model.stream(
                call.conversation(),
                tools=call.tools,
                schema=call.schema,
                settings=call.settings_at(began, settings_of(standing.model), self._patience(call, standing)),
            )
            async with aclosing(cast("AsyncGenerator[Piece]", stream)) as pieces:
                async for piece in pieces:
                    if not heard and is_content(piece):
                        heard = max(1e-6, standing.spoke(number, self._clock()))
                        self._slowest.observe(heard)
                    if isinstance(piece, Reply):
                        answered = max(1e-6, self._clock() - began)
                        await self._answered(standing, call, piece, heard, answered)
                    yield piece
            if not answered:
                raise ModelUnavailable(f"`{standing.name}` ended its answer without a reply")
        except ModelError as error:
            call.errors[standing.name] = error
            self._failed(standing, error)
            raise
        finally:
            standing.gave_up(number, self._clock())
            self._seats.free(standing, seconds=answered)

    def _patience(self, call: Call, standing: Standing) -> float | None:
        """Seconds that a member may be silent where nobody said; None while no other could take over."""
        if not any(one is not standing for one in self._seats.candidates(call)):
            return None
        return max(10.0, 10 * self._slowest.value) if self._slowest.count >= _KNOWN else 30.0

    async def _answered(
        self, standing: Standing, call: Call, reply: Reply, first_token: float, seconds: float
    ) -> None:
        now = self._clock()
        if standing.circuit is not None:
            standing.circuit.succeeded()
        standing.throttled = 0
        standing.concurrency.succeeded(first_token, standing.in_flight)
        if self._outliers is not None and eject(standing, self._standings, self._outliers, now):
            _log.info("`%s` leaves out `%s`: it is far slower than the others", self._name, standing.name)
        if reply.headroom is not None:
            standing.heed(reply.headroom, now)
        if standing.rates is not None:
            used, taken = reply.usage, call.taken[standing.name]
            with suppress(CounterError):  # what was reserved stays counted, and the answer is there
                await standing.rates.settle(
                    taken, call.read, used.input_tokens, used.output_tokens, ago=seconds
                )

    def _failed(self, standing: Standing, error: ModelError) -> None:
        """What a failure says of the member; a request's own fault says nothing."""
        now = self._clock()
        if isinstance(error, ContextOverflow) or _refused(error):
            return
        standing.failed += 1
        standing.said = str(error)
        _log.info("`%s`: `%s` failed: %s", self._name, standing.name, redact(standing.said))
        if isinstance(error, RateLimited):
            standing.concurrency.backed_off()
            standing.throttled += 1
            wait = error.retry_after
            if error.headroom is not None:
                standing.heed(error.headroom, now)
            standing.block(min(30.0, 2.0 ** (standing.throttled - 1)) if wait is None else wait, now)
            return
        if isinstance(error, ModelTimeout):
            standing.concurrency.backed_off()
        surely = isinstance(error, BadRequest)
        if standing.circuit is not None and standing.circuit.failed(now, surely=surely):
            _log.warning("`%s` leaves `%s` alone until it recovers", self._name, standing.name)
            if self._breaker is not None and self._breaker.probe:
                self._prober.watch(standing)
            self._seats.look()

    async def _go_on(self, call: Call, error: ModelError) -> None:
        """Returns when the call may be tried again, after a pause where that is due; else raises."""
        call.attempts += 1
        now = self._clock()
        if isinstance(error, ContextOverflow):
            call.least_context = max(call.least_context, self._largest_failed(call) + 1)
            if not any(call.fits(one.model.capabilities) for one in self._standings):
                raise self._verdict(call, error)
        elif _refused(error):
            raise self._verdict(call, error)
        lone = all(one.name in call.errors for one in self._seats.candidates(call))
        if lone and isinstance(error, BadRequest):
            raise self._verdict(call, error)  # a wrong key stays wrong
        owed = call.begun and not call.rescued
        call.rescued = call.rescued or call.begun
        again = call.attempts < self._retries.attempts and not call.late(now) and call.repeatable
        if not again or not self._spare.take(owed=owed):
            raise self._verdict(call, error)
        if lone:
            await self._pause(call, error)

    async def _pause(self, call: Call, error: ModelError) -> None:
        """The delay before a member that failed this call is asked again: its own, or ours, with jitter."""
        if isinstance(error, RateLimited):
            if call.waited:
                raise self._verdict(call, error)  # it was waited for once, as it was told
            call.waited = True
            return  # the line waits until the member may be asked
        delay = self._retries.delay * 2 ** (call.attempts - 1) * self._random.uniform(0.5, 1.5)
        if self._clock() + delay >= call.deadline:
            raise self._verdict(call, error)
        await asyncio.sleep(delay)

    def _largest_failed(self, call: Call) -> int:
        failed = (one for one in self._standings if isinstance(call.errors.get(one.name), ContextOverflow))
        return max((one.model.capabilities.context for one in failed), default=0)

    def _verdict(self, call: Call, error: ModelError) -> ModelError:
        """The error a caller gets: a lone failure as it is, several as one that names each.

        Of several of a kind that says more than "down", the last.
        """
        failures = list(call.errors.values())
        kinds = {type(one) for one in failures}
        if len(failures) > 1 and not (len(kinds) == 1 and kinds <= _TELLING):
            said = "; ".join(f"`{name}`: {one}" for name, one in call.errors.items())
            error = ModelUnavailable(f"no model of `{self._name}` could answer. {said}")
        elif failures and not isinstance(error, ModelTimeout | RateLimited):
            error = failures[-1]
        error.partial = call.text or error.partial
        return error

    async def close(self) -> None:
        """Closes the members and ends the probes. May be called twice."""
        await self._prober.close()
        for standing in self._standings:
            await standing.model.close()


def _refused(error: ModelError) -> bool:
    """Whether any member would refuse the request itself."""
    if isinstance(error, BadRequest):
        return not error.misconfigured
    return isinstance(error, OutputInvalid | ModelNotFound)


def _rule(given: R | bool, usual: type[R]) -> R | None:
    if not isinstance(given, bool | usual):
        name = usual.__name__
        raise ConfigError(f"{given!r} is no {name}; give True, False or {name}(...) of stretto.models.pool")
    return (usual() if given else None) if isinstance(given, bool) else given


def _rates(member: Member, name: str, counters: Counters | None) -> Rates | None:
    if member.requests_per_minute is None and member.tokens_per_minute is None:
        return None
    if counters is None:
        counters = SqliteCounters(default_path())
    return Rates(name, counters, requests=member.requests_per_minute, tokens=member.tokens_per_minute)
