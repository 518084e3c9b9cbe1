"""Asks a model for real what it can do: how fast it answers, and whether tools, pictures and JSON work.

Each check is a call of its own, one after the other, so that none slows the next. Prints nothing and reads
no configuration; a model costs a few hundred tokens.
"""

import asyncio
import struct
import time
import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from stretto._internal.plain import Plain
from stretto.errors import (
    BadRequest,
    ConfigError,
    MissingExtra,
    ModelNotFound,
    ModelTimeout,
    ModelUnavailable,
    RateLimited,
    StrettoError,
)
from stretto.messages import Image, Message, ToolSpec
from stretto.models.output import output_schema, parse_output
from stretto.models.protocol import ChatModel, Embedder, ReasoningPiece, Reply, TextPiece, complete
from stretto.settings import ModelSettings

CheckName = Literal["answer", "tools", "vision", "json_schema", "context", "embedding"]
"""answer: text, and how fast; tools: a call of one; vision: a picture is seen; json_schema: an answer that
fits one; context: how many tokens fit; embedding: a text becomes a vector."""

Tell = Callable[[CheckName], None]
"""Called before each check."""

_LONGEST = 256
_HOPELESS = (ModelUnavailable, ModelTimeout, ModelNotFound, RateLimited, MissingExtra, ConfigError)
"""After these no other check is tried."""
_BURST = 0.001
"""Seconds below which an answer came at once, and its rate says nothing."""
_GRACE = 1.0
"""Seconds over the timeout until a model that does not hold to it is left."""


class Probe(Plain, frozen=True):
    """What one endpoint showed. None is a check that was not tried."""

    name: str
    """`provider:model`."""
    kind: Literal["chat", "embedding"] = "chat"
    reached: bool = False
    """Whether it answers calls at all; if not, `failed` says why and nothing else was tried."""
    first_token: float | None = None
    """Seconds to the first text, once it is warm."""
    tokens_per_second: float | None = None
    """Of the text after the first; None where all of it came at once."""
    context: int | None = None
    """Tokens that prompt and answer may have together."""
    context_told: bool = False
    """Whether the endpoint itself said so; else it is what the model's name is known for, or a guess."""
    tools: bool | None = None
    vision: bool | None = None
    json_schema: bool | None = None
    dimensions: int | None = None
    """Numbers in a vector, of an embedding model."""
    seconds: float = 0.0
    """What all checks took."""
    failed: dict[str, str] = {}
    """Check: why it failed."""


@runtime_checkable
class TellsContext(Protocol):
    """A model whose endpoint may tell how many tokens fit."""

    async def told_context(self, *, timeout: float) -> int | None:
        """Tokens, None where it does not tell."""
        ...


class Greeting(msgspec.Struct, forbid_unknown_fields=True):
    """What the check for JSON asks for; no model writes it unless it is made to."""

    greeting: str
    letters: int


class _No(StrettoError):
    """An answer came, and it is not what the check wants."""


class _Place(msgspec.Struct):
    city: str


_WEATHER = ToolSpec(
    "weather",
    "Tells today's weather in a city.",
    {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The city's name."}},
        "required": ["city"],
        "additionalProperties": False,
    },
)


def _silent(_: CheckName) -> None:
    """Nobody watches."""


async def probe(model: ChatModel, *, timeout: float = 30.0, tell: Tell = _silent) -> Probe:
    """Asks `model`, and leaves it open. A check that fails leaves the others standing; nothing is raised.

    Args:
        model: any chat model: an endpoint, a local one, a pool.
        timeout: seconds a check may take.
        tell: called before each check.
    """
    began = time.perf_counter()
    settings = ModelSettings(timeout=timeout, max_tokens=_LONGEST)
    failed: dict[str, str] = {}
    tell("answer")
    speed, error = await _tried(_speed(model, settings), timeout)
    if error is not None:
        failed["answer"] = _said(error)
    found: dict[str, Any] = {"name": model.name, "reached": not _hopeless(error)}
    if speed is not None:
        found["first_token"], found["tokens_per_second"] = speed
    if found["reached"]:
        tell("context")
        found["context"], found["context_told"] = await _context(model, timeout)
        for name, check in _CHECKS.items():
            tell(name)
            _, error = await _tried(check(model, settings), timeout)
            found[name] = error is None
            if error is not None:
                failed[name] = _said(error)
    return Probe(**found, seconds=time.perf_counter() - began, failed=failed)


