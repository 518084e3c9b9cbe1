"""Who takes a call and when: choice, limits and the line before them. Sends nothing.

A seat is one call in flight at a member. It is taken here and must be given back with `free`. Callers may
come from several event loops, each in a thread of its own: what they share is changed under a lock.
"""

from collections.abc import Callable, Sequence
from random import Random
from threading import RLock

from stretto._internal.loggers import logger
from stretto.errors import ModelError, ModelTimeout, ModelUnavailable, RateLimited
from stretto.models.pool.call import Call
from stretto.models.pool.choice import choose
from stretto.models.pool.line import Line, Ticket
from stretto.models.pool.member import Standing

_log = logger("stretto.models")
_NEVER = float("inf")


class Seats:
    """The seats of all members."""

    def __init__(
        self, name: str, standings: Sequence[Standing], *, clock: Callable[[], float], random: Random
    ) -> None:
        self._name, self._standings, self._clock, self._random = name, standings, clock, random
        self._line = Line[Call, Standing]()
        self._duration = 0.0
        self._lock = RLock()

    @property
    def waiting(self) -> int:
        """Calls in the line."""
        return len(self._line)

    async def take(self, call: Call) -> Standing:
        """A member that takes `call`, waiting for one if need be; its seat is counted.

        Raises:
            ModelUnavailable: All members are down.
            RateLimited: None may be asked before the deadline.
            ModelTimeout: None is free in time; told as soon as that is clear.
        """
        while True:
            standing = None if len(self._line) else self._now(call)
            if standing is None:
                standing = await self._queue(call)
            if not (wait := await self._counted(standing, call)):
                return standing
            standing.block(wait, self._clock())
            self.free(standing)

    async def take_now(self, call: Call, *, beside: Standing) -> Standing | None:
        """Another member that takes `call` at once, or None: hedges do not stand in line."""
        if len(self._line):
            return None
        standing = self._now(call, beside=beside)
        if standing is None:
            return None
        if wait := await self._counted(standing, call):
            standing.block(wait, self._clock())
            self.free(standing)
            return None
        return standing

    def free(self, standing: Standing, *, seconds: float = 0.0) -> None:
        """Gives a seat back, and serves the line. `seconds`: how long an answered call took, else 0."""
        with self._lock:
            standing.in_flight -= 1
            if seconds:
                self._duration += (0.1 if self._duration else 1.0) * (seconds - self._duration)
            elif standing.circuit is not None:
                standing.circuit.dropped(self._clock())
        self.serve()

    def serve(self) -> None:
        """Gives free seats to those who wait, in turn."""
        if not len(self._line):
            return
        with self._lock:
            for ticket in self._line.in_turn():
                if ticket.forsaken:
                    self._line.leave(ticket, served=False)
                elif ticket.given is None:
                    standing = self._now(ticket.call)
                    if standing is not None:
                        ticket.give(standing)
                    elif not any(one.admits(self._clock()) for one in self._standings):
                        break

    def look(self) -> None:
        """A breaker has changed: serves the line, and lets those who wait see whether they still can be."""
        self.serve()
        with self._lock:
            for ticket in self._line.in_turn():
                ticket.look()

    def candidates(self, call: Call) -> list[Standing]:
        """Those that may take `call`: fit for it, at its tier or above, and not failed by it already."""
        now, tier = self._clock(), call.settings.tier or 0
        fit = [one for one in self._standings if call.fits(one.model.capabilities)]
        if not fit and call.least_context == 0:
            fit = list(self._standings)  # none is known to: the endpoint shall say so itself
        fit = [one for one in fit if one.member.tier >= tier] or fit
        fresh = [one for one in fit if one.name not in call.errors and one.ready(now) < _NEVER]
        if call.begun:
            fresh = [one for one in fresh if call.continues(one.model.capabilities)] or fresh
        return fresh or fit

    def _now(self, call: Call, beside: Standing | None = None) -> Standing | None:
        with self._lock:
            able = [one for one in self.candidates(call) if one is not beside]
            standing = choose(able, self._clock(), self._random)
            if standing is not None:
                standing.seat(self._clock())
            return standing

    async def _counted(self, standing: Standing, call: Call) -> float:
        if standing.rates is None:
            return 0.0
        taken = standing.rates.expected(call.read, call.settings.max_tokens)
        call.taken[standing.name] = taken
        try:
            return await standing.rates.take(taken)
        except BaseException:
            self.free(standing)
            raise

    async def _queue(self, call: Call) -> Standing:
        with self._lock:
            ticket = self._line.join(call.tenant, call)
        try:
            self.serve()  # those before it may wait for others than it can have
            while ticket.given is None:
                await ticket.wait(self._patience(call, ticket))
                if ticket.given is None:
                    self.serve()
            return ticket.given
        except BaseException:
            self._leave(ticket)  # before looking: nobody gives it anything from here on
            if ticket.given is not None:
                self.free(ticket.given)
            raise
        finally:
            self._leave(ticket)

    def _leave(self, ticket: Ticket[Call, Standing]) -> None:
        with self._lock:
            self._line.leave(ticket, served=ticket.given is not None)

    def _patience(self, call: Call, ticket: Ticket[Call, Standing]) -> float:
        """Seconds to wait before the next look; raises when waiting is in vain."""
        now, fit = self._clock(), self.candidates(call)
        left = call.deadline - now
        soonest = min((one.ready(now) for one in fit), default=_NEVER)
        if soonest == _NEVER:
            raise self.down(fit)
        if soonest > now and soonest >= call.deadline:
            wait, names = soonest - now, ", ".join(f"`{one.name}`" for one in fit)
            raise RateLimited(
                f"`{self._name}` may not ask {names} for {wait:.3g} s by their limits, "
                f"and this call has {max(0.0, left):.3g} s; raise its `timeout`, or the limits",
                retry_after=wait,
            )
        capacity = sum(int(one.concurrency.limit) for one in fit if one.ready(now) <= now)
        with self._lock:  # callers in other threads come and go
            before = self._line.before(ticket)
        ahead = before / capacity * self._duration if capacity else 0.0
        if left <= 0 or ahead > left:
            waiting = len(self._line)
            raise ModelTimeout(
                f"`{self._name}` has no place for this call in time: {waiting} wait, "
                f"about {ahead:.3g} s before it, and it has {max(0.0, left):.3g} s",
                deadline="queue",
            )
        if soonest > now + 1:
            _log.info("`%s`: a call waits %.3g s for the limits of its members", self._name, soonest - now)
        return min(left, soonest - now) if soonest > now else left

    def down(self, standings: Sequence[Standing]) -> ModelError:
        """The error for members that are all down."""
        said = "; ".join(f"`{one.name}`: {one.said or 'is being tried'}" for one in standings)
        return ModelUnavailable(f"all models of `{self._name}` are down. {said}")
