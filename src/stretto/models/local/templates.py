"""What a local model is told: our messages as plain chat turns, tools as text, a choice of tool as a schema.

Knows no process. The words here were chosen by measurement on a 0.5B model.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from stretto.errors import BadRequest
from stretto.messages import Audio, File, Image, Message, Refusal, Text, ToolCall, ToolResult, ToolSpec

Turn = dict[str, str]
"""`role` and `content`, as a chat template takes them."""

NO_TOOL = "none"
"""The choice that is no tool."""

_MARK = re.compile(r"<\|(?=\w+\|>)")


def turns(messages: Sequence[Message]) -> list[Turn]:
    """The conversation as turns of text; a tool's result stands under the question that led to it.

    The calls themselves are not told as turns: shown its own call, a small model writes it again instead of
    an answer. Neighbours of one role become one turn, since some templates want roles to alternate.
    """
    result: list[Turn] = []
    calls = {call.id: call for message in messages for call in message.tool_calls}
    for message in messages:
        role = "user" if message.role == "tool" else message.role
        text = "\n".join(filter(None, (_text(part, calls) for part in message.parts)))
        text = _MARK.sub("< |", text)
        if not text and message.tool_calls:
            continue
        if result and result[-1]["role"] == role:
            result[-1] = {"role": role, "content": f"{result[-1]['content']}\n\n{text}"}
        else:
            result.append({"role": role, "content": text})
    return result


def _text(part: Any, calls: Mapping[str, ToolCall]) -> str:
    match part:
        case Text(text) | Refusal(text):
            return text
        case Image():
            if part.source.startswith("media:"):
                raise BadRequest(
                    f"the picture `{part.source[:20]}...` was not resolved before the model call"
                )
            return f"[picture: {part.alt}]" if part.alt else "[picture]"
        case Audio():
            return f"[recording: {part.transcript}]" if part.transcript else "[recording]"
        case File():
            return f"[file: {part.name}]" if part.name else "[file]"
        case ToolResult():
            call = calls.get(part.call_id)
            name = f"{call.name}({call.arguments})" if call else part.name or "the tool"
            said = "\n".join(filter(None, (_text(inner, calls) for inner in part.content)))
            return f"{name} {'failed' if part.is_error else 'returned'}: {said}"
        case _:
            return ""  # calls are told with their results; reasoning is not told again


def with_tools(said: list[Turn], tools: Sequence[ToolSpec]) -> list[Turn]:
    """The turns with the tools described at the end of the system turn, where the prefix cache keeps them."""
    listed = "\n".join(_described(tool) for tool in tools)
    about = f"You have these tools:\n{listed}"
    if said and said[0]["role"] == "system":
        return [{"role": "system", "content": f"{said[0]['content']}\n\n{about}"}, *said[1:]]
    return [{"role": "system", "content": about}, *said]


def asking_for_choice(said: list[Turn], *, may_answer: bool) -> list[Turn]:
    """The turns, with the question which tool is right put under the last one."""
    question = _MAY if may_answer else _MUST
    if said and said[-1]["role"] == "user":
        return [*said[:-1], {"role": "user", "content": f"{said[-1]['content']}\n\n{question}"}]
    return [*said, {"role": "user", "content": question}]


_MAY = (
    "Which tool does exactly this? Reply in JSON with `tool` and `arguments`. "
    'If no tool fits, or the answer is already here, reply {"tool": "none"}.'
)
_MUST = "Which tool does this? Reply in JSON with `tool` and `arguments`."


def choice_schema(tools: Sequence[ToolSpec], *, may_answer: bool) -> dict[str, Any]:
    """What a choice looks like: one shape a tool, with its own arguments, and one for none."""
    shapes: list[dict[str, Any]] = []
    definitions: dict[str, Any] = {}
    for number, tool in enumerate(tools):
        arguments = _own_definitions(tool.parameters, f"{number}.")
        definitions.update(arguments.pop("$defs", {}))
        arguments.setdefault("properties", {})
        shapes.append(_shape(tool=tool.name, arguments=arguments))
    if may_answer:
        shapes.append(_shape(tool=NO_TOOL))
    return {"anyOf": shapes, "$defs": definitions}


def _own_definitions(parameters: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The parameters with their `$defs` renamed, so that two tools may each define a name."""
    if "$defs" not in parameters:
        return dict(parameters)
    moved = json.dumps(parameters).replace('"#/$defs/', f'"#/$defs/{prefix}')
    result: dict[str, Any] = json.loads(moved)
    result["$defs"] = {prefix + name: value for name, value in result["$defs"].items()}
    return result


def _shape(*, tool: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
    properties: dict[str, Any] = {"tool": {"const": tool}}
    if arguments is not None:
        properties["arguments"] = {**arguments, "type": "object"}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _described(tool: ToolSpec) -> str:
    properties = cast("Mapping[str, Any]", tool.parameters.get("properties", {}))
    required = cast("Sequence[str]", tool.parameters.get("required", ()))
    names = [f"{name}{'' if name in required else '?'}: {_kind(p)}" for name, p in properties.items()]
    lines = [f"- {tool.name}({', '.join(names)}): {tool.description}"]
    for name, about in properties.items():
        if isinstance(about, Mapping) and "description" in about:
            lines.append(f"    {name}: {about['description']}")
    return "\n".join(lines)


def _kind(about: Any) -> str:
    if not isinstance(about, Mapping):
        return "any"
    found = cast("Mapping[str, Any]", about)
    if "enum" in found:
        return " | ".join(json.dumps(value) for value in found["enum"])
    kind: Any = found.get("type", "any")
    if isinstance(kind, list):
        kind = " | ".join(map(str, cast("list[Any]", kind)))
    return f"array of {_kind(found['items'])}" if kind == "array" and "items" in found else str(kind)
