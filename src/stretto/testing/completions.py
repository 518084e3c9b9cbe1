"""What an endpoint of Chat Completions reads and writes, for `ChatServer`. Opens no socket.

The other half of `stretto.models.wire`, written apart from it so that one can test the other.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import msgspec

from stretto.errors import BadRequest, ContextOverflow, ModelError, RateLimited
from stretto.messages import Message, Reasoning, Refusal, Text, ToolCall, ToolSpec
from stretto.models.protocol import FinishReason, OutputSchema
from stretto.models.wire.convert import from_wire
from stretto.settings import ModelSettings
from stretto.testing.scripted import Request, tokens_of


class Completion(msgspec.Struct):
    """An answer with all that its rendering needs."""

    message: Message
    finish: FinishReason
    read: int
    written: int
    model: str
    cached: int | None = None
    """Of the tokens read, those that were in a cache; None where there is none."""

    def usage(self) -> dict[str, Any]:
        """Tokens as the wire counts them."""
        details = {} if self.cached is None else {"prompt_tokens_details": {"cached_tokens": self.cached}}
        return {
            "prompt_tokens": self.read,
            "completion_tokens": self.written,
            "total_tokens": self.read + self.written,
            **details,
        }


def read_request(body: Mapping[str, Any]) -> Request:
    """The body of a call as a `Request`."""
    functions = [tool["function"] for tool in body.get("tools", ())]
    tools = tuple(ToolSpec(f["name"], f.get("description", ""), f.get("parameters", {})) for f in functions)
    schema = None
    wanted: Mapping[str, Any] = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        inner = wanted["json_schema"]
        schema = OutputSchema(inner["name"], inner["schema"], inner.get("strict", False))
    choice: Any = body.get("tool_choice")
    settings = ModelSettings(
        temperature=body.get("temperature"),
        max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
        top_p=body.get("top_p"),
        seed=body.get("seed"),
        stop=tuple(body.get("stop") or ()),
        tool_choice=choice if choice is None or isinstance(choice, str) else choice["function"]["name"],
    )
    return Request(tuple(from_wire(body["messages"])), tools, schema, settings)


def deltas_of(message: Message, chunks: int | None) -> Iterator[dict[str, Any]]:
    """The message as deltas: a token each, or its text in exactly `chunks` of them."""
    yield {"role": "assistant", "content": ""}
    index = 0
    for part in message.parts:
        if isinstance(part, Text):
            tokens = tokens_of(part.text) if chunks is None else split_in(part.text, chunks)
            yield from ({"content": token} for token in tokens)
        elif isinstance(part, Reasoning):
            yield from ({"reasoning_content": token} for token in tokens_of(part.text))
        elif isinstance(part, Refusal):
            yield from ({"refusal": token} for token in tokens_of(part.text))
        elif isinstance(part, ToolCall):
            function = {"name": part.name, "arguments": ""}
            yield {"tool_calls": [{"index": index, "id": part.id, "type": "function", "function": function}]}
            for token in tokens_of(part.arguments):
                yield {"tool_calls": [{"index": index, "function": {"arguments": token}}]}
            index += 1


def split_in(text: str, chunks: int) -> list[str]:
    """`text` in exactly `chunks` parts."""
    tokens = tokens_of(text)
    if len(tokens) < chunks:
        tokens = list(text)
    edges = [round(i * len(tokens) / chunks) for i in range(chunks + 1)]
    return ["".join(tokens[a:b]) for a, b in pairwise(edges)]


def event_of(content: Any) -> bytes:
    """One event of the stream."""
    return b"data: " + msgspec.json.encode(content) + b"\n\n"


def events_of(completion: Completion, *, chunks: int | None, usage: bool) -> Iterator[bytes]:
    """The events of a streamed answer, `[DONE]` last."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": completion.model}

    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return event_of({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    for delta in deltas_of(completion.message, chunks):
        yield event(delta)
    yield event({}, completion.finish)
    if usage:
        yield event_of({**head, "choices": [], "usage": completion.usage()})
    yield b"data: [DONE]\n\n"


def whole_of(completion: Completion) -> dict[str, Any]:
    """The answer as one object."""
    message = completion.message
    fields: dict[str, Any] = {"role": "assistant", "content": message.text or None, "refusal": None}
    refusals = [part.text for part in message.parts if isinstance(part, Refusal)]
    thoughts = [part.text for part in message.parts if isinstance(part, Reasoning)]
    if refusals:
        fields["refusal"] = "".join(refusals)
    if thoughts:
        fields["reasoning_content"] = "".join(thoughts)
    if message.tool_calls:
        fields["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": completion.model,
        "choices": [{"index": 0, "message": fields, "finish_reason": completion.finish}],
        "usage": completion.usage(),
    }


def status_of(error: BaseException) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and body that say `error` on the wire."""
    code, headers, status = "server_error", dict[str, str](), 500
    if isinstance(error, RateLimited):
        status, code = 429, "rate_limit_exceeded"
        if error.retry_after is not None:
            headers["Retry-After"] = f"{error.retry_after:g}"
    elif isinstance(error, ContextOverflow):
        status, code = 400, "context_length_exceeded"
    elif isinstance(error, BadRequest):
        status, code = error.status, "invalid_request_error"
    elif isinstance(error, ModelError):
        status = 503
    return status, headers, {"error": {"message": str(error), "type": code, "code": code}}


def vector_of(text: str, dimensions: int) -> list[float]:
    """A vector that is near for texts which share words. Not of length 1."""
    vector = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()):
        digest = hashlib.sha256(word.encode()).digest()
        vector[int.from_bytes(digest[:4], "big") % dimensions] += 1.0 + digest[4] / 255
    return vector
