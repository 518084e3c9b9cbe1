"""What an endpoint of the Responses API reads and writes, for `ChatServer`. Opens no socket.

The other half of `stretto.models.responses`, written apart from it so that one can test the other.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import msgspec

from stretto.messages import Message, Reasoning, Refusal, Text, ToolCall, ToolSpec
from stretto.models.protocol import OutputSchema
from stretto.models.responses.convert import from_items
from stretto.settings import ModelSettings
from stretto.testing.completions import Completion, split_in
from stretto.testing.faults import Fault
from stretto.testing.scripted import Request, tokens_of

_EMPTY: dict[str, dict[str, Any]] = {
    "function_call": {"arguments": ""},
    "message": {"content": []},
    "reasoning": {"summary": []},
}
"""An item as it begins, by its type."""


def read_request(body: Mapping[str, Any]) -> Request:
    """The body of a call as a `Request`."""
    functions = [tool for tool in body.get("tools", ()) if tool["type"] == "function"]
    tools = tuple(ToolSpec(f["name"], f.get("description", ""), f.get("parameters", {})) for f in functions)
    schema = None
    text: Mapping[str, Any] = body.get("text") or {}
    wanted: Mapping[str, Any] = text.get("format") or {}
    if wanted.get("type") == "json_schema":
        schema = OutputSchema(wanted["name"], wanted["schema"], wanted.get("strict", False))
    choice: Any = body.get("tool_choice")
    settings = ModelSettings(
        temperature=body.get("temperature"),
        max_tokens=body.get("max_output_tokens"),
        top_p=body.get("top_p"),
        tool_choice=choice if choice is None or isinstance(choice, str) else choice["name"],
    )
    said = body["input"]
    messages = [Message.user(said)] if isinstance(said, str) else from_items(said)
    if body.get("instructions") is not None:
        messages.insert(0, Message.system(body["instructions"]))
    return Request(tuple(messages), tools, schema, settings)


def items_of(message: Message) -> list[dict[str, Any]]:
    """The message as output items: texts and refusals that stand together are one."""
    items: list[dict[str, Any]] = []
    number = count()
    for part in message.parts:
        if isinstance(part, Text | Refusal):
            if not items or items[-1]["type"] != "message":
                head = {"type": "message", "id": f"msg_{next(number)}", "role": "assistant"}
                items.append({**head, "status": "completed", "content": []})
            said: dict[str, Any] = {"type": "refusal", "refusal": part.text}
            if isinstance(part, Text):
                said = {"type": "output_text", "text": part.text, "annotations": [], "logprobs": []}
            items[-1]["content"].append(said)
        elif isinstance(part, Reasoning):
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            fields = {"id": f"rs_{next(number)}", "summary": summary, "encrypted_content": None}
            items.append({"type": "reasoning", **fields, **part.extra})
        elif isinstance(part, ToolCall):
            fields = {"call_id": part.id, "name": part.name, "arguments": part.arguments}
            head = {"type": "function_call", "id": f"fc_{next(number)}", "status": "completed"}
            items.append({**head, **fields})
    return items


def response_of(completion: Completion, status: str = "") -> dict[str, Any]:
    """The answer as one object; with `status="in_progress"` as it is before its first item."""
    cut = completion.finish in ("length", "content_filter")
    reason = "max_output_tokens" if completion.finish == "length" else completion.finish
    begun = status == "in_progress"
    details = {"input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}
    details |= {"output_tokens_details": {"reasoning_tokens": 0}}
    tokens = {"input_tokens": completion.read, "output_tokens": completion.written}
    usage = {**tokens, **details, "total_tokens": completion.read + completion.written}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 0,
        "status": status or ("incomplete" if cut else "completed"),
        "error": None,
        "incomplete_details": {"reason": reason} if cut and not begun else None,
        "model": completion.model,
        "output": [] if begun else items_of(completion.message),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None if begun else usage,
    }


def events_of(completion: Completion, *, chunks: int | None, usage: bool = True) -> Iterator[bytes]:
    """The events of a streamed answer, numbered, the whole response last. `usage` is always said."""
    number = count()

    def event(kind: str, **fields: Any) -> bytes:
        return event_of({"type": f"response.{kind}", "sequence_number": next(number), **fields})

    begun = response_of(completion, "in_progress")
    yield event("created", response=begun)
    yield event("in_progress", response=begun)
    whole = response_of(completion)
    for index, item in enumerate(whole["output"]):
        added = {**item, **_EMPTY.get(item["type"], {})}
        yield event("output_item.added", output_index=index, item=added)
        for kind, fields in _inside(item, chunks):
            yield event(kind, item_id=item["id"], output_index=index, **fields)
        yield event("output_item.done", output_index=index, item=item)
    yield event(whole["status"], response=whole)


def _inside(item: dict[str, Any], chunks: int | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is streamed of one item, between its beginning and its end."""
    if item["type"] == "function_call":
        for token in tokens_of(item["arguments"]):
            yield "function_call_arguments.delta", {"delta": token}
        done = {"arguments": item["arguments"], "name": item["name"]}
        yield "function_call_arguments.done", done
    for index, part in enumerate(item.get("summary", ())):
        at = {"summary_index": index}
        yield "reasoning_summary_part.added", {**at, "part": {**part, "text": ""}}
        for token in tokens_of(part["text"]):
            yield "reasoning_summary_text.delta", {**at, "delta": token}
        yield "reasoning_summary_text.done", {**at, "text": part["text"]}
        yield "reasoning_summary_part.done", {**at, "part": part}
    for index, part in enumerate(item.get("content", ())):
        at = {"content_index": index}
        if part["type"] == "reasoning_text":
            yield from (("reasoning_text.delta", {**at, "delta": t}) for t in tokens_of(part["text"]))
            continue
        place, name = ("text", "output_text") if part["type"] == "output_text" else ("refusal", "refusal")
        more: dict[str, Any] = {"logprobs": []} if place == "text" else {}
        text = part[place]
        yield "content_part.added", {**at, "part": {**part, place: ""}}
        for token in tokens_of(text) if chunks is None or place == "refusal" else split_in(text, chunks):
            yield f"{name}.delta", {**at, **more, "delta": token}
        yield f"{name}.done", {**at, **more, place: text}
        yield "content_part.done", {**at, "part": part}


