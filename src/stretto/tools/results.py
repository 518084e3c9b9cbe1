"""What a tool's function returned, as parts that a model can read. Knows no run."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from stretto.errors import ToolError
from stretto.messages import Audio, File, Image, Text

MAX_TEXT = 20_000
"""Characters of text that one result may have; the rest is cut with a note."""

Content = tuple[Text | Image | Audio | File, ...]

_PARTS = (Text, Image, Audio, File)


def content_of(value: Any) -> Content:
    """The parts for a returned value.

    A text stays a text, None is "done", parts and lists of parts and texts pass, everything else is written
    as JSON: dict, list, dataclass, msgspec Struct, pydantic model, numbers.

    Raises:
        ToolError: The value is bytes, or cannot be written as JSON.
    """
    if value is None:
        return (Text("done"),)
    if isinstance(value, str):
        return bounded((Text(value),))
    if isinstance(value, _PARTS):
        return bounded((value,))
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise ToolError(
            "The tool returned bytes. Return text, or say what they are: "
            'Image.from_bytes(data, "image/png"), Audio.from_bytes(...), File.from_bytes(...).'
        )
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[Any]", value)
        if _holds_parts(items):
            return bounded(tuple(Text(item) if isinstance(item, str) else item for item in items))
    try:
        return bounded((Text(msgspec.json.encode(value, enc_hook=_encode).decode()),))
    except (TypeError, ValueError, OverflowError, RecursionError, NotImplementedError):
        raise ToolError(
            f"The tool returned a `{type(cast('object', value)).__name__}` that cannot be written as JSON. "
            "Return text, numbers, lists, dicts, dataclasses or parts."
        ) from None


def bounded(parts: Content) -> Content:
    """The parts with at most `MAX_TEXT` characters of text, and a note where text was cut."""
    total = sum(len(part.text) for part in parts if isinstance(part, Text))
    if total <= MAX_TEXT:
        return parts
    left, kept = MAX_TEXT, list[Text | Image | Audio | File]()
    for part in parts:
        if isinstance(part, Text):
            part, left = Text(part.text[:left], part.extra), max(0, left - len(part.text))
            if not part.text:
                continue
        kept.append(part)
    kept.append(Text(f"\n[cut: the first {MAX_TEXT} of {total} characters are shown]"))
    return tuple(kept)


def _holds_parts(items: Sequence[Any]) -> bool:
    return any(isinstance(item, _PARTS) for item in items) and all(
        isinstance(item, (str, *_PARTS)) for item in items
    )


def _encode(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)  # pydantic
    if callable(dump):
        return dump(mode="json")
    raise NotImplementedError
