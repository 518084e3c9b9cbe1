"""References back to content, before a model is asked: pictures upright, bare of metadata, not too large.

Knows no model: what it can take is said by the arguments.
"""

import asyncio
import base64
from collections.abc import Iterable

import msgspec

from stretto.context import MediaReader
from stretto.errors import MediaNotFound
from stretto.media.store import is_reference
from stretto.messages import MEDIA, Audio, File, Image, Message, Part, ToolResult

LOW_SIDE = 512
"""The longest side, in pixels, of a picture that is asked for in low detail."""


async def resolve(messages: Iterable[Message], store: MediaReader, *, max_side: int = 1568) -> list[Message]:
    """The messages with data URLs in the place of references.

    Args:
        messages: After intake. Data URLs and http URLs pass as they are.
        store: Where the references are read.
        max_side: The longest side of a picture, in pixels; larger ones are scaled down.

    Raises:
        MediaNotFound: A reference is not in the store, or a source is still a path.
        DamagedMedia: Its content changed in the store.
    """
    return [
        msgspec.structs.replace(
            message, parts=tuple([await _part(p, store, max_side) for p in message.parts])
        )
        if any(isinstance(part, (*MEDIA, ToolResult)) for part in message.parts)
        else message
        for message in messages
    ]


async def _part(part: Part, store: MediaReader, max_side: int) -> Part:
    if isinstance(part, ToolResult):
        content = [
            await _medium(inner, store, max_side) if isinstance(inner, MEDIA) else inner
            for inner in part.content
        ]
        return msgspec.structs.replace(part, content=tuple(content))
    return await _medium(part, store, max_side) if isinstance(part, MEDIA) else part


async def _medium(part: Image | Audio | File, store: MediaReader, max_side: int) -> Image | Audio | File:
    if part.source[:5].lower() == "data:" or part.source.startswith(("http://", "https://")):
        return part
    if not is_reference(part.source):
        raise MediaNotFound(f"`{part.source[:200]}` was not taken in: call `take_in(message, store)` first")
    data = await store.read(part.source)
    if isinstance(part, Image):
        from stretto.media.pictures import for_model  # noqa: PLC0415 (Pillow loads with the first picture)

        side = min(max_side, LOW_SIDE) if part.detail == "low" else max_side
        ready = await asyncio.to_thread(for_model, data, side, label=f"`{part.name or part.source}`")
        part = msgspec.structs.replace(
            part, media_type=ready.media_type, width=ready.width, height=ready.height
        )
        data = ready.data
    encoded = await asyncio.to_thread(base64.b64encode, data)
    return msgspec.structs.replace(part, source=f"data:{part.media_type};base64,{encoded.decode('ascii')}")
