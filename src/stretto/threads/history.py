"""A conversation as endpoints accept it, whatever was cancelled, crashed, interrupted or cut before.

Knows messages only: no node, no model, no tokens but those it is told, and nothing of how a thread is kept.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from stretto.messages import Message, Part, Reasoning, Refusal, Text, ToolCall, ToolResult

NOT_ENDED = "This call was left before it ended; whether it took effect is not known."
"""What the model is told of a tool call that nothing answered."""

SUMMARY = "stretto.summary"
"""The key of `extra` that marks a summary: the id of the last message it stands for, and how many turns."""

NOTES = ("langchain", SUMMARY)
"""Keys of `extra` that are notes of ours; endpoints refuse what they do not know."""


def answered(messages: Sequence[Message]) -> list[Message]:
    """The messages, with exactly one answer to each tool call, behind the message that calls, in its order.

    An answer that came late, behind what the person said next, is put in its place; a second one and one
    without a call are left out. A call that nothing answers gets an answer that says so. Calls of one message
    get ids of their own where they have none, or the same. All else stays, and where all was well, all does.
    """
    if _in_order(messages):
        return list(messages)
    named = [_named(message) if message.role == "assistant" else message for message in messages]
    answers = _answers(messages)
    whole: list[Message] = []
    for place, message in enumerate(named):
        if message.role == "tool":
            continue  # it comes with the message that calls
        rest = [part for part in message.parts if not isinstance(part, ToolResult)]
        if len(rest) == len(message.parts):
            whole.append(message)
        elif rest:
            whole.append(msgspec.structs.replace(message, parts=tuple(rest)))
        if place in answers:
            whole += _told(named, place, answers[place])
    return whole


def valid_history(messages: Sequence[Message]) -> list[Message]:
    """The messages as every endpoint accepts them: what is sent, while the thread keeps what was said.

    Beside what `answered` does: system messages stand first; two messages in a row of one role and name are
    one; an assistant message that says nothing is left out, and so are notes of ours and what a role cannot
    say. Nothing that the person said is lost. Doing it twice changes nothing.
    """
    first: list[Message] = []
    rest: list[Message] = []
    for message in answered(messages):
        said = _said(message)
        if said is None:
            continue
        into = first if said.role == "system" else rest
        if into and _one(into[-1], said):
            into[-1] = _joined(into[-1], said)
        else:
            into.append(said)
    return first + rest


def trimmed(messages: Sequence[Message], weights: Sequence[int], limit: int) -> list[Message]:
    """The messages that fit: system messages and summaries, and as many of the last turns, whole, as fit.

    Turns are left out in steps of half as many as fit, so that the rest begins at the same message for some
    turns on end, as prompt caches like it. Where the last turn alone does not fit, its earliest rounds of
    tools go, each whole; the question and the last round stay, whatever they take.

    Args:
        messages: The conversation, `answered`.
        weights: The tokens of each message.
        limit: The tokens that all may have together.
    """
    if sum(weights) <= limit:
        return list(messages)
    stays = [place for place, message in enumerate(messages) if _stays(message)]
    turns = list(_blocks(messages, "user"))
    room = limit - sum(weights[place] for place in stays)
    sizes = [sum(weights[place] for place in turn) for turn in turns]
    kept = [place for turn in turns[_first_turn(sizes, room) :] for place in turn]
    if turns and sizes[-1] > room:
        kept = _last_rounds(messages, weights, turns[-1], room)
    return [messages[place] for place in sorted([*stays, *kept])]


def behind(messages: Sequence[Message], summary: Message | None) -> list[Message]:
    """The messages that a summary does not stand for: all, where the last one it stands for is gone."""
    mark = summary.extra.get(SUMMARY) if summary is not None else None
    if mark:
        for place in range(len(messages) - 1, -1, -1):
            if messages[place].id == mark["through"]:
                return list(messages[place + 1 :])
    return list(messages)


def _stays(message: Message) -> bool:
    return message.role == "system" or SUMMARY in message.extra


def _blocks(
    messages: Sequence[Message], head: str, places: Sequence[int] | None = None
) -> Iterator[list[int]]:
    """The places of the messages in blocks that begin at each message of the role `head`."""
    block: list[int] = []
    for place in range(len(messages)) if places is None else places:
        if places is None and _stays(messages[place]):
            continue
        if messages[place].role == head and block:
            yield block
            block = []
        block.append(place)
    if block:
        yield block


def _first_turn(sizes: Sequence[int], room: int) -> int:
    """The first turn that is kept, so that those from it on have room."""
    fitting = 0
    for size in reversed(sizes):
        room -= size
        if room < 0:
            break
        fitting += 1
    step = max(1, fitting // 2)
    dropped = -(-(len(sizes) - fitting) // step) * step
    return max(0, min(dropped, len(sizes) - 1))


def _last_rounds(
    messages: Sequence[Message], weights: Sequence[int], turn: Sequence[int], room: int
) -> list[int]:
    """The question of a turn, and as many of its last rounds as fit, one at least."""
    question = [place for place in turn if messages[place].role == "user"]
    rounds = list(_blocks(messages, "assistant", [place for place in turn if place not in question]))
    room -= sum(weights[place] for place in question)
    kept: list[int] = []
    for number, block in enumerate(reversed(rounds)):
        room -= sum(weights[place] for place in block)
        if room < 0 and number:
            break
        kept += block
    return [*question, *kept]


# ---- calls and answers


def _in_order(messages: Sequence[Message]) -> bool:
    """Whether each call has its answer behind it already, as nearly always."""
    due: list[str] = []
    for message in messages:
        if message.role == "tool":
            if not message.parts:
                return False
            for part in message.parts:
                if not due or not isinstance(part, ToolResult) or part.call_id != due.pop(0):
                    return False
            continue
        if due:
            return False
        for part in message.parts:
            if isinstance(part, ToolResult):
                return False
            if isinstance(part, ToolCall) and message.role == "assistant":
                if not part.id or part.id in due:
                    return False
                due.append(part.id)
    return not due


def _named(message: Message) -> Message:
    """The message, with an id of its own for each of its calls."""
    ids = [part.id for part in message.parts if isinstance(part, ToolCall)]
    if len(set(ids)) == len(ids) and "" not in ids:
        return message
    taken = {ident for ident in ids if ident}
    seen: set[str] = set()
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolCall):
            ident, number = part.id, 1
            while not ident or ident in seen or (ident != part.id and ident in taken):
                ident, number = f"{part.id or 'call'}_{number}", number + 1
            seen.add(ident)
            part = msgspec.structs.replace(part, id=ident)
        parts.append(part)
    return msgspec.structs.replace(message, parts=tuple(parts))


def _answers(messages: Sequence[Message]) -> dict[int, list[ToolResult | None]]:
    """The results of each message that calls, by its place; None where there is none.

    A result belongs to the last message before it that has a call of its id.
    """
    answers: dict[int, list[ToolResult | None]] = {}
    slots: dict[str, tuple[int, list[int]]] = {}
    for place, message in enumerate(messages):
        if message.role == "assistant":
            ids = [part.id for part in message.parts if isinstance(part, ToolCall)]
            if ids:
                answers[place] = [None] * len(ids)
                for ident in ids:
                    slots[ident] = place, [slot for slot, other in enumerate(ids) if other == ident]
        for result in _results(message):
            where, open_slots = slots.get(result.call_id, (place, []))
            for slot in open_slots:
                known = answers[where][slot]
                if known is None or _not_ended(known):
                    answers[where][slot] = result
                    break
    return answers


def _results(message: Message) -> list[ToolResult]:
    """The results in a message; what else a tool message holds belongs to the last one."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    if message.role == "tool" and results and len(results) < len(message.parts):
        loose: Any = tuple(part for part in message.parts if not isinstance(part, ToolResult))
        results[-1] = msgspec.structs.replace(results[-1], content=(*results[-1].content, *loose))
    return results


