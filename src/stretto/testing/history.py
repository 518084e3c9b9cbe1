"""`assert_valid_history`: is a conversation one that every endpoint accepts?

Mends nothing, and shares no code with what does (`stretto.threads.history`).
"""

from collections.abc import Iterator, Sequence
from typing import Any

from stretto.messages import Message, Reasoning, Refusal, Text, ToolCall, ToolResult
from stretto.threads.history import NOTES


def assert_valid_history(messages: Sequence[Message]) -> None:
    """Fails where some endpoint would refuse these messages, and says all that is wrong.

    Every tool call has exactly one result, in tool messages directly behind the message that calls, in the
    order of the calls; ids of calls are there and differ within a message; no result is without its call.
    System messages stand first. No two user or assistant messages of one name stand in a row, unless each has
    an `extra` of its own. Every assistant message says something, every part is of a kind that its role can
    say, and no `extra` holds what is a note of ours.

    Raises:
        AssertionError: It is not valid.
    """
    found = [*_calls(messages), *_order(messages)]
    for place, message in enumerate(messages):
        found += [f"message {place} ({message.role}) {problem}" for problem in _inside(message)]
    if found:
        raise AssertionError("no valid history: " + "; ".join(found))


def _calls(messages: Sequence[Message]) -> Iterator[str]:
    due: list[str] = []
    for place, message in enumerate(messages):
        if message.role != "tool":
            if due:
                yield f"the calls {due} have no result before message {place} ({message.role})"
            due = [call.id for call in message.tool_calls] if message.role == "assistant" else []
            if "" in due or len(set(due)) < len(due):
                yield f"message {place} has calls with the ids {due}; each needs one of its own"
            continue
        for part in message.parts:
            if isinstance(part, ToolResult):
                if due[:1] == [part.call_id]:
                    del due[0]
                else:
                    yield f"message {place} answers `{part.call_id}`, where {due[:1] or 'no call'} is due"
    if due:
        yield f"the calls {due} have no result"


def _order(messages: Sequence[Message]) -> Iterator[str]:
    begun = False
    for place, message in enumerate(messages):
        if message.role == "system":
            if begun:
                yield f"message {place} (system) stands behind the beginning"
            continue
        begun = True
        before = messages[place - 1] if place else message
        alike = place and message.role == before.role != "tool" and message.name == before.name
        if alike and not (message.extra and before.extra and message.extra != before.extra):
            yield f"messages {place - 1} and {place} are both of the role {message.role}"


def _inside(message: Message) -> Iterator[str]:
    says = bool(message.extra)
    yield from _notes(message.extra)
    for part in message.parts:
        extra: dict[str, Any] = part.extra
        yield from _notes(extra)
        if isinstance(part, ToolResult):
            for inner in part.content:
                yield from _notes(inner.extra)
        strange = isinstance(part, ToolCall | Refusal | Reasoning) and message.role != "assistant"
        if strange or isinstance(part, ToolResult) != (message.role == "tool"):
            yield f"holds a {type(part).__name__}"
        elif isinstance(part, Text) and not part.text and not extra and len(message.parts) > 1:
            yield "holds an empty text beside other parts"
        if isinstance(part, Text):
            says = says or bool(extra or part.text.strip())
        else:
            says = says or not isinstance(part, Reasoning)
    if (message.role == "assistant" and not says) or (message.role == "tool" and not message.parts):
        yield "says nothing"


def _notes(extra: dict[str, Any]) -> Iterator[str]:
    yield from (f"holds the note `{key}` in its extra" for key in NOTES if key in extra)
