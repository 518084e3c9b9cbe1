"""Messages to Chat Completions dicts, and back. Knows no HTTP.

Ours to the wire and back is the identity on what the wire can express; the wire to ours and back keeps
every field we have no name for, in `extra`. All other cases are rows of the table in docs/messages.md.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from stretto.errors import BadResponse, ConfigError, MediaNotFound, UnsupportedMedia
from stretto.messages import (
    Audio,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
)

Wire = dict[str, Any]

AUDIO_FORMATS = {"audio/wav": "wav", "audio/mpeg": "mp3"}
"""The two formats the wire names; any other is the part of the media type after `audio/`."""

_AUDIO_ALIASES = {"audio/x-wav": "wav", "audio/wave": "wav", "audio/vnd.wave": "wav", "audio/mp3": "mp3"}
SUFFIXES = {"application/pdf": "pdf", "text/plain": "txt", "text/markdown": "md", "text/html": "html"}
"""Of the name that a document without one gets."""

_OF_RESPONSES = ("item", "annotations")
"""In the `extra` of a text: what the Responses API said, and this wire does not take."""

FILE_ID = "file-id:"
"""`File("file-id:abc")` is a file the endpoint already holds."""


# ---- ours to the wire


def to_wire(messages: Iterable[Message], *, reasoning: bool = False) -> list[Wire]:
    """Our messages as the wire's.

    Args:
        messages: the conversation, media inline (data URL) or at a public URL.
        reasoning: send earlier reasoning as `reasoning_content`; without it, reasoning is dropped.

    Raises:
        MediaNotFound: a media part is a path or an unresolved `media:` reference.
        UnsupportedMedia: the wire has no form for this part.
        ConfigError: a tool call stands outside an assistant message.
    """
    wire: list[Wire] = []
    waiting: list[
        Wire
    ] = []  # parts that move into a user message once the tool results before it are complete
    for message in messages:
        if waiting and message.role != "tool":
            wire.append({"role": "user", "content": waiting})
            waiting = []
        for result in (part for part in message.parts if isinstance(part, ToolResult)):
            wire.append(_result(result, waiting))
        if message.role == "assistant":
            wire.append(_assistant(message, waiting, reasoning))
        elif message.role != "tool":
            wire.extend(_said(message, waiting))
        else:
            waiting.extend(_part(part) for part in _speech(message))
    if waiting:
        wire.append({"role": "user", "content": waiting})
    return wire


def _said(message: Message, waiting: list[Wire]) -> Iterator[Wire]:
    """A system or user message. What a system message shows goes into a user message after it."""
    parts = list(_speech(message))
    if message.role == "system":
        waiting.extend(_part(part) for part in parts if not isinstance(part, Text))
        parts = [part for part in parts if isinstance(part, Text)]
    if message.parts and not parts:
        return  # it held nothing that this role can say
    yield {**_head(message), "content": _content(parts), **message.extra}


def _speech(message: Message) -> Iterator[Text | Image | Audio | File]:
    """The parts that are content; refuses those that only an assistant can say."""
    for part in message.parts:
        if isinstance(part, Text | Image | Audio | File):
            yield part
        elif isinstance(part, ToolCall | Refusal) and message.role != "assistant":
            raise ConfigError(
                f"a {message.role} message holds a {type(part).__name__}; only an assistant message can"
            )


def _assistant(message: Message, waiting: list[Wire], reasoning: bool) -> Wire:
    texts = [part for part in message.parts if isinstance(part, Text)]
    waiting.extend(_part(part) for part in message.media)
    fields = _head(message)
    calls = [_call(part) for part in message.parts if isinstance(part, ToolCall)]
    refusal = [part.text for part in message.parts if isinstance(part, Refusal)]
    silent = not texts and (calls or refusal)
    fields["content"] = None if silent else _content(texts)
    if refusal:
        fields["refusal"] = "".join(refusal)
    thoughts = [part.text for part in message.parts if isinstance(part, Reasoning)]
    if reasoning and thoughts:
        fields["reasoning_content"] = "".join(thoughts)
    if calls:
        fields["tool_calls"] = calls
    return {**fields, **message.extra}


def _head(message: Message) -> Wire:
    return {"role": message.role, "name": message.name} if message.name else {"role": message.role}


def _content(parts: Sequence[Text | Image | Audio | File]) -> str | list[Wire]:
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(parts[0], Text) and not _said_here(parts[0].extra):
        return parts[0].text
    return [_part(part) for part in parts]


def _result(result: ToolResult, waiting: list[Wire]) -> Wire:
    texts = [part for part in result.content if isinstance(part, Text)]
    shown = [part for part in result.content if not isinstance(part, Text)]
    if shown:
        waiting.append({"type": "text", "text": f"Shown by the tool call {result.call_id}:"})
        waiting.extend(_part(part) for part in shown)
    content = _content(texts) if texts or not shown else "The result is shown in the next user message."
    fields: Wire = {"role": "tool", "tool_call_id": result.call_id, "content": content}
    if result.name:
        fields["name"] = result.name
    return {**fields, **result.extra}


def _call(call: ToolCall) -> Wire:
    fields: Wire = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
    return _over(fields, call.extra)


def _part(part: Text | Image | Audio | File) -> Wire:
    if isinstance(part, Text):
        if part.extra.get("type", "text") != "text" and not part.text:
            return part.extra  # a part of a kind we have no name for, kept whole
        return {"type": "text", "text": part.text, **_said_here(part.extra)}
    if isinstance(part, Image):
        picture = {"url": inline(part)} | ({} if part.detail == "auto" else {"detail": part.detail})
        return _over({"type": "image_url", "image_url": picture}, part.extra)
    if isinstance(part, Audio):
        media_type, data = _data(part)
        form = _AUDIO_ALIASES.get(media_type) or AUDIO_FORMATS.get(media_type) or media_type.split("/")[-1]
        return _over({"type": "input_audio", "input_audio": {"data": data, "format": form}}, part.extra)
    if part.source.startswith(FILE_ID):
        return _over({"type": "file", "file": {"file_id": part.source[len(FILE_ID) :]}}, part.extra)
    media_type, _ = _data(part)
    name = part.name or f"document.{SUFFIXES.get(media_type, 'bin')}"
    return _over({"type": "file", "file": {"filename": name, "file_data": part.source}}, part.extra)


def _said_here(extra: Wire) -> Wire:
    return {name: value for name, value in extra.items() if name not in _OF_RESPONSES} if extra else extra


def _over(fields: Wire, extra: Mapping[str, Any]) -> Wire:
    """`extra` put over the fields; where both hold an object under one name, the two are merged."""
    for name, value in extra.items():
        mine = fields.get(name)
        if isinstance(mine, dict) and isinstance(value, Mapping):
            value = {**cast("Wire", mine), **cast("Mapping[str, Any]", value)}
        fields[name] = value
    return fields


def inline(part: Image | Audio | File) -> str:
    """The part's source, where a model can read it; raises MediaNotFound where it cannot."""
    if part.source.startswith(("data:", "https:", "http:")):
        return part.source
    raise MediaNotFound(
        f"`{part.source[:40]}` cannot be sent: a model takes a data URL or a public URL; "
        "call `stretto.media.resolve.resolve(messages, store)` before the model"
    )


