"""The door for media: each part is read, checked, stored once, and replaced by a reference.

Knows no model. After it a message holds no bytes, no path and no URL.
"""

import asyncio
from typing import Any, Protocol, runtime_checkable

import msgspec

from stretto.context import MediaKeeper
from stretto.errors import UnsupportedMedia
from stretto.media.kinds import ALLOWED, Family, check_kind
from stretto.media.limits import DEFAULT_LIMITS, MediaLimits
from stretto.media.recordings import measure
from stretto.media.sources import read_source
from stretto.media.store import is_reference
from stretto.messages import MEDIA, Audio, File, Image, Message, Part, ToolResult

Medium = Image | Audio | File


@runtime_checkable
class Claiming(Protocol):
    """A store that holds media for someone, such as a thread."""

    async def claim(self, reference: str, media_type: str) -> None:
        """Holds what is in the store already. Raises MediaNotFound."""
        ...


async def take_in(message: Message, store: MediaKeeper, limits: MediaLimits = DEFAULT_LIMITS) -> Message:
    """The message with every picture, recording and document in the store, parts of tool results included.

    A part's type, size in pixels, seconds, pages and name are filled in. A `File` that holds a picture or a
    recording becomes an `Image` or `Audio`. Parts that are references already pass; where the store holds
    media for a thread, it has to have them, and they are held too.

    Args:
        message: Whose parts have a path, URL or data URL as source.
        store: Keeps the bytes as they came.
        limits: What is accepted.

    Raises:
        MediaError: One of its kinds; the message names the source and what is allowed.
    """
    return msgspec.structs.replace(
        message, parts=tuple([await _part(part, store, limits) for part in message.parts])
    )


async def take_in_part(part: Medium, store: MediaKeeper, limits: MediaLimits = DEFAULT_LIMITS) -> Medium:
    """One picture, recording or document, as `take_in` does it."""
    if is_reference(part.source):
        if isinstance(store, Claiming):
            await store.claim(part.source, part.media_type)
        return part
    loaded = await read_source(part.source, limits)
    name = part.name or loaded.name
    label = f"`{part.name}` ({loaded.label})" if part.name and part.name not in loaded.label else loaded.label
    claim = "" if loaded.fetched else name
    kind, family = await asyncio.to_thread(
        check_kind, loaded.data, declared=(part.media_type, loaded.declared), name=claim, label=label
    )
    part = _as_family(part, family, kind, label)
    facts = await asyncio.to_thread(_look, loaded.data, kind, family, limits, label)
    reference = await store.put(loaded.data, kind)
    return msgspec.structs.replace(part, source=reference, media_type=kind, name=name, **facts)


async def _part(part: Part, store: MediaKeeper, limits: MediaLimits) -> Part:
    if isinstance(part, MEDIA):
        return await take_in_part(part, store, limits)
    if isinstance(part, ToolResult):
        content = [
            await take_in_part(inner, store, limits) if isinstance(inner, MEDIA) else inner
            for inner in part.content
        ]
        return msgspec.structs.replace(part, content=tuple(content))
    return part


def _as_family(part: Medium, family: Family, kind: str, label: str) -> Medium:
    wanted: dict[type[Medium], Family] = {Image: "picture", Audio: "recording", File: "document"}
    expected = wanted[type(part)]
    if expected == family:
        return part
    if expected == "document":
        made = Image if family == "picture" else Audio
        return made(part.source, part.media_type, part.name, part.extra)
    right = {"picture": "Image", "recording": "Audio", "document": "File"}[family]
    raise UnsupportedMedia(
        f"{label} is {kind}, no {expected}: allowed are {ALLOWED[expected]}; send this as {right}(...)"
    )


def _look(data: bytes, kind: str, family: Family, limits: MediaLimits, label: str) -> dict[str, Any]:
    """Opens the content and returns what is known of it then."""
    if family == "picture":
        from stretto.media.pictures import open_picture  # noqa: PLC0415 (Pillow loads with the first picture)

        with open_picture(data, limits, label=label) as picture:
            return {"width": picture.width, "height": picture.height}
    if family == "recording":
        return {"seconds": measure(data, kind, limits, label=label)}
    if kind == "application/pdf":
        from stretto.media.papers import count_pages  # noqa: PLC0415 (PDFium loads with the first PDF)

        return {"pages": count_pages(data, limits, label=label)}
    return {}
