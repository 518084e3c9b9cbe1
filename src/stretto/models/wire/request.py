"""One model call as the body of a Chat Completions request. Knows no HTTP and no answer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from stretto.errors import ConfigError
from stretto.messages import Message, ToolSpec
from stretto.models.output import told
from stretto.models.protocol import OutputSchema
from stretto.models.wire.convert import to_wire
from stretto.settings import ModelSettings

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")


def request_body(
    model: str,
    messages: Sequence[Message],
    *,
    tools: Sequence[ToolSpec] = (),
    schema: OutputSchema | None = None,
    settings: ModelSettings,
    json_schema: bool = True,
    reasoning: bool = False,
    max_tokens_field: str = "max_tokens",
) -> dict[str, Any]:
    """The body of a streamed call.

    `settings.extra` is put over it; a field that is None there is left out of the body.

    Args:
        model: the endpoint's name for the model.
        messages: the conversation.
        tools: what it may call.
        schema: what the answer has to fit.
        settings: how it is asked.
        json_schema: the endpoint holds a model to a schema; where not, the schema stands in the instructions.
        reasoning: send earlier reasoning back.
        max_tokens_field: the endpoint's name for the limit of output tokens.

    Raises:
        ConfigError: `tool_choice` names a tool that is not among `tools`.
        MediaError: a part that cannot be sent.
    """
    if schema is not None and not json_schema:
        messages, schema = told(messages, schema), None
    body: dict[str, Any] = {
        "model": model,
        "messages": to_wire(messages, reasoning=reasoning),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if tools:
        body["tools"] = [_tool(tool) for tool in tools]
        if settings.tool_choice is not None:
            body["tool_choice"] = _choice(settings.tool_choice, tools)
    if schema is not None:
        body["response_format"] = _format(schema)
    for name in ("temperature", "top_p", "seed"):
        value = getattr(settings, name)
        if value is not None:
            body[name] = value
    if settings.max_tokens is not None:
        body[max_tokens_field] = settings.max_tokens
    if settings.stop:
        body["stop"] = list(settings.stop)
    return _with_extra(body, settings.extra) if settings.extra else body


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _choice(choice: str, tools: Sequence[ToolSpec]) -> Any:
    if choice in ("auto", "none", "required"):
        return choice
    names = [tool.name for tool in tools]
    if choice not in names:
        raise ConfigError(
            f"tool_choice is `{choice}`; allowed are auto, none, required and the tools {', '.join(names)}"
        )
    return {"type": "function", "function": {"name": choice}}


def _format(schema: OutputSchema) -> dict[str, Any]:
    name = _NOT_IN_A_NAME.sub("_", schema.name)[:64] or "output"
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "schema": schema.schema, "strict": schema.strict},
    }


def _with_extra(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**body, **extra}.items() if value is not None}
