"""A stand-in until the pool itself is merged: the constructor, `.members`, and the first member answers."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from stretto._internal.plain import Plain
from stretto.messages import Message, ToolSpec
from stretto.models.protocol import Capabilities, ChatModel, OutputSchema, Piece
from stretto.settings import ModelSettings


class RetryBudget(Plain, frozen=True):
    """How often a pool asks again."""

    share: float = 0.15


class Member:
    """A model of a pool."""

    def __init__(
        self,
        model: ChatModel,
        weight: float = 1.0,
        tier: int = 0,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        concurrency: int | None = None,
    ) -> None:
        self.model, self.weight, self.tier = model, weight, tier
        self.requests_per_minute, self.tokens_per_minute = requests_per_minute, tokens_per_minute
        self.concurrency = concurrency


class Pool:
    """Models that play as one."""

    def __init__(
        self,
        members: Sequence[ChatModel | Member],
        *,
        name: str = "pool:pool",
        hedge: bool = False,
        retry: RetryBudget | None = None,
        breaker: Any = None,
        counters: Any = None,
    ) -> None:
        self.members = [member if isinstance(member, Member) else Member(member) for member in members]
        self.name, self.hedge, self.retry = name, hedge, retry
        self.breaker, self.counters = breaker, counters

    @property
    def capabilities(self) -> Capabilities:
        """Those of the first member."""
        return self.members[0].model.capabilities

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: OutputSchema | None = None,
        settings: ModelSettings | None = None,
    ) -> AsyncIterator[Piece]:
        """What the first member answers."""
        first = self.members[0].model
        async for piece in first.stream(messages, tools=tools, schema=schema, settings=settings):
            yield piece

    async def close(self) -> None:
        """Closes the members."""
        for member in self.members:
            await member.model.close()
