"""What every node declares, and how it reads the state of a conversation. Knows no model and no store."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from stretto.context import RunContext
from stretto.messages import Message, Part, ToolCall

State = Mapping[str, Any]
"""The state as a node sees it."""
Update = dict[str, Any]
"""What a node gives back: the keys it writes."""
NodeFunction = Callable[[State, RunContext], Awaitable[Update]]
Effects = Literal["none", "external"]
"""none: it may be started early and dropped; external: it changes something outside."""

ALL_TURNS = 1 << 30
"""As a number of turns: all there are."""

F = TypeVar("F", bound=Callable[..., Any])


def declares(
    *, reads: Iterable[str] = (), writes: Iterable[str] = (), effects: Effects = "none"
) -> Callable[[F], F]:
    """Marks a node with the state keys it reads and writes, which `Graph.check` holds it to."""

    def mark(function: F) -> F:
        marked: Any = function
        marked.reads, marked.writes, marked.effects = frozenset(reads), frozenset(writes), effects
        return function

    return mark


def question_of(state: State) -> str:
    """What the person asks in this turn."""
    return state.get("question") or next(
        (message.text for message in reversed(state.get("messages", ())) if message.role == "user"), ""
    )


def earlier_questions(state: State, *, most: int = 2) -> list[str]:
    """What the person asked in the turns before, latest first."""
    asked = [message.text for message in state.get("messages", ()) if message.role == "user" and message.text]
    return asked[-2 : -2 - most : -1]


def last_turns(messages: Sequence[Message], turns: int) -> list[Message]:
    """The messages of the last `turns` turns, each from its user message on: no tool result is orphaned."""
    starts = [index for index, message in enumerate(messages) if message.role == "user"]
    if len(starts) <= turns:
        return list(messages)
    return list(messages[starts[-turns] :])


def steady_turns(messages: Sequence[Message], turns: int, *, room: int) -> list[Message]:
    """The messages of the last `turns` turns and, where there is room, of up to `turns - 1` before them.

    They begin at the same message for `turns` turns on end, and then `turns` later: a prompt whose beginning
    moved with each turn would be read anew each time, while most of one that stays comes from the cache.

    Args:
        messages: The conversation.
        turns: The least that is shown.
        room: Characters of text that all may have together; with more, the last `turns` are shown alone.
    """
    count = sum(1 for message in messages if message.role == "user")
    more = max(count - turns, 0) % max(turns, 1)
    steady = last_turns(messages, turns + more)
    if more and sum(_length(part) for message in steady for part in message.parts) > room:
        return last_turns(messages, turns)
    return steady


def _length(part: Part) -> int:
    return len(part.arguments) if isinstance(part, ToolCall) else len(getattr(part, "text", ""))


def pictures_of(state: State) -> list[Any]:
    """The pictures of the latest user message."""
    for message in reversed(state.get("messages", ())):
        if message.role == "user":
            return [part for part in message.media if part.media_type.startswith("image/")]
    return []
