"""What an endpoint's prompt cache would have of a request, for `ChatServer`. Knows no sockets and no answers.

Real endpoints keep prompts in blocks, for minutes, from some length on. This one keeps every token for ever:
what it counts is what a request leaves as it was, and nothing of an endpoint's size or luck.
"""

from itertools import takewhile
from typing import Any

from stretto.messages import Reasoning, Refusal, Text, ToolCall, ToolResult
from stretto.testing.scripted import Request, tokens_of


class PrefixCache:
    """Remembers the requests of a conversation, or of many."""

    def __init__(self) -> None:
        self._known: dict[Any, list[list[Any]]] = {}

    def read(self, request: Request) -> int:
        """Tokens at the beginning of `request` that an earlier one began with too, as `count_tokens` counts.

        Tools and schema stand before the messages: with others, nothing is shared.
        """
        tokens = _tokens(request)
        known = self._known.setdefault(repr((request.tools, request.schema)), [])
        shared = max((_shared(tokens, earlier) for earlier in known), default=0)
        known.append(tokens)
        return shared


def _shared(one: list[Any], other: list[Any]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _tokens(request: Request) -> list[Any]:
    tokens: list[Any] = []
    for message in request.messages:
        head = message.role, *(part.source for part in message.media)
        tokens += [head] * 3
        for part in message.parts:
            if isinstance(part, Text | Reasoning | Refusal | ToolResult):
                tokens += tokens_of(part.text)
            elif isinstance(part, ToolCall):
                tokens += [part.name, *tokens_of(part.arguments)]
    return tokens