def _not_ended(result: ToolResult) -> bool:
    return result.is_error and result.text == NOT_ENDED


def _told(messages: Sequence[Message], place: int, results: Sequence[ToolResult | None]) -> list[Message]:
    """The tool messages behind the one at `place`: as they are, where they hold just these results."""
    calls = messages[place].tool_calls
    due = [
        ToolResult(call.id, (Text(NOT_ENDED),), call.name, is_error=True)
        if result is None
        else result
        if result.call_id == call.id
        else msgspec.structs.replace(result, call_id=call.id)
        for call, result in zip(calls, results, strict=True)
    ]
    behind: list[Message] = []
    for message in messages[place + 1 :]:
        if message.role != "tool":
            break
        if message.parts:
            behind.append(message)
    parts = [part for message in behind for part in message.parts]
    if len(parts) == len(due) and all(one is other for one, other in zip(parts, due, strict=True)):
        return behind
    ident = behind[0].id if behind else ""
    return [Message("tool", tuple(due), id=ident)]


# ---- what a role can say


def _said(message: Message) -> Message | None:
    """The message without what its role cannot say and without notes; None where it says nothing."""
    if not message.extra and _plain(message):
        return message
    parts: list[Part] = []
    changed = False
    for part in message.parts:
        said = _part(part, message.role)
        changed = changed or said is not part
        if said is not None:
            parts.append(said)
    extra = message.extra
    if extra and any(note in extra for note in NOTES):
        extra, changed = _without_notes(extra), True
    if message.role in ("assistant", "system") and not extra and not any(_says(part) for part in parts):
        return None
    return msgspec.structs.replace(message, parts=tuple(parts), extra=extra) if changed else message


