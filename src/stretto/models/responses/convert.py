"""Messages to items of the Responses API, and back. Knows no HTTP.

An assistant message is several items in a row: reasoning, text, tool calls, in the order of its parts. Ours
to items and back is the identity on what the API can express; items to ours and back keep every field. All
other cases are rows of the table in docs/messages_responses.md.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from stretto.errors import BadResponse, ConfigError, UnsupportedMedia
from stretto.messages import Audio, File, Image, Message, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from stretto.models.wire.convert import FILE_ID, SUFFIXES, inline, type_of

Item = dict[str, Any]

ITEM = "item"
"""In the `extra` of a text or refusal: here a message item begins, with these fields."""

ORIGIN = "origin"
"""In the `extra` of reasoning: the address that made it, the only one that can read it."""

RAW = "raw"
"""In the `extra` of reasoning: the text is the reasoning itself, not a summary of it."""

_OF_CHAT = ("function", "extra_content")
"""In the `extra` of a tool call: what Chat Completions said, and this API does not take."""

_BETWEEN = "\n\n"
"""Between two summaries of one reasoning item."""


# ---- ours to items


def to_items(messages: Iterable[Message], *, origin: str = "", reasoning: bool = False) -> list[Item]:
    """Our messages as input items.

    Args:
        messages: the conversation, media inline (data URL) or at a public URL.
        origin: the address they go to: reasoning that another made is left out.
        reasoning: send the text of reasoning that carries nothing encrypted; without it, it is dropped.

    Raises:
        MediaNotFound: a media part is a path or an unresolved `media:` reference.
        UnsupportedMedia: the API has no form for this part.
        ConfigError: a tool call stands outside an assistant message.
    """
    items: list[Item] = []
    waiting: list[Item] = []  # media that move into a user message once the results before it are complete
    for message in messages:
        if waiting and message.role != "tool":
            items.append({"role": "user", "content": waiting})
            waiting = []
        items.extend(_result(part) for part in message.parts if isinstance(part, ToolResult))
        if message.role == "assistant":
            waiting.extend(_part(part) for part in message.media)
            items.extend(_assistant(message, origin, reasoning))
        else:
            items.extend(_said(message, waiting))
    if waiting:
        items.append({"role": "user", "content": waiting})
    return items


def _said(message: Message, waiting: list[Item]) -> Iterator[Item]:
    """A system or user message. What a system message shows goes into a user message after it."""
    wrong = next((part for part in message.parts if isinstance(part, ToolCall | Refusal)), None)
    if wrong is not None:
        raise ConfigError(
            f"a {message.role} message holds a {type(wrong).__name__}; only an assistant message can"
        )
    parts = [part for part in message.parts if isinstance(part, Text | Image | Audio | File)]
    if message.role == "tool" and parts:
        waiting.extend(_part(part) for part in parts)
    elif message.role == "system":
        waiting.extend(_part(part) for part in parts if not isinstance(part, Text))
        parts = [part for part in parts if isinstance(part, Text)]
    if message.role != "tool" and (parts or not message.parts):
        yield {"role": message.role, "content": _content(parts), **message.extra}


def _content(parts: Iterable[Text | Image | Audio | File]) -> str | list[Item]:
    parts = list(parts)
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].extra:
        return parts[0].text
    return [_part(part) for part in parts]


def _assistant(message: Message, origin: str, reasoning: bool) -> Iterator[Item]:
    """The items of one answer. Reasoning that nothing follows is left out: the API refuses it."""
    parts = [part for part in message.parts if isinstance(part, Text | Refusal | ToolCall | Reasoning)]
    while parts and isinstance(parts[-1], Reasoning) and "type" not in parts[-1].extra:
        parts.pop()
    if not message.parts:
        yield {"role": "assistant", "content": ""}
    speech: list[Text | Refusal] = []
    for part in parts:
        if isinstance(part, Text | Refusal):
            if speech and ITEM in part.extra:
                yield _speech(speech)
                speech = []
            speech.append(part)
            continue
        if speech:
            yield _speech(speech)
            speech = []
        if isinstance(part, ToolCall):
            call = {"call_id": part.id, "name": part.name, "arguments": part.arguments}
            extra = {name: value for name, value in part.extra.items() if name not in _OF_CHAT}
            yield {"type": "function_call", **call, **extra}
        else:
            yield from _thought(part, origin, reasoning)
    if speech:
        yield _speech(speech)


def _speech(parts: list[Text | Refusal]) -> Item:
    """One message item of the assistant."""
    first = parts[0]
    if len(parts) == 1 and isinstance(first, Text) and not first.extra:
        return {"role": "assistant", "content": first.text}
    content: list[Item] = []
    for part in parts:
        extra = {name: value for name, value in part.extra.items() if name != ITEM}
        if isinstance(part, Refusal):
            content.append({"type": "refusal", "refusal": part.text, **extra})
        else:
            content.append({"type": "output_text", "text": part.text, "annotations": [], **extra})
    return {"type": "message", "role": "assistant", "content": content, **first.extra.get(ITEM, {})}


def _thought(part: Reasoning, origin: str, reasoning: bool) -> Iterator[Item]:
    """Reasoning, or an item of a kind we have no name for. Empty where the endpoint could not read it."""
    extra = dict(part.extra)
    if extra.pop(ORIGIN, origin) != origin:
        return
    if "type" in extra:
        yield extra
        return
    if not (extra.get("encrypted_content") or reasoning):
        return
    raw = extra.pop(RAW, not extra.get("encrypted_content"))
    said = [{"type": "reasoning_text" if raw else "summary_text", "text": part.text}] if part.text else []
    kept: Item = {"summary": [], "content" if raw else "summary": said}
    yield {"type": "reasoning", "id": "", **kept, **extra}


def _result(result: ToolResult) -> Item:
    content = _content(result.content)
    return {"type": "function_call_output", "call_id": result.call_id, "output": content, **result.extra}


def _part(part: Text | Image | Audio | File) -> Item:
    if isinstance(part, Text):
        if part.extra.get("type", "input_text") != "input_text" and not part.text:
            return part.extra  # a part of a kind we have no name for, kept whole
        return {"type": "input_text", "text": part.text, **part.extra}
    if isinstance(part, Audio):
        raise UnsupportedMedia(
            "a recording cannot be sent: the Responses API takes none; transcribe it first, or ask a model "
            "that hears through Chat Completions (the same name without `/responses`)"
        )
    held = {"file_id": part.source[len(FILE_ID) :]} if part.source.startswith(FILE_ID) else None
    if isinstance(part, Image):
        place = held or {"image_url": inline(part)}
        return {"type": "input_image", "detail": part.detail, **place, **part.extra}
    if held is None and not inline(part).startswith("data:"):
        held = {"file_url": part.source} | ({"filename": part.name} if part.name else {})
    if held is None:
        name = part.name or f"document.{SUFFIXES.get(type_of(part.source) or part.media_type, 'bin')}"
        held = {"filename": name, "file_data": part.source}
    return {"type": "input_file", **held, **part.extra}


# ---- items to ours


def from_items(items: Iterable[Mapping[str, Any]]) -> list[Message]:
    """Items as our messages; those of one answer in a row, and results in a row, become one message.

    Raises:
        BadResponse: an item is not what the protocol promises.
    """
    messages: list[Message] = []
    for item in items:
        try:
            message = _message(dict(item))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise BadResponse(
                f"an item is not what the Responses API promises ({type(error).__name__}: {error})"
            ) from None
        last = messages[-1] if messages else None
        if last is not None and last.role == message.role and message.role in ("assistant", "tool"):
            messages[-1] = Message(message.role, last.parts + message.parts)
        else:
            messages.append(message)
    return messages


def take_text(left: Item, name: str) -> str:
    """The field, taken out of `left`; raises KeyError or TypeError where it is no text."""
    value = left.pop(name)
    if not isinstance(value, str):
        raise TypeError(f"`{name}` is no text")
    return value


def _message(left: Item) -> Message:
    """One item as a message of its own. Takes what it understands out of `left`."""
    kind = left.pop("type", "message")
    if kind == "function_call":
        called, name, arguments = (take_text(left, field) for field in ("call_id", "name", "arguments"))
        return Message("assistant", (ToolCall(called, name, arguments, left),))
    if kind == "function_call_output":
        content = tuple(cast("Iterable[Text]", _parts(left.pop("output"))))
        return Message("tool", (ToolResult(take_text(left, "call_id"), content, extra=left),))
    if kind == "reasoning":
        return Message("assistant", (_reasoning(left),))
    if kind != "message":
        return Message("assistant", (Reasoning("", {"type": kind, **left}),))
    role = left.pop("role")
    content = left.pop("content")
    if role == "assistant":
        return Message("assistant", tuple(_answered(content, left)))
    if role not in ("system", "user"):
        if role != "developer":
            raise ValueError(f"role {role!r}")
        left["role"], role = role, "system"
    return Message(role, tuple(_parts(content)), extra=left)


def _answered(content: Any, left: Item) -> Iterator[Part]:
    """The parts of an assistant's message item; the fields of the item go with the first."""
    found = list(_parts(content))
    for index, part in enumerate(found):
        if not isinstance(part, Text | Refusal):
            raise ValueError(f"an answer that holds a {type(part).__name__}")
        first = {ITEM: left} if left and index == 0 else {}
        yield type(part)(part.text, {**first, **part.extra})


