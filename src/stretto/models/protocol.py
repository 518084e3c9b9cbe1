"""`ChatModel` and `Embedder`: what every model of ours can do, wherever it runs."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import msgspec

from stretto._internal.plain import Plain
from stretto.messages import Message, ToolSpec
from stretto.settings import MediaRules, ModelSettings
from stretto.usage import Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
"""stop: the model ended; length: max_tokens or context; tool_calls: it waits for tools; content_filter:
cut by the endpoint."""


class Capabilities(Plain, frozen=True):
    """What an endpoint is known to do."""

    vision: bool = False
    audio: bool = False
    tools: bool = True
    json_schema: bool = True
    context: int = 8192
    """Tokens that prompt and answer may have together."""
    local: bool = False
    prefill: bool = False
    """Goes on with an assistant message that stands last in the request, and does not repeat it."""
    media: MediaRules = MediaRules()
    """How large pictures may be, and what media cost."""


class Headroom(msgspec.Struct, frozen=True):
    """What an endpoint said is left of its rate limits (`x-ratelimit-*`). None where it did not say."""

    requests: int | None = None
    tokens: int | None = None
    requests_reset: float | None = None
    """Seconds until all its requests are there again."""
    tokens_reset: float | None = None
    """Seconds until all its tokens are there again."""


class OutputSchema(Plain, frozen=True):
    """The JSON Schema an answer has to fit."""

    name: str
    schema: dict[str, Any]
    strict: bool = True


class TextPiece(msgspec.Struct):
    """Text of the answer. One piece may hold the endpoint's deltas of one socket read: `chunks` of them."""

    text: str
    chunks: int = 1


class RetractPiece(msgspec.Struct):
    """Take back the last `length` code points of the text, and every tool call: the answer begins again."""

    length: int


class ReasoningPiece(msgspec.Struct):
    """Text of the model's reasoning."""

    text: str


class ToolCallPiece(msgspec.Struct):
    """Part of a tool call; `arguments` is to be appended to what came before under `index`."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Reply(msgspec.Struct):
    """The whole answer: the last thing a stream yields, exactly once."""

    message: Message
    usage: Usage
    finish: FinishReason = "stop"
    model: str = ""
    chunks: int = 0
    """How many chunks the endpoint sent."""
    headroom: Headroom | None = None


Piece = TextPiece | RetractPiece | ReasoningPiece | ToolCallPiece | Reply
"""What a model's stream yields."""


@runtime_checkable
class ChatModel(Protocol):
    """A model that answers a conversation. Media in messages must be inline (data URL) or a public URL."""

    @property
    def name(self) -> str:
        """`provider:model`."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: OutputSchema | None = None,
        settings: ModelSettings | None = None,
    ) -> AsyncIterator[Piece]:
        """The answer piece by piece, a `Reply` last. Raises ModelError; closing it cancels the call."""
        ...

    async def close(self) -> None:
        """Frees sockets and processes. May be called twice."""
        ...


async def complete(
    model: ChatModel,
    messages: Sequence[Message],
    *,
    tools: Sequence[ToolSpec] = (),
    schema: OutputSchema | None = None,
    settings: ModelSettings | None = None,
) -> Reply:
    """The whole answer at once."""
    reply: Reply | None = None
    async for piece in model.stream(messages, tools=tools, schema=schema, settings=settings):
        if isinstance(piece, Reply):
            reply = piece
    if reply is None:  # a broken implementation, not a user's error
        raise RuntimeError(f"{model.name} ended its stream without a Reply")
    return reply


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors of length 1."""

    @property
    def name(self) -> str:
        """`provider:model`: kept with a store, compared when it is opened."""
        ...

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        ...

    async def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """An array of shape (len(texts), dimensions), each row of length 1."""
        ...

    async def close(self) -> None:
        """Frees what it holds. May be called twice."""
        ...
