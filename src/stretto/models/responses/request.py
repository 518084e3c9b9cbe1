"""One model call as the body of a Responses request. Knows no HTTP and no answer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from stretto.errors import ConfigError
from stretto.messages import Message, ToolSpec
from stretto.models.protocol import OutputSchema
from stretto.models.responses.convert import to_items
from stretto.models.wire.request import checked_choice, schema_name
from stretto.settings import ModelSettings

_REASONS = re.compile(r"(^|/)(o\d|gpt-([5-9]|\d\d)|codex)(?!.*-chat)")
"""Names of models that reason; others refuse a call that asks for encrypted reasoning."""


def request_body(
    model: str,
    messages: Sequence[Message],
    *,
    tools: Sequence[ToolSpec] = (),
    schema: OutputSchema | None = None,
    settings: ModelSettings,
    origin: str = "",
    reasoning: bool = False,
) -> dict[str, Any]:
    """The body of a streamed call, of which the endpoint stores nothing.

    `settings.extra` is put over it: objects are merged, its `tools` and `include` stand beside those that
    are there, and a field that is None is left out. `settings.seed` has no field in this API and is not sent.

    Args:
        model: the endpoint's name for the model.
        messages: the conversation.
        tools: what it may call.
        schema: what the answer has to fit.
        settings: how it is asked.
        origin: the address it goes to; reasoning that another made is left out.
        reasoning: send the text of earlier reasoning back.

    Raises:
        ConfigError: `tool_choice` names a tool that is not among `tools`, or `stop` is set.
        MediaError: a part that cannot be sent.
    """
    if settings.stop:
        raise ConfigError(
            f"the Responses API has no stop texts, and `stop` is {list(settings.stop)}: take it out, or ask "
            f"`{model}` through Chat Completions (the same name without `/responses`)"
        )
    items = to_items(messages, origin=origin, reasoning=reasoning)
    body: dict[str, Any] = {"model": model}
    if items and items[0] == {"role": "system", "content": messages[0].text}:
        body["instructions"] = items.pop(0)["content"]
    body |= {"input": items, "stream": True, "store": False}
    if _REASONS.search(model.lower()) or settings.extra.get("reasoning"):
        body["include"] = ["reasoning.encrypted_content"]
    if tools:
        body["tools"] = [_tool(tool) for tool in tools]
        if settings.tool_choice is not None:
            choice = checked_choice(settings.tool_choice, tools)
            named = choice not in ("auto", "none", "required")
            body["tool_choice"] = {"type": "function", "name": choice} if named else choice
    if schema is not None:
        fields = {"name": schema_name(schema), "schema": schema.schema, "strict": schema.strict}
        body["text"] = {"format": {"type": "json_schema", **fields}}
    for name in ("temperature", "top_p"):
        value = getattr(settings, name)
        if value is not None:
            body[name] = value
    if settings.max_tokens is not None:
        body["max_output_tokens"] = settings.max_tokens
    return _with_extra(body, settings.extra) if settings.extra else body


def _tool(tool: ToolSpec) -> dict[str, Any]:
    # `strict` is true where it is not said, and then most schemas are refused
    fields = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", **fields, "strict": False}


def _with_extra(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(body)
    for name, value in extra.items():
        mine = body.get(name)
        if isinstance(mine, dict) and isinstance(value, Mapping):
            value = {**cast("dict[str, Any]", mine), **cast("Mapping[str, Any]", value)}
        elif isinstance(mine, list) and name in ("tools", "include") and value is not None:
            value = [*cast("list[Any]", mine), *(given for given in value if given not in mine)]
        merged[name] = value
    return {name: value for name, value in merged.items() if value is not None}
