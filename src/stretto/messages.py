"""Messages and their typed parts: the words of a conversation. Knows no wire and no model.

A media part's `source` is a path, a URL, a data URL, or, once taken in, a reference `media:<sha256>`.
`extra` keeps the fields of a wire that we have no name for.
"""

import base64
from collections.abc import Iterable
from typing import Any, Literal, Self

import msgspec

from stretto._internal.plain import Plain

Role = Literal["system", "user", "assistant", "tool"]
"""system: instructions; user: the person; assistant: the model; tool: results of tool calls."""


class Text(Plain, frozen=True, tag_field="type", tag="text"):
    """Plain text."""

    text: str
    extra: dict[str, Any] = {}


class _Media(Plain, frozen=True):
    source: str
    media_type: str = ""
    name: str = ""
    extra: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if not isinstance(self.source, str):  # pyright: ignore[reportUnnecessaryIsInstance] (a Path at run time)
            msgspec.structs.force_setattr(self, "source", str(self.source))

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str, *, name: str = "") -> Self:
        """A part that carries `data` as a data URL, until intake turns it into a reference."""
        encoded = base64.b64encode(data).decode("ascii")
        return cls(source=f"data:{media_type};base64,{encoded}", media_type=media_type, name=name)


class Image(_Media, frozen=True, tag_field="type", tag="image"):
    """A picture. Sizes are pixels after orientation, 0 where not known yet."""

    width: int = 0
    height: int = 0
    detail: Literal["auto", "low", "high"] = "auto"
    alt: str = ""
    """What it shows, in words, where that is known."""


class Audio(_Media, frozen=True, tag_field="type", tag="audio"):
    """A recording. `seconds` is 0 where not known yet."""

    seconds: float = 0.0
    transcript: str = ""


class File(_Media, frozen=True, tag_field="type", tag="file"):
    """A document. `pages` is 0 where not known yet."""

    pages: int = 0


class ToolCall(Plain, frozen=True, tag_field="type", tag="tool_call"):
    """The model asks for a tool. `arguments` is the JSON text exactly as the model wrote it."""

    id: str
    name: str
    arguments: str = "{}"
    extra: dict[str, Any] = {}


class ToolSpec(Plain, frozen=True):
    """A tool as a model sees it. `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


class Reasoning(Plain, frozen=True, tag_field="type", tag="reasoning"):
    """What the model thought aloud."""

    text: str
    extra: dict[str, Any] = {}


class Refusal(Plain, frozen=True, tag_field="type", tag="refusal"):
    """The model declines to answer."""

    text: str
    extra: dict[str, Any] = {}


class ToolResult(Plain, frozen=True, tag_field="type", tag="tool_result"):
    """The answer to one tool call."""

    call_id: str
    content: "tuple[Text | Image | Audio | File, ...]" = ()
    name: str = ""
    is_error: bool = False
    extra: dict[str, Any] = {}

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "content", _parts(self.content))

    @property
    def text(self) -> str:
        """All text of the content, joined."""
        return "".join(part.text for part in self.content if isinstance(part, Text))


Part = Text | Image | Audio | File | ToolCall | ToolResult | Reasoning | Refusal
"""The closed union of what a message can hold."""

MEDIA = (Image, Audio, File)
"""The parts that carry a `source`."""


def _parts(content: Any) -> tuple[Any, ...]:
    if isinstance(content, str):
        return (Text(content),)
    if isinstance(content, Plain):
        return (content,)
    return tuple(Text(item) if isinstance(item, str) else item for item in content)


class Message(Plain, frozen=True):
    """One message: a role and its parts. `Message("user", "hello")` and a list of texts and parts work."""

    role: Role
    parts: tuple[Part, ...] = ()
    id: str = ""
    name: str = ""
    extra: dict[str, Any] = {}

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "parts", _parts(self.parts))

    @classmethod
    def system(cls, *content: str | Part) -> "Message":
        """Instructions to the model."""
        return cls("system", _parts(content))

    @classmethod
    def user(cls, *content: str | Part) -> "Message":
        """What the person says and shows."""
        return cls("user", _parts(content))

    @classmethod
    def assistant(cls, *content: str | Part) -> "Message":
        """What the model says, and which tools it calls."""
        return cls("assistant", _parts(content))

    @classmethod
    def tool(cls, *results: ToolResult) -> "Message":
        """The results of tool calls."""
        return cls("tool", results)

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tools this message asks for, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))

    @property
    def media(self) -> tuple[Image | Audio | File, ...]:
        """The pictures, recordings and documents, in order."""
        return tuple(part for part in self.parts if isinstance(part, MEDIA))


def as_message(question: "str | Part | Message | Iterable[str | Part]") -> Message:
    """What a user passes to `run`, as one user message."""
    return question if isinstance(question, Message) else Message("user", _parts(question))
