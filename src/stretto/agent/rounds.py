"""The tool rounds of a turn that was left or stopped, as messages: its nodes did them, and wrote none down.

They are read from the thread's journal, so that the model is told of what has taken effect. Runs nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from stretto.messages import Message, Text, ToolCall, ToolResult
from stretto.nodes.voice import kept_message
from stretto.steps import Journal, Recalled, call_hash, place_in
from stretto.threads.history import NOT_ENDED
from stretto.tools.effects import recalled


async def left_rounds(
    journal: Journal | None, tasks: Iterable[str], messages: Sequence[Any]
) -> list[Message]:
    """What the nodes that were left had asked tools for, with one result for each call.

    Args:
        journal: Of the thread.
        tasks: Of the nodes that were left.
        messages: The conversation so far; calls that are open at its end are answered first.
    """
    if journal is None:
        return []
    last = messages[-1] if messages else None
    calls = last.tool_calls if isinstance(last, Message) and last.role == "assistant" else ()
    found: list[Message] = []
    for task_id in tasks:
        kept = await journal.recall(task_id)
        if calls and any(_is_call(kept, number, call) for number, call in enumerate(calls)):
            found.append(_results(kept, 0, calls))
            calls = ()
        else:
            found += _rounds(kept)
    return found


def _rounds(kept: Recalled) -> list[Message]:
    """Replies that call tools, each with its results; a node numbers both as they come."""
    found: list[Message] = []
    number = 0
    while number in kept.steps:
        try:
            reply = kept_message(place_in(kept, number, "").content or b"")
        except (msgspec.DecodeError, msgspec.ValidationError):
            break  # a call that no reply of this node asked for
        calls = reply.tool_calls
        if calls:
            found += [reply, _results(kept, number + 1, calls)]
        number += 1 + len(calls)
    return found


def _is_call(kept: Recalled, number: int, call: ToolCall) -> bool:
    """Whether this call, and no other step, is what is noted under the number."""
    place = place_in(kept, number, call_hash(call.name, call.arguments))
    return place.content is not None or place.repeats


def _results(kept: Recalled, first: int, calls: Sequence[ToolCall]) -> Message:
    results: list[ToolResult] = []
    for number, call in enumerate(calls, first):
        place = place_in(kept, number, call_hash(call.name, call.arguments))
        outcome = recalled(place)
        content, is_error = (outcome.content, outcome.is_error) if outcome else ((Text(NOT_ENDED),), True)
        results.append(ToolResult(call.id, content, call.name, is_error))
    return Message.tool(*results)
