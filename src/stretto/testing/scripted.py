"""`ScriptedModel`: a strict model for tests that answers from a script. Knows no network and no weights.

A script is a list of turns. `Script` is also what `ChatServer` plays, so one script tests a model in
process and over HTTP.
"""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from stretto._internal.plain import Plain
from stretto.errors import ContextOverflow, MediaNotFound
from stretto.messages import Message, Reasoning, Refusal, Text, ToolCall, ToolResult, ToolSpec
from stretto.models.protocol import (
    Capabilities,
    FinishReason,
    OutputSchema,
    Piece,
    ReasoningPiece,
    Reply,
    TextPiece,
    ToolCallPiece,
)
from stretto.settings import ModelSettings
from stretto.testing.history import assert_valid_history
from stretto.usage import Usage

_TOKEN = re.compile(r"\s*\S+|\s+\Z")


class Request(Plain, frozen=True):
    """What a model was asked."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    schema: OutputSchema | None = None
    settings: ModelSettings = ModelSettings()


Answer = str | ToolCall | Message | BaseException | Sequence[str | ToolCall]
"""One answer: text, one or several tool calls, a whole message, or an exception to raise."""

Turn = Answer | Callable[[Sequence[Message]], Answer]
"""An answer, or a function of the conversation so far that gives one."""


class ScriptUsedUp(AssertionError):
    """The model was asked more often than its script has turns."""


def tokens_of(text: str) -> list[str]:
    """`text` cut into the tokens of the scripted world: words with the space before them."""
    return _TOKEN.findall(text)


def count_tokens(messages: Sequence[Message]) -> int:
    """Tokens of a conversation: 3 a message, and those of every text in it."""
    total = 0
    for message in messages:
        total += 3
        for part in message.parts:
            if isinstance(part, Text | Reasoning | Refusal | ToolResult):
                total += len(tokens_of(part.text))
            elif isinstance(part, ToolCall):
                total += 1 + len(tokens_of(part.arguments))
    return total


def example_of(schema: Mapping[str, Any]) -> Any:
    """A value that fits a plain JSON Schema: the first of an enum, every required property."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if kind == "object":
        fields: Mapping[str, Any] = schema.get("properties", {})
        return {name: example_of(fields[name]) for name in schema.get("required", fields)}
    if kind == "array":
        return [example_of(schema["items"])] if "items" in schema else []
    examples: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True}
    return examples.get(kind)


def contract_answer(request: Request) -> str | ToolCall:
    """What a scripted model or server answers to pass `ModelContract`.

    A schema is answered with JSON that fits; tools, while no result has come and they are not forbidden, with
    a call of the first; everything else with a text of more than 20 words.
    """
    if request.schema is not None:
        return msgspec.json.encode(example_of(request.schema.schema)).decode()
    answered = any(message.role == "tool" for message in request.messages)
    if request.tools and not answered and request.settings.tool_choice != "none":
        tool = request.tools[0]
        return ToolCall("", tool.name, msgspec.json.encode(example_of(tool.parameters)).decode())
    return (
        "The sea is wide and its colour changes with the light of the day. "
        "Waves reach the shore in a slow rhythm. Below them live more things than we have names for."
    )


def echo_answer(request: Request) -> str:
    """The text of the last user message."""
    said = [message.text for message in request.messages if message.role == "user"]
    return said[-1] if said else ""


class Script:
    """Turns in order; `otherwise` answers once they are used up. `requests` keeps what was asked."""

    def __init__(self, turns: Sequence[Any], otherwise: Callable[[Request], Any] | None = None) -> None:
        self._turns = list(turns)
        self._otherwise = otherwise
        self._used = 0
        self._calls = itertools.count(1)
        self.requests: list[Request] = []

    @property
    def remaining(self) -> int:
        """Turns not played yet."""
        return len(self._turns) - self._used

    def next(self, request: Request) -> Any:
        """The answer to `request`: a Message, an exception, or whatever else the script holds.

        Raises:
            ScriptUsedUp: there is no turn left and no `otherwise`.
        """
        self.requests.append(request)
        if self.remaining:
            turn = self._turns[self._used]
            self._used += 1
            answer = turn(request.messages) if callable(turn) and not isinstance(turn, type) else turn
        elif self._otherwise is not None:
            answer = self._otherwise(request)
        else:
            said = request.messages[-1].text if request.messages else ""
            raise ScriptUsedUp(
                f"the script has {len(self._turns)} turn(s) and the model was asked a "
                f"{len(self.requests)}th time, with {said[:80]!r}; add a turn to the script"
            )
        return self.as_message(answer)

    def as_message(self, answer: Any) -> Any:
        """Text and tool calls as an assistant message, with ids where they are missing."""
        if isinstance(answer, str | ToolCall):
            answer = [answer]
        if isinstance(answer, list | tuple):
            answer = Message("assistant", tuple(answer))  # pyright: ignore[reportUnknownArgumentType]
        if not isinstance(answer, Message):
            return answer
        parts = tuple(
            msgspec.structs.replace(part, id=f"call_{next(self._calls)}")
            if isinstance(part, ToolCall) and not part.id
            else part
            for part in answer.parts
        )
        return msgspec.structs.replace(answer, parts=parts)