def _reasoning(left: Item) -> Reasoning:
    """Its text is its summary, or else the reasoning itself; what the text does not say stays in `extra`."""
    summary: list[Item] = left.get("summary") or []
    content: list[Item] = left.get("content") or []
    raw = bool(content) and not summary
    place, kind = ("content", "reasoning_text") if raw else ("summary", "summary_text")
    text = ("" if raw else _BETWEEN).join(part["text"] for part in (content if raw else summary))
    for name, said in (("summary", []), (place, [{"type": kind, "text": text}])):
        if left.get(name) == said:
            del left[name]
    if raw != (not left.get("encrypted_content")):
        left[RAW] = raw
    return Reasoning(text, left)


def _parts(content: Any) -> Iterator[Part]:
    if isinstance(content, str):
        if content:
            yield Text(content)
        return
    for part in cast("list[Item]", content):
        yield _part_from(dict(part))


def _part_from(left: Item) -> Part:
    kind = left.pop("type")
    if kind in ("input_text", "output_text"):
        if not left.get("annotations", True):
            del left["annotations"]
        return Text(take_text(left, "text"), left)
    if kind == "refusal":
        return Refusal(take_text(left, "refusal"), left)
    if kind == "input_image":
        source = left.pop("image_url", None) or FILE_ID + left.pop("file_id")
        return Image(source, type_of(source), detail=left.pop("detail", None) or "auto", extra=left)
    if kind == "input_file":
        source = left.pop("file_data", None) or left.pop("file_url", None) or FILE_ID + left.pop("file_id")
        return File(source, type_of(source), left.pop("filename", None) or "", extra=left)
    return Text("", {"type": kind, **left})
