"""Turns a `Pause` of ours into langgraph's interrupt, and a resume value into answers by call id.

langgraph matches several interrupts of one node by their order, which parallel tools do not keep. So a node's
run makes at most one, with all its questions as `{call_id: question}`; the answers come back the same way.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, cast

from stretto.errors import Pause, ThreadError
from stretto.graph.ground import interrupt

SCHEMA = "stretto:answers"
"""The `$id` of the resume value's JSON Schema, by which our interrupts are told from others."""


def earlier_answers(config: Mapping[str, Any], *, take: bool) -> dict[str, Any]:
    """What was answered to this task so far, by call id.

    `take`: the value of a plain `Command(resume=...)` is this node's, and not for an interrupt inside of it.
    """
    pad = config["configurable"].get(
        "__pregel_scratchpad"
    )  # langgraph has no public way to look before asking
    if pad is None:
        return {}
    if take and pad.get_null_resume(False) is not None:
        for _ in range(len(pad.resume) + 1):  # the earlier ones come first, then the new one is taken in
            interrupt(None)
    answers: dict[str, Any] = {}
    for value in pad.resume:
        if isinstance(value, Mapping):
            answers.update(value)  # pyright: ignore[reportUnknownArgumentType]
    return answers


def questions_in(raised: BaseException) -> dict[str, Any] | None:
    """The questions of a Pause, or of a group that holds nothing but Pauses; else None."""
    if isinstance(raised, Pause):
        return raised.questions
    if not isinstance(raised, BaseExceptionGroup):
        return None
    pauses, rest = cast("BaseExceptionGroup[BaseException]", raised).split(Pause)
    if pauses is None or rest is not None:
        return None
    found: dict[str, Any] = {}
    for pause in pauses.exceptions:
        found.update(questions_in(pause) or {})
    return found


def ask(questions: Mapping[str, Any]) -> NoReturn:
    """Stops the node's run until `questions` are answered."""
    properties: dict[str, Any] = {call_id: {} for call_id in questions}
    schema = {"$id": SCHEMA, "type": "object", "properties": properties}
    while True:  # earlier answers of this task come back first; the first question without one raises
        interrupt(dict(questions), response_schema=schema)


def questions_of(interrupts: Iterable[Any]) -> dict[str, Any]:
    """All questions that wait, by call id; a question of a plain langgraph node by its interrupt's id."""
    found: dict[str, Any] = {}
    for item in interrupts:
        found.update(item.value if _is_ours(item) else {item.id: item.value})
    return found


def resume_map(interrupts: Iterable[Any], answers: Mapping[str, Any], thread_id: str) -> dict[str, Any]:
    """`answers` sorted to the interrupts that asked for them.

    Raises:
        ThreadError: No question waits, or an answer belongs to none.
    """
    pending = list(interrupts)
    waiting = questions_of(pending)
    if not waiting:
        raise ThreadError(f"thread `{thread_id}` waits for no answer; send a new message instead of resuming")
    unknown = [call_id for call_id in answers if call_id not in waiting]
    if unknown or not answers:
        given = f"an answer to `{unknown[0]}`" if unknown else "no answer"
        names = ", ".join(f"`{call_id}`" for call_id in waiting)
        raise ThreadError(f"thread `{thread_id}` was given {given}; it waits for {names}")
    sorted_: dict[str, Any] = {}
    for item in pending:
        if not _is_ours(item):
            if item.id in answers:
                sorted_[item.id] = answers[item.id]
            continue
        mine = {call_id: answers[call_id] for call_id in item.value if call_id in answers}
        if mine:
            sorted_[item.id] = mine
    return sorted_


def _is_ours(item: Any) -> bool:
    schema: Any = item.response_schema
    return isinstance(schema, dict) and cast(Any, schema).get("$id") == SCHEMA
