"""Our messages as langchain-core's and back, so that nodes written for langgraph work on our conversations.

What one side cannot say is in docs/messages_langchain.md, row by row. Knows no wire.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from stretto.context import RunContext
from stretto.errors import GraphError
from stretto.graph.body import function_body, runnable_body
from stretto.graph.ground import Command, Runnable
from stretto.graph.langchain_blocks import from_block, to_block
from stretto.messages import Message, Part, Role, ToolCall, ToolResult

KEPT = "langchain"
"""The key of `extra` with what only langchain-core has a name for."""
OURS = "stretto"
"""The key of `additional_kwargs` with what only we have a name for."""

_ROLES: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "ai": "assistant",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}
_CLASSES: dict[str, type[BaseMessage]] = {
    "user": HumanMessage,
    "assistant": AIMessage,
    "system": SystemMessage,
}


def to_langchain(messages: Iterable[Message]) -> list[BaseMessage]:
    """Our messages as those of langchain-core; one with several tool results becomes several."""
    return [out for message in messages for out in _out(message)]


def from_langchain(messages: Iterable[BaseMessage]) -> list[Message]:
    """Messages of langchain-core as ours.

    Raises:
        GraphError: One of them is no message but a change of the list (`RemoveMessage`).
    """
    return [_in(message) for message in messages]


def langchain_node(node: Any) -> Callable[[Any, RunContext], Awaitable[Any]]:
    """A node, Runnable or langgraph graph that speaks langchain-core's messages, as one that speaks ours.

    Its `messages` are converted on the way in, and those it returns on the way out; other keys pass.
    """
    body = runnable_body(cast(Any, node)) if isinstance(node, Runnable) else function_body(node)

    async def converted(state: Mapping[str, Any], config: Any, ctx: RunContext) -> Any:
        given = list(state.get("messages", ()))
        result = await body({**state, "messages": to_langchain(given)}, ctx, config)
        if isinstance(result, Command):
            changed: Any = result
            return type(changed)(
                graph=changed.graph,
                update=_update(changed.update, given),
                resume=changed.resume,
                goto=changed.goto,
            )
        return _update(result, given)

    return cast(Any, converted)


def _update(update: Any, given: Sequence[Message]) -> Any:
    if not isinstance(update, Mapping) or "messages" not in update:
        return cast(Any, update)
    found = cast(Any, update["messages"])
    messages = list(cast("list[Any]", found)) if isinstance(found, list | tuple) else [found]
    known = {message.id for message in given if message.id}
    fresh = [m if isinstance(m, Message) else _in(m) for m in messages if not m.id or m.id not in known]
    return {**cast(Mapping[str, Any], update), "messages": fresh}


def _out(message: Message) -> list[BaseMessage]:
    extra = dict(message.extra)
    kept: dict[str, Any] = dict(extra.pop(KEPT, None) or {})
    common: dict[str, Any] = {"id": message.id or None, "name": message.name or None}
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    if message.role == "tool" and not (kept.get("type") == "function" and results):
        return [_tool_message(result, common, extra, kept, number) for number, result in enumerate(results)]
    calls = (
        [part for part in message.parts if isinstance(part, ToolCall)] if message.role == "assistant" else []
    )
    parts: tuple[Part, ...] = message.parts
    if results and kept.get("type") == "function":
        parts = results[0].content
        common["name"] = results[0].name
    fields: dict[str, Any] = {**common, "content": _content(parts, bool(kept.pop("list", False)))}
    call_extras = {call.id: call.extra for call in calls if call.extra}
    fields["additional_kwargs"] = {**extra, OURS: {"calls": call_extras}} if call_extras else extra
    if "response_metadata" in kept:
        fields["response_metadata"] = kept["response_metadata"]
    if kept.get("type") == "function":
        return [FunctionMessage(**fields)]
    if "role" in kept:
        return [ChatMessage(role=kept["role"], **fields)]
    if message.role == "assistant":
        return [_ai_message(fields, calls, kept)]
    return [_CLASSES[message.role](**fields)]


def _ai_message(fields: dict[str, Any], calls: Sequence[ToolCall], kept: Mapping[str, Any]) -> AIMessage:
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for call in calls:
        arguments = _object(call.arguments)
        if arguments is None:
            error = kept.get("errors", {}).get(call.id)
            bad.append({"name": call.name, "args": call.arguments, "id": call.id, "error": error})
        else:
            good.append({"name": call.name, "args": arguments, "id": call.id})
    more = {"usage_metadata": kept["usage_metadata"]} if kept.get("usage_metadata") else {}
    return AIMessage(**fields, **more, tool_calls=good, invalid_tool_calls=bad)


def _tool_message(
    result: ToolResult, common: dict[str, Any], extra: dict[str, Any], kept: Mapping[str, Any], number: int
) -> ToolMessage:
    ident = common["id"] if not number or not common["id"] else f"{common['id']}#{number}"
    fields: dict[str, Any] = {key: kept[key] for key in ("response_metadata", "artifact") if key in kept}
    return ToolMessage(
        content=_content(result.content, bool(kept.get("list"))),
        tool_call_id=result.call_id,
        name=result.name or None,
        status="error" if result.is_error else "success",
        id=ident,
        additional_kwargs={**extra, OURS: {"result": result.extra}} if result.extra else extra,
        **fields,
    )


def _content(parts: Iterable[Any], as_list: bool) -> Any:
    blocks = [to_block(part) for part in parts if not isinstance(part, ToolCall | ToolResult)]
    if not blocks and not as_list:
        return ""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and not as_list:
        return blocks[0]["text"]
    return blocks


def _in(message: BaseMessage) -> Message:
    given: Any = message
    kind = str(getattr(given, "role", "") or given.type).removesuffix("MessageChunk").lower()
    if given.type == "remove":
        raise GraphError(
            "a RemoveMessage is no message; to change a conversation, write langgraph's `Overwrite`"
        )
    role = _ROLES.get(kind, "user")
    extra: dict[str, Any] = dict(given.additional_kwargs)
    ours: dict[str, Any] = extra.pop(OURS, None) or {}
    kept: dict[str, Any] = {}
    if given.response_metadata:
        kept["response_metadata"] = given.response_metadata
    content: Any = given.content
    parts = [
        from_block(block) for block in ([content] if isinstance(content, str) and content else content or ())
    ]
    if isinstance(content, list) and (not content or _content(parts, False) != content):
        kept["list"] = True
    if isinstance(message, ToolMessage | FunctionMessage):
        parts = [_result(given, parts, kept, ours)]
    elif isinstance(message, AIMessage):
        parts += _calls(given, kept, ours)
    elif isinstance(message, ChatMessage):
        kept["role"] = given.role
    if kept:
        extra[KEPT] = kept
    name = "" if role == "tool" else given.name or ""
    return Message(role, tuple(cast(Any, parts)), id=given.id or "", name=name, extra=extra)


def _result(message: Any, parts: list[Any], kept: dict[str, Any], ours: Mapping[str, Any]) -> ToolResult:
    if isinstance(message, FunctionMessage):
        kept["type"] = "function"
        return ToolResult("", tuple(parts), name=message.name or "")
    if message.artifact is not None:
        kept["artifact"] = message.artifact
    return ToolResult(
        message.tool_call_id,
        tuple(parts),
        name=message.name or "",
        is_error=message.status == "error",
        extra=ours.get("result", {}),
    )


def _calls(message: Any, kept: dict[str, Any], ours: Mapping[str, Any]) -> list[ToolCall]:
    if message.usage_metadata:
        kept["usage_metadata"] = dict(message.usage_metadata)
    extras = ours.get("calls", {})
    found: list[ToolCall] = []
    for call in message.tool_calls:
        ident = call["id"] or ""
        found.append(
            ToolCall(ident, call["name"], json.dumps(call["args"], ensure_ascii=False), extras.get(ident, {}))
        )
    for call in message.invalid_tool_calls:
        ident = call["id"] or ""
        found.append(ToolCall(ident, call["name"] or "", call["args"] or "", extras.get(ident, {})))
        if call.get("error"):
            kept.setdefault("errors", {})[ident] = call["error"]
    return found


def _object(arguments: str) -> dict[str, Any] | None:
    try:
        value: Any = json.loads(arguments or "{}")
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
