"""References back to content, before a model is asked: pictures upright, bare of metadata, not too large.

Knows no model: what it can take is said by `MediaRules`.
"""

import asyncio
import base64
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import msgspec

from stretto.context import MediaReader
from stretto.errors import MediaNotFound
from stretto.media.ready import LINK, Limits, Ready, ReadyPictures
from stretto.media.store import Linking, is_reference
from stretto.media.tokens import LOW_SIDE, UNKNOWN
from stretto.messages import MEDIA, Audio, File, Image, Message, Part, ToolResult
from stretto.settings import MediaRules


@runtime_checkable
class KeepsReady(Protocol):
    """A reader of media that also keeps pictures as models get them."""

    ready: ReadyPictures


async def resolve(
    messages: Iterable[Message], store: MediaReader, *, rules: MediaRules = UNKNOWN
) -> list[Message]:
    """The messages with data URLs in the place of references.

    A picture that is stored as the model takes it is passed by a link instead, where the rules say that the
    endpoint reaches links and the store gives one.

    Args:
        messages: After intake. Data URLs and http URLs pass as they are.
        store: Where the references are read. One that has `ready` is asked for a picture of one size once.
        rules: Of the model: larger pictures are scaled down.

    Raises:
        MediaNotFound: A reference is not in the store, or a source is still a path.
        DamagedMedia: Its content changed in the store.
    """
    return [
        msgspec.structs.replace(message, parts=tuple([await _part(p, store, rules) for p in message.parts]))
        if any(isinstance(part, (*MEDIA, ToolResult)) for part in message.parts)
        else message
        for message in messages
    ]


async def _part(part: Part, store: MediaReader, rules: MediaRules) -> Part:
    if isinstance(part, ToolResult):
        content = [
            await _medium(inner, store, rules) if isinstance(inner, MEDIA) else inner
            for inner in part.content
        ]
        return msgspec.structs.replace(part, content=tuple(content))
    return await _medium(part, store, rules) if isinstance(part, MEDIA) else part


async def _medium(part: Image | Audio | File, store: MediaReader, rules: MediaRules) -> Image | Audio | File:
    if part.source[:5].lower() == "data:" or part.source.startswith(("http://", "https://")):
        return part
    if not is_reference(part.source):
        raise MediaNotFound(f"`{part.source[:200]}` was not taken in: call `take_in(message, store)` first")
    if isinstance(part, Image):
        return await _picture(part, store, rules)
    data = await store.read(part.source)
    return msgspec.structs.replace(part, source=await asyncio.to_thread(_data_url, data, part.media_type))


async def _picture(part: Image, store: MediaReader, rules: MediaRules) -> Image:
    side = min(rules.max_side, LOW_SIDE) if part.detail == "low" else rules.max_side
    limits = side, rules.max_short, rules.max_pixels
    kept = store.ready if isinstance(store, KeepsReady) else ReadyPictures(most=0)
    ready = kept.find(part.source, limits)
    if ready is None:
        data = await store.read(part.source)
        ready = await asyncio.to_thread(_made, data, limits, f"`{part.name or part.source}`")
        kept.keep(part.source, limits, ready)
    source = ready.source
    if rules.urls and ready.as_stored and isinstance(store, Linking):
        source = await _link(part.source, store, kept) or source
    return msgspec.structs.replace(
        part, source=source, media_type=ready.media_type, width=ready.width, height=ready.height
    )


async def _link(reference: str, store: Linking, kept: ReadyPictures) -> str | None:
    url = kept.link(reference)
    if url is None:
        url = await store.link(reference, seconds=LINK)
        if url is not None:
            kept.keep_link(reference, url)
    return url


def _made(data: bytes, limits: Limits, label: str) -> Ready:
    from stretto.media.pictures import for_model  # noqa: PLC0415 (Pillow loads with the first picture)

    side, short, pixels = limits
    made = for_model(data, side, max_short=short, max_pixels=pixels, label=label)
    source = _data_url(made.data, made.media_type)
    return Ready(source, made.media_type, made.width, made.height, made.data is data)


def _data_url(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
