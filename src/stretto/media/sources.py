"""Reads what a part's source names: a path, a data URL or a URL. Checks size, looks at no content."""

import asyncio
import base64
import binascii
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from stretto.errors import DamagedMedia, MediaNotFound, MediaTooLarge, UnsafeAddress, UnsupportedMedia
from stretto.media.limits import MediaLimits

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_DATA = re.compile(r"data:([a-z0-9.+-]+/[a-z0-9.+-]+)((?:;[a-z0-9-]+=[^;,]*)*);base64,", re.IGNORECASE)


@dataclass(frozen=True)
class Loaded:
    """What a source held."""

    data: bytes
    declared: str = ""
    """The type it claims; empty where nothing trustworthy claims one."""
    name: str = ""
    label: str = ""
    """What an error calls it."""
    fetched: bool = False
    """Whether it came from a URL, whose ending promises nothing."""


async def read_source(source: str, limits: MediaLimits) -> Loaded:
    """The bytes behind a source.

    Raises:
        MediaNotFound: No such file or URL, or it may not be read.
        UnsupportedMedia: A folder or device, or a path where paths are not allowed.
        DamagedMedia: A malformed data URL.
        MediaTooLarge: More bytes than allowed.
        UnsafeAddress: A URL of another scheme, or one that leads to a private address.
    """
    if source[:5].lower() == "data:":
        return await asyncio.to_thread(_data_url, source, limits)
    scheme = _SCHEME.match(source)
    if scheme is None:
        return await asyncio.to_thread(_file, source, limits)
    if scheme[1].lower() not in ("http", "https"):
        raise UnsafeAddress(
            f"`{source[:100]}` cannot be read: only http and https URLs are allowed, and paths"
        )
    from stretto.media.fetch import fetch, last_name  # noqa: PLC0415 (the network loads with the first URL)

    fetched = await fetch(source, limits)
    return Loaded(
        fetched.data, fetched.media_type, last_name(fetched.url), f"`{fetched.label}`", fetched=True
    )


def _data_url(source: str, limits: MediaLimits) -> Loaded:
    head = _DATA.match(source)
    if not head:
        raise DamagedMedia(
            f"`{source[:40]}...` is no data URL that is allowed: write data:<type>/<subtype>;base64,<content>"
        )
    kind = head[1].lower()
    label = f"the data URL of type {kind}"
    size = (len(source) - head.end()) * 3 // 4
    if size > limits.bytes + 2:
        raise MediaTooLarge(f"{label} has {size} bytes; allowed are {limits.bytes}")
    try:
        data = base64.b64decode(source[head.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise DamagedMedia(
            f"{label} is not valid base64; allowed are A-Z a-z 0-9 + / and = at the end"
        ) from None
    return Loaded(_bounded(data, label, limits), declared=kind, label=label)


def _file(source: str, limits: MediaLimits) -> Loaded:
    label = f"`{source[:200]}`"
    if not limits.local_files:
        raise UnsupportedMedia(f"{label} is a path, and paths are not allowed here: send the content itself")
    try:
        path = Path(source).expanduser()
        # Without waiting: opening a pipe would hang until somebody writes to it.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb", closefd=True) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise UnsupportedMedia(f"{label} is no file; give the path of a file")
            if found.st_size > limits.bytes:
                raise MediaTooLarge(f"{label} has {found.st_size} bytes; allowed are {limits.bytes}")
            data = file.read(limits.bytes + 1)
    except IsADirectoryError:
        raise UnsupportedMedia(f"{label} is a folder; give the path of a file") from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise MediaNotFound(f"{label} cannot be read: {reason}; check the path") from None
    return Loaded(_bounded(data, label, limits), name=path.name, label=label)


def _bounded(data: bytes, label: str, limits: MediaLimits) -> bytes:
    if len(data) > limits.bytes:
        raise MediaTooLarge(f"{label} has more than {limits.bytes} bytes, which is what is allowed")
    return data