def event_of(event: Mapping[str, Any]) -> bytes:
    """One event of the stream."""
    name = str(event.get("type", "message")).encode()
    return b"event: " + name + b"\ndata: " + msgspec.json.encode(event) + b"\n\n"


EMPTY = event_of({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": ""})
"""An event without content."""


def broken(events: Sequence[bytes], fault: Fault) -> list[bytes]:
    """The events up to the fault, with what it says in their place."""
    kept: list[bytes] = []
    left = fault.after
    for event in events:
        left -= _brings_content(event)
        if left < 0:
            break
        kept.append(event)
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0}
    if fault.kind == "malformed":
        kept.append(b'data: {"type": "response.output_text.delta", "delta": "cut of\n\n')
    elif fault.kind == "shapeless":
        kept.append(event_of({"object": "chat.completion.chunk"}))
    elif fault.kind == "misshaped":
        kept.append(event_of({**delta, "delta": {"content": "no text"}}))
    elif fault.kind == "error":
        code = {429: "rate_limit_exceeded", 503: "server_error"}.get(fault.status, str(fault.status))
        said = {"type": "error", "code": code, "message": fault.message, "param": None}
        kept.append(event_of({**said, "sequence_number": len(kept)}))
    return kept


def _brings_content(event: bytes) -> bool:
    name = event.partition(b"\n")[0]
    return name.endswith(b".delta") or (name.endswith(b"item.added") and b'"function_call"' in event)
