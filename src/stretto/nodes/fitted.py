"""What of a conversation is sent in one call: valid for every endpoint, within the model's context.

Knows no prompt and no state.
"""

from collections.abc import Sequence
from typing import NamedTuple

from stretto.messages import Message, ToolSpec
from stretto.models.protocol import ChatModel
from stretto.models.tokens import at_most, count, learn, weights
from stretto.settings import ModelSettings
from stretto.threads.history import answered, trimmed, valid_history
from stretto.usage import Usage

ANSWER = 1024
"""Tokens that are left for an answer which nothing limits; a quarter of a small context."""


class Fitted(NamedTuple):
    """The messages of one call."""

    messages: list[Message]
    tokens: int = 0
    """How many tokens were counted; 0 where it was plain that all fit."""

    def note(self, model: ChatModel, usage: Usage) -> None:
        """Learns from what the endpoint reports of this call."""
        if self.tokens and usage.calls == 1:
            learn(model, self.tokens, usage.input_tokens)


async def fitted(
    messages: Sequence[Message],
    model: ChatModel,
    tools: Sequence[ToolSpec] = (),
    settings: ModelSettings | None = None,
) -> Fitted:
    """The messages, cut to what the model's context holds beside the tools and an answer.

    Nothing is counted while all must fit, whatever the tokenizer.
    """
    limit = room_of(model, settings)
    if at_most(messages, tools, model) <= limit:
        return Fitted(valid_history(messages))
    whole = answered(messages)
    beside = await count((), tools, model)
    each = await weights(whole, model)
    if sum(each) + beside > limit:
        whole = trimmed(whole, each, limit - beside)
        each = await weights(whole, model)
    twice = model.capabilities.local and tools  # it reads the prompt again to choose a tool, and reports both
    return Fitted(valid_history(whole), 0 if twice else sum(each) + beside)


def room_of(model: ChatModel, settings: ModelSettings | None = None) -> int:
    """Tokens that a request may have, so that there is room for its answer."""
    context = model.capabilities.context
    usual: ModelSettings | None = getattr(model, "settings", None)
    answer = (settings and settings.max_tokens) or (usual and usual.max_tokens) or min(ANSWER, context // 4)
    return max(context - answer, context // 4)
