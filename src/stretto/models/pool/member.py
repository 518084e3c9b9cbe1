"""`Member`: a model of a pool, as it is declared; `Standing`: how it does. Neither asks it anything."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast

from stretto.errors import ConfigError
from stretto.models.factory import Model
from stretto.models.pool.circuit import Circuit
from stretto.models.pool.concurrency import Concurrency
from stretto.models.pool.latency import PeakEwma
from stretto.models.pool.rates import Rates
from stretto.models.pool.rules import Breaker
from stretto.models.protocol import ChatModel, Headroom
from stretto.settings import ModelSettings

Health = Literal["up", "busy", "limited", "slow", "down"]
"""up: takes calls; busy: as many as it can; limited: its rate is used up; slow: left out as an outlier;
down: its breaker is open."""

_UNKNOWN = 1e6
"""Seconds to expect of a member that has not answered its first call yet."""
_NEVER = float("inf")


@dataclass(frozen=True, kw_only=True)
class _Terms:
    weight: float = 1.0
    """Its share beside others that do as well."""
    tier: int = 0
    """Lower tiers are asked first; the next one when none of a tier can take the call."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    """Calls at once; the limit adapts below it."""
    name: str = ""
    """Unique in the pool, and the name of its limits for every process; the model's own where empty."""


@dataclass(frozen=True)
class Member(_Terms):
    """A model of a pool, with its weight, its tier and what its endpoint allows."""

    model: ChatModel

    def __post_init__(self) -> None:
        """Refuses what makes no sense."""
        if not isinstance(self.model, ChatModel):  # pyright: ignore[reportUnnecessaryIsInstance] (untyped callers)
            raise ConfigError(
                f'{self.model!r} is no model; give Model("provider:model"), or '
                'Model("openai:NAME", client=...) for a client of the openai package'
            )
        numbers = (self.weight, self.tier, self.requests_per_minute, self.tokens_per_minute, self.concurrency)
        if any(isinstance(number, str) for number in numbers):
            raise ConfigError(f"member `{self.model.name}` has text where a number belongs: {numbers}")
        if not 0 < self.weight < _NEVER or self.tier < 0:
            raise ConfigError(
                f"member `{self.model.name}` has weight {self.weight:g} and tier {self.tier}; "
                "a weight is over 0, a tier 0 or more"
            )
        for limit in ("requests_per_minute", "tokens_per_minute", "concurrency"):
            value = getattr(self, limit)
            if value is not None and value < 1:
                raise ConfigError(f"member `{self.model.name}` has {limit}={value}; it is 1 or more, or None")


def declared_members(given: Any, pool: str) -> list[Member]:
    """The members of a pool, however they were given; raises ConfigError."""
    if isinstance(given, str | Member | ChatModel) or not isinstance(given, Iterable):
        raise ConfigError(f"`{pool}` takes a list of models: Pool([...])")
    members = [
        one if isinstance(one, Member) else Member(Model(one) if isinstance(one, str) else one)
        for one in cast("Iterable[Any]", given)
    ]
    if not members:
        raise ConfigError(f"`{pool}` has no members; give it at least one model")
    return members


def settings_of(model: ChatModel) -> ModelSettings:
    """The settings that a model has of its own."""
    return getattr(model, "settings", None) or ModelSettings()


class Standing:
    """What a pool knows of one member."""

    def __init__(self, member: Member, name: str, breaker: Breaker | None, rates: Rates | None) -> None:
        self.member, self.name, self.rates = member, name, rates
        self.model = member.model
        self.first_tokens = PeakEwma()
        self.concurrency = Concurrency(member.concurrency)
        self.circuit = Circuit(breaker) if breaker is not None else None
        self.in_flight = self.sent = self.failed = 0
        self.blocked_until = self.ejected_until = 0.0
        self.ejections = self.throttled = 0
        self.said = ""
        """Its last failure, for people."""
        self._silent: dict[int, float] = {}

    def seat(self, now: float) -> None:
        """A call is given to it."""
        self.in_flight += 1
        if self.circuit is not None:
            self.circuit.begun(now)

    def begin(self, now: float) -> int:
        """A request goes to it; returns its number."""
        self.sent += 1
        self._silent[self.sent] = now
        return self.sent

    def spoke(self, number: int, now: float) -> float:
        """The first content of request `number` came; returns the seconds it took."""
        took = now - self._silent.pop(number, now)
        self.first_tokens.observe(took, now)
        return took

    def gave_up(self, number: int, now: float) -> None:
        """Request `number` ended: what it had waited for in vain, it takes at least."""
        if number in self._silent:
            self.first_tokens.observe(now - self._silent.pop(number), now)

    def ready(self, now: float) -> float:
        """When it may take a call, as far as is known; `inf` while its breaker is open."""
        if self.circuit is not None and not self.circuit.admits(now):
            return _NEVER
        return max(now, self.blocked_until)

    def admits(self, now: float) -> bool:
        """Whether it takes a call now."""
        return self.in_flight < int(self.concurrency.limit) and self.ready(now) <= now

    def cost(self, now: float) -> float:
        """What a further call would wait here, by its load, in seconds a weight: lower is better."""
        if not self.first_tokens.samples:
            expected = _UNKNOWN if self.in_flight else 0.0
        else:
            silent = now - next(iter(self._silent.values())) if self._silent else 0.0
            expected = max(self.first_tokens.value(now), silent)
        return (expected + 1e-6) * (self.in_flight + 1) / self.member.weight

    def block(self, seconds: float, now: float) -> None:
        """Nothing goes to it for `seconds`."""
        self.blocked_until = max(self.blocked_until, now + seconds)

    def heed(self, headroom: Headroom, now: float) -> None:
        """What the endpoint says is left: nothing more goes there while that is nothing."""
        if headroom.requests is not None and headroom.requests <= 0 and headroom.requests_reset:
            self.block(headroom.requests_reset, now)
        if headroom.tokens is not None and headroom.tokens <= 0 and headroom.tokens_reset:
            self.block(headroom.tokens_reset, now)

    def health(self, now: float) -> Health:
        """How it does, in one word."""
        if self.circuit is not None and self.circuit.state != "closed":
            return "down"
        if self.blocked_until > now:
            return "limited"
        if self.ejected_until > now:
            return "slow"
        return "up" if self.admits(now) else "busy"