def cut_to(message: Message, max_tokens: int | None) -> tuple[Message, int, FinishReason]:
    """The message within `max_tokens`, its count of tokens, and why it ends."""
    left = 1 << 60 if max_tokens is None else max_tokens
    spent, parts, cut = 0, list[Any](), False
    for part in message.parts:
        text = part.arguments if isinstance(part, ToolCall) else getattr(part, "text", "")
        tokens = tokens_of(text)
        if len(tokens) > left:
            tokens, cut = tokens[:left], True
            field = "arguments" if isinstance(part, ToolCall) else "text"
            part = msgspec.structs.replace(part, **{field: "".join(tokens)})
        parts.append(part)
        spent, left = spent + len(tokens), left - len(tokens)
        if cut:
            break
    finish: FinishReason = "length" if cut else "tool_calls" if message.tool_calls else "stop"
    return msgspec.structs.replace(message, parts=tuple(parts)), spent, finish


def pieces_of(message: Message) -> Iterator[Piece]:
    """The message as a stream would bring it: a token a piece, tool calls in order."""
    index = 0
    for part in message.parts:
        if isinstance(part, Text):
            yield from (TextPiece(token) for token in tokens_of(part.text))
        elif isinstance(part, Reasoning):
            yield from (ReasoningPiece(token) for token in tokens_of(part.text))
        elif isinstance(part, ToolCall):
            yield ToolCallPiece(index, part.id, part.name)
            yield from (ToolCallPiece(index, arguments=token) for token in tokens_of(part.arguments))
            index += 1


class ScriptedModel:
    """A `ChatModel` that plays a script, and fails the test when it is asked too often.

    It also fails it when it is sent a conversation that some endpoint would refuse (`assert_valid_history`).

    Each turn is a text, a `ToolCall`, a list of both, a `Message`, an exception to raise, or a function of
    the messages that returns one of these. Tokens are words, counted the same way each time.

    Args:
        turns: the answers in order.
        otherwise: answers a `Request` once the turns are used up; without it that is `ScriptUsedUp`.
        name: the model's name.
        capabilities: what it claims to do.
        settings: used where a call gives none.
    """

    def __init__(
        self,
        *turns: Turn,
        otherwise: Callable[[Request], Answer] | None = None,
        name: str = "scripted:model",
        capabilities: Capabilities | None = None,
        settings: ModelSettings | None = None,
    ) -> None:
        self._script = Script(turns, otherwise)
        self._name = name
        self._capabilities = capabilities or Capabilities(vision=True, audio=True, local=True)
        self._settings = settings or ModelSettings()
        self.open_streams = 0
        self.closed = False

    @property
    def name(self) -> str:
        """`scripted:model`, or the name given."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What it claims to do."""
        return self._capabilities

    @property
    def requests(self) -> list[Request]:
        """What it was asked, in order."""
        return self._script.requests

    @property
    def remaining(self) -> int:
        """Turns not played yet."""
        return self._script.remaining

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: OutputSchema | None = None,
        settings: ModelSettings | None = None,
    ) -> AsyncIterator[Piece]:
        """The next turn, a token a piece, then the `Reply`."""
        settings = self._settings.merged(settings)
        assert_valid_history(messages)
        answer = self._script.next(Request(tuple(messages), tuple(tools), schema, settings))
        if isinstance(answer, BaseException):
            raise answer
        if not isinstance(answer, Message):
            raise TypeError(f"a turn gives text, tool calls, a Message or an exception, not {answer!r}")
        read = count_tokens(messages)
        self._check(messages, read)
        message, written, finish = cut_to(answer, settings.max_tokens)
        chunks = 0
        self.open_streams += 1
        try:
            for piece in pieces_of(message):
                await asyncio.sleep(0)  # a real model lets others run between its pieces
                chunks += 1
                yield piece
            yield Reply(message, Usage(read, written, calls=1), finish, self._name, chunks)
        finally:
            self.open_streams -= 1

    def _check(self, messages: Sequence[Message], read: int) -> None:
        if read > self._capabilities.context:
            raise ContextOverflow(
                f"the conversation has {read} tokens and `{self._name}` takes {self._capabilities.context}"
            )
        for part in (part for message in messages for part in message.media):
            if not part.source.startswith(("data:", "http:", "https:")):
                raise MediaNotFound(
                    f"`{part.source[:40]}` is not inline: a model takes data URLs; "
                    "call `stretto.media.resolve.resolve(messages, store)` first"
                )

    async def close(self) -> None:
        """Notes that it was closed."""
        self.closed = True
