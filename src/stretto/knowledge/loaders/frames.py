"""What the process that reads documents hears and answers: msgpack frames over pipes, never code."""

import msgspec

from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.protocol import Loaded


class Read(msgspec.Struct, tag=True):
    """One document to read: the file at `path`, or `data` where there is none."""

    name: str
    media_type: str | None
    limits: IngestLimits
    path: str = ""
    data: bytes = b""


class Done(msgspec.Struct, tag=True):
    """It was read. `version` is the sha256 of the bytes that were."""

    loaded: Loaded
    version: str


class Failed(msgspec.Struct, tag=True):
    """It could not be read: a class of `stretto.errors`, and what to say."""

    error: str
    message: str


class MoreTime(msgspec.Struct, tag=True):
    """A page begins that may take as long as a whole document."""


Answer = Done | Failed | MoreTime

_encoder = msgspec.msgpack.Encoder()
orders = msgspec.msgpack.Decoder(Read)
answers = msgspec.msgpack.Decoder(Answer)
LENGTH = 8
"""Bytes before each frame that say how long it is, big end first."""


def pack(frame: Read | Answer) -> bytes:
    """The frame as it goes over the pipe, its length before it."""
    body = _encoder.encode(frame)
    return len(body).to_bytes(LENGTH, "big") + body
