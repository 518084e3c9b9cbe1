"""One part of a message as a content block of langchain-core, and back. Knows no message."""

import base64
import binascii
from typing import Any, cast

from stretto.messages import Audio, File, Image, Part, Reasoning, Refusal, Text

BLOCK = "langchain"
"""The key of a part's `extra` with a block as it came, where we have no part that says all of it."""

_MEDIA: dict[str, type[Image | Audio | File]] = {"image": Image, "audio": Audio, "file": File}
_FIELDS = ("name", "width", "height", "detail", "alt", "seconds", "transcript", "pages")


def to_block(part: Part) -> dict[str, Any]:
    """A text, media, reasoning or refusal part as a content block."""
    extra = dict(cast(Any, part).extra)
    as_it_came = extra.pop(BLOCK, None)
    if as_it_came is not None:
        return as_it_came
    block: dict[str, Any]
    if isinstance(part, Text):
        block = {"type": "text", "text": part.text}
    elif isinstance(part, Reasoning):
        block = {"type": "reasoning", "reasoning": part.text}
    elif isinstance(part, Refusal):
        block = {"type": "non_standard", "value": {"type": "refusal", "refusal": part.text}}
    else:
        media = cast("Image | Audio | File", part)
        block, said = _media_block(media)
        if said:
            extra = {**extra, "stretto": said}
    if extra:
        block["extras"] = extra
    return block


def from_block(block: Any) -> Part:
    """A content block as a part; one we have no part for becomes an empty text that carries it."""
    if isinstance(block, str):
        return Text(block)
    return _from_dict(cast("dict[str, Any]", block))


def _from_dict(block: dict[str, Any]) -> Part:
    kind = block.get("type")
    extra: dict[str, Any] = dict(block.get("extras") or {})
    part: Part | None = None
    if kind == "text":
        part = Text(block.get("text", ""), extra)
    elif kind == "reasoning":
        part = Reasoning(block.get("reasoning", ""), extra)
    elif kind == "non_standard" and _inside(block, "value").get("type") == "refusal":
        part = Refusal(_inside(block, "value").get("refusal", ""), extra)
    elif kind in _MEDIA and ("url" in block or "base64" in block):
        part = _media(_MEDIA[kind], block, extra)
    elif kind == "image_url" and block.get("image_url"):
        url = _inside(block, "image_url").get("url") or block["image_url"]
        part = Image(str(url), extra={BLOCK: block})
    if part is None:
        return Text("", extra={BLOCK: block})
    if BLOCK not in cast(Any, part).extra and to_block(part) != block:
        return type(cast(Any, part))(**{**part._asdict(), "extra": {BLOCK: block}})  # pyright: ignore[reportPrivateUsage]
    return part


def _inside(block: dict[str, Any], key: str) -> dict[str, Any]:
    value = block.get(key)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _media_block(part: Image | Audio | File) -> tuple[dict[str, Any], dict[str, Any]]:
    kind = next(name for name, cls in _MEDIA.items() if isinstance(part, cls))
    block: dict[str, Any] = {"type": kind}
    head, _, data = part.source.partition(";base64,")
    fits = not part.media_type or head == f"data:{part.media_type}"
    if data and fits and head.startswith("data:") and _is_base64(data):
        block |= {"base64": data, "mime_type": head.removeprefix("data:")}
    else:
        block["url"] = part.source
        if part.media_type:
            block["mime_type"] = part.media_type
    usual = type(part)("")
    said = {
        name: getattr(part, name)
        for name in _FIELDS
        if hasattr(part, name) and getattr(part, name) != getattr(usual, name)
    }
    return block, said


def _media(
    cls: type[Image | Audio | File], block: dict[str, Any], extra: dict[str, Any]
) -> Image | Audio | File:
    kind = block.get("mime_type", "")
    said: dict[str, Any] = extra.pop("stretto", None) or {}
    source = block["url"] if "url" in block else f"data:{kind};base64,{block['base64']}"
    return cls(source, media_type=kind, extra=extra, **{name: said[name] for name in said if name in _FIELDS})


def _is_base64(data: str) -> bool:
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
