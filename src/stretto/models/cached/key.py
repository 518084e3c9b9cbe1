"""When two calls are the same: a sha256 of everything that makes an answer what it is. Keeps nothing.

Left out are the ids of messages and of tool calls, which differ each time and say nothing, and the deadlines.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from stretto.messages import Message, Part, ToolCall, ToolResult, ToolSpec
from stretto.models.protocol import OutputSchema
from stretto.settings import ModelSettings

_encode = msgspec.json.Encoder(order="sorted").encode
_DEADLINES = {"timeout": 0.0, "first_token": None, "idle": None}


def key_of(
    scope: Sequence[str],
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    schema: OutputSchema | None,
    settings: ModelSettings | None,
) -> str:
    """The key of one call.

    Args:
        scope: Tenant, model, and whatever else sets calls apart.
        messages: The conversation.
        tools: What may be called.
        schema: What the answer has to fit.
        settings: How the model is asked.
    """
    asked = msgspec.structs.replace(settings or ModelSettings(), **_DEADLINES)
    names: dict[str, str] = {}
    said = [
        (message.role, message.name, message.extra, [_part(part, names) for part in message.parts])
        for message in messages
    ]
    return hashlib.sha256(_encode([list(scope), said, tools, schema, asked])).hexdigest()


def _part(part: Part, names: dict[str, str]) -> Any:
    """A part, with the id of a tool call replaced by its number in the conversation."""
    if isinstance(part, ToolCall):
        return msgspec.structs.replace(part, id=names.setdefault(part.id, str(len(names))))
    if isinstance(part, ToolResult):
        return msgspec.structs.replace(part, call_id=names.setdefault(part.call_id, str(len(names))))
    return part