def _data(part: Audio | File) -> tuple[str, str]:
    """Media type and base64 text of a data URL."""
    head, comma, data = inline(part).partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        return head[5:-7].split(";")[0] or part.media_type, data
    raise UnsupportedMedia(
        f"{type(part).__name__} from `{part.source[:40]}` cannot be sent: Chat Completions takes recordings "
        "and documents inline only; pass it through `stretto.media.intake.take_in` and `resolve`"
    )


# ---- the wire to ours


def from_wire(wire: Iterable[Mapping[str, Any]]) -> list[Message]:
    """The wire's messages as ours; tool messages in a row become one of ours with several results.

    Raises:
        BadResponse: a message or part is not what the protocol promises.
    """
    messages: list[Message] = []
    for fields in wire:
        try:
            message = message_from_wire(fields)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise BadResponse(
                f"a message is not what Chat Completions promises ({type(error).__name__}: {error})"
            ) from None
        if message.role == "tool" and messages and messages[-1].role == "tool":
            messages[-1] = Message("tool", messages[-1].parts + message.parts)
        else:
            messages.append(message)
    return messages


def message_from_wire(fields: Mapping[str, Any]) -> Message:
    """One message of the wire as ours."""
    left = dict(fields)
    role = left.pop("role")
    if role == "tool":
        return Message("tool", (_result_from(left),))
    if role not in ("system", "user", "assistant"):
        if role != "developer":
            raise ValueError(f"role {role!r}")
        left["role"] = role
        role = "system"
    parts: list[Part] = []
    for key in ("reasoning_content", "reasoning"):
        if isinstance(left.get(key), str):
            parts.append(Reasoning(left.pop(key)))
            break
    parts.extend(_parts_from(left.pop("content", None)))
    refusal = left.pop("refusal", None)
    if refusal is not None:
        parts.append(Refusal(refusal))
    parts.extend(_call_from(call) for call in left.pop("tool_calls", None) or ())
    return Message(cast("Role", role), tuple(parts), name=left.pop("name", None) or "", extra=left)


