"""What a chat model's child process and its parent say to each other: length-prefixed msgpack, no pickle.

Knows neither process. A frame is four bytes of length (little-endian) and one tagged array.
"""

from typing import IO, Any

import msgspec


class Load(msgspec.Struct, tag="load", array_like=True, frozen=True):
    """Load this file; the first frame a child gets."""

    path: str
    context: int
    """Tokens that prompt and answer may have together."""
    threads: int
    batch: int
    """Tokens read at one go: a prompt can be given up between two of these."""
    cache_mb: int
    """Memory for the states of earlier prompts, so that a prefix seen before is not read again."""


class Ask(msgspec.Struct, tag="ask", array_like=True):
    """Answer this; the body is a chat completion request."""

    id: int
    body: dict[str, Any]


class Cancel(msgspec.Struct, tag="cancel", array_like=True):
    """Give up the answer to `id`."""

    id: int


class Count(msgspec.Struct, tag="count", array_like=True):
    """How many tokens is this text?"""

    id: int
    text: str


class Ready(msgspec.Struct, tag="ready", array_like=True):
    """The file is loaded."""


class Delta(msgspec.Struct, tag="delta", array_like=True):
    """More text of the answer."""

    id: int
    text: str


class Done(msgspec.Struct, tag="done", array_like=True):
    """The answer ended, or was given up."""

    id: int
    finish: str = "stop"
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


class Counted(msgspec.Struct, tag="counted", array_like=True):
    """The number of tokens."""

    id: int
    tokens: int


class Failed(msgspec.Struct, tag="failed", array_like=True):
    """It did not work; `id` 0 means that the file could not be loaded."""

    id: int
    message: str
    kind: str = ""
    """The runtime's own name for it, for instance `exceed_context_size_error`."""
    tokens: int = 0
    """Of the prompt, where that was the reason."""


Order = Load | Ask | Cancel | Count
"""What a parent sends."""
Report = Ready | Delta | Done | Counted | Failed
"""What a child sends."""

_orders = msgspec.msgpack.Decoder(Order)
_reports = msgspec.msgpack.Decoder(Report)


def pack(frame: Order | Report) -> bytes:
    """The bytes of one frame."""
    body = msgspec.msgpack.encode(frame)
    return len(body).to_bytes(4, "little") + body


def next_order(stream: IO[bytes]) -> Order | None:
    """The next frame from the parent, or None when it is gone. Blocks."""
    body = _body(stream)
    return None if body is None else _orders.decode(body)


def next_report(stream: IO[bytes]) -> Report | None:
    """The next frame from the child, or None when it is gone. Blocks."""
    body = _body(stream)
    return None if body is None else _reports.decode(body)


def _body(stream: IO[bytes]) -> bytes | None:
    head = stream.read(4)
    if len(head) < 4:
        return None
    size = int.from_bytes(head, "little")
    body = stream.read(size)
    return body if len(body) == size else None