async def probe_embedder(embedder: Embedder, *, timeout: float = 30.0, tell: Tell = _silent) -> Probe:
    """Has `embedder` turn a text into a vector, and leaves it open. Takes what `probe` takes."""
    began = time.perf_counter()
    tell("embedding")
    vectors, error = await _tried(embedder.embed(["Is anybody there?"]), timeout)
    return Probe(
        embedder.name,
        "embedding",
        reached=vectors is not None,
        dimensions=None if vectors is None else int(vectors.shape[1]),
        seconds=time.perf_counter() - began,
        failed={} if error is None else {"embedding": _said(error)},
    )


async def _tried(step: Awaitable[Any], timeout: float) -> tuple[Any, StrettoError | None]:
    """What the step gives, or its error."""
    try:
        async with asyncio.timeout(timeout + _GRACE):
            return await step, None
    except StrettoError as error:
        return None, error
    except TimeoutError:
        return None, ModelTimeout(f"it did not finish within {timeout:g} s; a longer timeout may help")


def _said(error: StrettoError) -> str:
    return " ".join(str(error).split())


def _hopeless(error: StrettoError | None) -> bool:
    misconfigured = isinstance(error, BadRequest) and error.misconfigured
    return misconfigured or isinstance(error, _HOPELESS)


async def _speed(model: ChatModel, settings: ModelSettings) -> tuple[float, float | None]:
    """Seconds to the first text and tokens a second, of the second call: the first connects and loads."""
    short = msgspec.structs.replace(settings, max_tokens=16)
    await complete(model, [Message.user("Say hello.")], settings=short)
    asked = [Message.user("Count from one to forty, in words.")]
    began = time.perf_counter()
    first, last, reply = 0.0, 0.0, None
    async for piece in model.stream(asked, settings=msgspec.structs.replace(settings, max_tokens=64)):
        if isinstance(piece, TextPiece | ReasoningPiece):
            last = time.perf_counter()
            first = first or last
        elif isinstance(piece, Reply):
            reply = piece
    if not first or reply is None:
        raise _No("it answered without any text")
    tokens = reply.usage.output_tokens or reply.chunks
    rate = (tokens - 1) / (last - first) if tokens > 1 and last - first > _BURST else None
    return first - began, rate


async def _context(model: ChatModel, timeout: float) -> tuple[int, bool]:
    """Tokens that fit, and whether that is certain."""
    told = await model.told_context(timeout=timeout) if isinstance(model, TellsContext) else None
    known = model.capabilities
    return told or known.context, told is not None or known.local


async def _tools(model: ChatModel, settings: ModelSettings) -> None:
    asked = [Message.user("What is the weather in Paris today? Look it up with the tool.")]
    message = (await complete(model, asked, tools=[_WEATHER], settings=settings)).message
    if not message.tool_calls:
        raise _No(f"it answered without calling the tool: {_short(message.text)}")
    call = message.tool_calls[0]
    try:
        msgspec.json.decode(call.arguments, type=_Place)
    except ValueError:
        raise _No(f"its arguments do not fit the tool: {_short(call.arguments)}") from None
    if call.name != _WEATHER.name:
        raise _No(f"it called a tool that is not there: {_short(call.name)}")


async def _vision(model: ChatModel, settings: ModelSettings) -> None:
    question = "Which two colours does this picture show, from left to right? Answer in two words."
    asked = Message.user(question, Image.from_bytes(picture(), "image/png"))
    text = (await complete(model, [asked], settings=settings)).message.text
    said = text.lower()
    if not 0 <= said.find("green") < said.find("yellow"):
        raise _No(f"it does not see: shown green and yellow, it said {_short(text)}")


async def _json_schema(model: ChatModel, settings: ModelSettings) -> None:
    schema = output_schema(Greeting)
    reply = await complete(model, [Message.user("Say hello.")], schema=schema, settings=settings)
    parse_output(Greeting, reply.message.text)


_CHECKS: dict[CheckName, Callable[[ChatModel, ModelSettings], Awaitable[None]]] = {
    "tools": _tools,
    "vision": _vision,
    "json_schema": _json_schema,
}


def _short(text: str) -> str:
    line = " ".join(text.split())
    return f"`{line[:60]}...`" if len(line) > 60 else f"`{line}`" if line else "nothing"


def picture(size: int = 64, colours: Sequence[tuple[int, int, int]] = ((0, 150, 0), (255, 220, 0))) -> bytes:
    """A PNG of `size` x `size` pixels, in vertical stripes: green and yellow."""
    width = size // len(colours)
    row = b"\0" + b"".join(bytes(colour) * width for colour in colours)
    header = struct.pack(">IIBBBBB", width * len(colours), size, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * size)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