def _plain(message: Message) -> bool:
    """Whether a message is of texts, calls and results alone, without more to them, as nearly always."""
    for part in message.parts:
        if part.extra:
            return False
        if isinstance(part, Text):
            if not part.text.strip():
                return False
        elif isinstance(part, ToolResult):
            for inner in part.content:
                if inner.extra or not isinstance(inner, Text) or not inner.text:
                    return False
        elif not isinstance(part, ToolCall) or message.role != "assistant":
            return False
    return bool(message.parts)


def _says(part: Part) -> bool:
    if isinstance(part, Text):
        return bool(part.extra or part.text.strip())
    return not isinstance(part, Reasoning)


def _part(part: Part, role: str) -> Part | None:
    """A part as its role can say it, if at all."""
    extra = part.extra
    if extra and any(note in extra for note in NOTES):
        part = msgspec.structs.replace(part, extra=_without_notes(extra))
    if isinstance(part, Text):
        return part if part.text or part.extra else None
    if isinstance(part, ToolResult):
        content: Any = tuple(_part(inner, role) for inner in part.content)
        if any(one is not other for one, other in zip(content, part.content, strict=True)):
            part = msgspec.structs.replace(part, content=tuple(one for one in content if one is not None))
        return part
    only_a_model_says = isinstance(part, ToolCall | Reasoning | Refusal)
    return None if only_a_model_says and role != "assistant" else part


def _without_notes(extra: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in extra.items() if key not in NOTES}


def _one(before: Message, message: Message) -> bool:
    """Whether two messages in a row are said as one: some chat templates refuse two of one role."""
    return (
        message.role == before.role != "tool"
        and message.name == before.name
        and (not message.extra or not before.extra or message.extra == before.extra)
    )


def _joined(before: Message, message: Message) -> Message:
    parts = [*before.parts, *message.parts]
    seam = len(before.parts)
    if 0 < seam < len(parts):
        last, first = parts[seam - 1], parts[seam]
        if isinstance(last, Text) and isinstance(first, Text) and not last.extra and not first.extra:
            parts[seam - 1 : seam + 1] = [Text(f"{last.text}\n\n{first.text}")]
    return msgspec.structs.replace(before, parts=tuple(parts), extra=before.extra or message.extra)