def _result_from(left: Wire) -> ToolResult:
    content = tuple(cast("Iterable[Text]", _parts_from(left.pop("content", None))))
    return ToolResult(left.pop("tool_call_id"), content, left.pop("name", None) or "", extra=left)


def _parts_from(content: Any) -> Iterator[Part]:
    if isinstance(content, str):
        if content:
            yield Text(content)
        return
    for part in cast("list[Wire]", content or []):
        yield _part_from(dict(part))


def _part_from(left: Wire) -> Part:
    kind = left.pop("type")
    if kind == "text":
        return Text(left.pop("text"), left)
    if kind == "refusal":
        return Refusal(left.pop("refusal"), left)
    if kind == "image_url":
        inner = _take(left, kind)
        source = inner.pop("url")
        return Image(
            source, type_of(source), detail=inner.pop("detail", "auto"), extra=_rest(left, kind, inner)
        )
    if kind == "input_audio":
        inner = _take(left, kind)
        form = inner.pop("format")
        media_type = next((known for known, name in AUDIO_FORMATS.items() if name == form), f"audio/{form}")
        source = f"data:{media_type};base64,{inner.pop('data')}"
        return Audio(source, media_type, extra=_rest(left, kind, inner))
    if kind == "file":
        inner = _take(left, kind)
        source = inner.pop("file_data", None) or FILE_ID + inner.pop("file_id")
        return File(
            source, type_of(source), inner.pop("filename", None) or "", extra=_rest(left, kind, inner)
        )
    return Text("", {"type": kind, **left})


def _take(left: Wire, kind: str) -> Wire:
    return dict(cast("Wire", left.pop(kind)))


def _rest(left: Wire, kind: str, inner: Wire) -> Wire:
    return {**left, kind: inner} if inner else left


def type_of(source: str) -> str:
    """The media type of a data URL; empty for any other source."""
    return source[5:].split(",")[0].split(";")[0] if source.startswith("data:") else ""


def _call_from(call: Mapping[str, Any]) -> ToolCall:
    left = dict(call)
    if left.pop("type", "function") != "function":
        raise ValueError(f"tool calls of type {call['type']!r} are not known")
    inner = _take(left, "function")
    arguments = inner.pop("arguments", None)
    if arguments is not None and not isinstance(arguments, str):
        arguments = msgspec.json.encode(arguments).decode()  # some servers send the object itself
    return ToolCall(
        left.pop("id", None) or "", inner.pop("name"), arguments or "", extra=_rest(left, "function", inner)
    )
