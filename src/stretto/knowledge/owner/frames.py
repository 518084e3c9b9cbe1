"""What goes between owner and client: a length of four bytes, then a msgpack array of a fixed shape.

Nothing in it names code or a file. Knows no socket and no index.
"""

from typing import TYPE_CHECKING, Literal

import msgspec

from stretto.errors import KnowledgeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSION = 1
LIMIT = 1 << 26
"""Bytes of a frame at most; both sides refuse a longer one before they read it."""
HEAD = 4

Operation = Literal[
    "upsert", "delete", "query", "vectors", "count",
    "write_words", "settle_words", "count_words", "query_words", "score_words", "retire",
]  # fmt: skip
"""The methods of `Indexes`."""


class Hello(msgspec.Struct, array_like=True, frozen=True):
    """The first frame of each side. The client's token opens a loopback port; the owner's answer has none."""

    version: int
    pid: int
    token: str = ""


class Call(msgspec.Struct, array_like=True, frozen=True):
    """One method of `Indexes` with its arguments; what it does not take stays empty."""

    operation: Operation
    generation: int
    ids: list[str] = []
    vectors: bytes = b""
    """Rows of float32, little-endian: one an id, or the one of a query."""
    rows: list[tuple[str, str]] = []
    text: str = ""
    n: int = 0


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """What the method returned, or the message of its error."""

    ids: list[str] = []
    scores: list[float] = []
    vectors: bytes = b""
    count: int = 0
    error: str = ""


def framed(value: Hello | Call | Answer) -> bytes:
    """The frame of a value; raises KnowledgeError when it is over the limit."""
    body = msgspec.msgpack.encode(value)
    return _allowed(len(body), LIMIT).to_bytes(HEAD, "big") + body


def length_of(head: bytes, limit: int = LIMIT) -> int:
    """The length that a frame's head tells; raises KnowledgeError over the limit."""
    return _allowed(int.from_bytes(head, "big"), limit)


def _allowed(length: int, limit: int) -> int:
    if length > limit:
        raise KnowledgeError(f"a frame of {length:,} bytes is over the limit of {limit:,}")
    return length


hello_decoder = msgspec.msgpack.Decoder(Hello)
call_decoder = msgspec.msgpack.Decoder(Call)
answer_decoder = msgspec.msgpack.Decoder(Answer)


def packed(vectors: "NDArray[np.float32]") -> bytes:
    """Rows as bytes."""
    return vectors.astype("<f4", copy=False).tobytes()


def unpacked(data: bytes, rows: int) -> "NDArray[np.float32]":
    """An array of shape (rows, dimensions); raises KnowledgeError when the bytes do not fit."""
    import numpy as np  # noqa: PLC0415 (loads with the first vector)

    if not rows or len(data) % (4 * rows):
        raise KnowledgeError(f"{len(data)} bytes are not {rows} vectors")
    return np.frombuffer(data, dtype="<f4").reshape(rows, -1).astype(np.float32, copy=False)
