"""One model call as the body of a Chat Completions request. Knows no HTTP and no answer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from stretto.errors import ConfigError
from stretto.messages import Message, ToolSpec
from stretto.models.output import told
from stretto.models.protocol import OutputSchema
from stretto.models.providers import Usual
from stretto.models.wire.convert import to_wire
from stretto.settings import ModelSettings

_USUAL = Usual()
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")


def request_body(
    model: str,
    messages: Sequence[Message],
    *,
    tools: Sequence[ToolSpec] = (),
    schema: OutputSchema | None = None,
    settings: ModelSettings,
    usual: Usual = _USUAL,
    prefill: bool = False,
    json_schema: bool = True,
) -> dict[str, Any]:
    """The body of a streamed call.

    `settings.extra` is put over it; a field that is None there is left out of the body.

    Args:
        model: the endpoint's name for the model.
        messages: the conversation.
        tools: what it may call.
        schema: what the answer has to fit.
        settings: how it is asked.
        usual: what its provider calls things, and whether it wants earlier reasoning back.
        prefill: the model goes on with an assistant message that stands last.
        json_schema: the endpoint holds a model to a schema; where not, the schema stands in the instructions.

    Raises:
        ConfigError: `tool_choice` names a tool that is not among `tools`.
        MediaError: a part that cannot be sent.
    """
    if schema is not None and not json_schema:
        messages, schema = told(messages, schema), None
    body: dict[str, Any] = {
        "model": model,
        "messages": to_wire(messages, reasoning=usual.reasoning),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if tools:
        body["tools"] = [_tool(tool) for tool in tools]
        if settings.tool_choice is not None:
            choice = checked_choice(settings.tool_choice, tools)
            named = choice not in ("auto", "none", "required")
            body["tool_choice"] = {"type": "function", "function": {"name": choice}} if named else choice
    if schema is not None:
        body["response_format"] = _format(schema)
    for name in ("temperature", "top_p", "seed"):
        value = getattr(settings, name)
        if value is not None:
            body[name] = value
    if settings.max_tokens is not None:
        body[usual.max_tokens_field] = settings.max_tokens
    if settings.stop:
        body["stop"] = list(settings.stop)
    if prefill and usual.prefill and messages and messages[-1].role == "assistant":
        body.update(usual.prefill)
    return _with_extra(body, settings.extra) if settings.extra else body


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def checked_choice(choice: str, tools: Sequence[ToolSpec]) -> str:
    """`choice`; raises ConfigError where it names a tool that is not among `tools`."""
    if choice in ("auto", "none", "required"):
        return choice
    names = [tool.name for tool in tools]
    if choice not in names:
        raise ConfigError(
            f"tool_choice is `{choice}`; allowed are auto, none, required and the tools {', '.join(names)}"
        )
    return choice


def schema_name(schema: OutputSchema) -> str:
    """The schema's name as endpoints take it: letters, digits, `_` and `-`, 64 at most."""
    return _NOT_IN_A_NAME.sub("_", schema.name)[:64] or "output"


def _format(schema: OutputSchema) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": schema_name(schema), "schema": schema.schema, "strict": schema.strict},
    }


def _with_extra(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**body, **extra}.items() if value is not None}
