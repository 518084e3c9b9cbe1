"""Turns a `Pause` of ours into langgraph's interrupt, and a resume value into answers by call id.

langgraph matches several interrupts of one node by their order, which parallel tools do not keep. So a node's
run makes at most one, with all its questions as `{call_id: question}`; the answers come back the same way.
What an answer has to fit, and until when it may come, is held to before anything runs.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, NoReturn, cast

import msgspec

from stretto.context import RunContext
from stretto.errors import AnswerRefused, Pause, ThreadError
from stretto.graph.ground import interrupt
from stretto.questions import Answer, Terms, faults_of, plain

SCHEMA = "stretto:answers"
"""The `$id` of the resume value's JSON Schema, by which our interrupts are told from others."""
_ANSWERS, _WAITING = "stretto:answers", "stretto:waiting"
"""In a resume value of ours: the answers, and until when the other questions of that interrupt may wait."""


class Earlier(NamedTuple):
    """What a task knows when it runs again, by call id."""

    answers: dict[str, Any]
    """`Answer`s; plain values where they came by langgraph's own Command."""
    until: dict[str, float]
    """When the questions that were asked before are too late to answer."""


def earlier_answers(config: Mapping[str, Any], *, take: bool) -> Earlier:
    """What was answered to this task so far.

    `take`: the value of a plain `Command(resume=...)` is this node's, and not for an interrupt inside of it.
    """
    pad = config["configurable"].get(
        "__pregel_scratchpad"
    )  # langgraph has no public way to look before asking
    earlier = Earlier({}, {})
    if pad is None:
        return earlier
    if take and pad.get_null_resume(False) is not None:
        for _ in range(len(pad.resume) + 1):  # the earlier ones come first, then the new one is taken in
            interrupt(None)
    for value in pad.resume:
        if not isinstance(value, Mapping):
            continue
        given = cast("Mapping[str, Any]", value)
        if _ANSWERS not in given:
            earlier.answers.update(given)
            continue
        for call_id, answer in given[_ANSWERS].items():
            earlier.answers[call_id] = msgspec.convert(answer, Answer)
        earlier.until.update(given[_WAITING])
    return earlier


async def with_kept_answers(ctx: RunContext, earlier: Earlier) -> RunContext:
    """The node with what it was answered before its process ended, too; keeps what it is answered now."""
    kept = await ctx.steps.answers()
    before = _read(kept) if kept else Earlier({}, {})
    answers, until = {**before.answers, **earlier.answers}, {**before.until, **earlier.until}
    given = {name: each for name, each in answers.items() if isinstance(each, Answer)}
    if given and given != before.answers:
        await ctx.steps.answered(msgspec.msgpack.encode((given, until)))
    return ctx.answering(answers, until) if answers or until else ctx


def _read(kept: bytes) -> Earlier:
    return Earlier(*msgspec.msgpack.decode(kept, type=tuple[dict[str, Answer], dict[str, float]]))


def kept_for(kept: bytes, bounds: Mapping[str, str]) -> dict[str, Answer]:
    """Those of a task's kept answers that are for questions which wait: only what is bound can tell."""
    answers = _read(kept).answers.items()
    return {call_id: each for call_id, each in answers if each.bound and each.bound == bounds.get(call_id)}


def resuming(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with which a graph inside of a node goes on where it stopped, when the node runs again."""
    inner = {**config["configurable"], "__pregel_resuming": True}
    pad: Any = inner.get("__pregel_scratchpad")
    if pad is not None:  # the graph is called for the first time, not for another one after it
        inner["__pregel_scratchpad"] = dataclasses.replace(pad, subgraph_counter=itertools.count().__next__)
    return {**config, "configurable": inner}


def pause_in(raised: BaseException) -> Pause | None:
    """A Pause, or those of a group that holds nothing else as one; else None."""
    if isinstance(raised, Pause):
        return raised
    if not isinstance(raised, BaseExceptionGroup):
        return None
    pauses, rest = cast("BaseExceptionGroup[BaseException]", raised).split(Pause)
    if pauses is None or rest is not None:
        return None
    found = Pause({})
    for each in pauses.exceptions:
        inner = pause_in(each)
        if inner is not None:
            found.questions.update(inner.questions)
            found.terms.update(inner.terms)
    return found


def ask(pause: Pause) -> NoReturn:
    """Stops the node's run until its questions are answered."""
    terms = {call_id: pause.terms.get(call_id, Terms()) for call_id in pause.questions}
    properties: dict[str, Any] = {call_id: each.schema for call_id, each in terms.items()}
    held = {call_id: {"until": each.until, "bound": each.bound} for call_id, each in terms.items()}
    schema = {"$id": SCHEMA, "type": "object", "properties": properties, "terms": held}
    while True:  # earlier answers of this task come back first; the first question without one raises
        interrupt(pause.questions, response_schema=schema)


def questions_of(interrupts: Iterable[Any]) -> dict[str, Any]:
    """All questions that wait, by call id; a question of a plain langgraph node by its interrupt's id."""
    found: dict[str, Any] = {}
    for item in interrupts:
        found.update(item.value if _is_ours(item) else {item.id: item.value})
    return found


def bounds_of(interrupts: Iterable[Any]) -> dict[str, str]:
    """What the questions that wait are bound to, by call id; empty where to nothing."""
    ours = (_terms_of(item) for item in interrupts if _is_ours(item))
    return {call_id: terms.bound for each in ours for call_id, terms in each.items()}


def resume_map(
    interrupts: Iterable[Any], answers: Mapping[str, Any], thread_id: str, *, now: float
) -> dict[str, Any]:
    """`answers` sorted to the interrupts that asked for them.

    Args:
        interrupts: What waits.
        answers: By call id: plain values, or an `Answer` with who gave it.
        thread_id: For errors.
        now: Seconds since 1970.

    Raises:
        ThreadError: No question waits, or an answer belongs to none.
        AnswerRefused: An answer does not fit the schema of its question.
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
                given = answers[item.id]
                sorted_[item.id] = given.value if isinstance(given, Answer) else given
            continue
        terms = _terms_of(item)
        mine = {
            call_id: _answer(call_id, answers[call_id], terms[call_id], thread_id, now)
            for call_id in item.value
            if call_id in answers
        }
        if mine:
            open_until = {
                call_id: each.until
                for call_id, each in terms.items()
                if call_id not in mine and each.until is not None
            }
            sorted_[item.id] = {_ANSWERS: mine, _WAITING: open_until}
    return sorted_


def _answer(call_id: str, given: Any, terms: Terms, thread_id: str, now: float) -> dict[str, Any]:
    """An answer as it is kept: plain, with its terms."""
    answer = given if isinstance(given, Answer) else Answer(given)
    value, at = plain(answer.value), answer.at or now
    expired = answer.expired or (terms.until is not None and at > terms.until)
    wrong = "" if expired else faults_of(value, terms.schema)
    if wrong:
        raise AnswerRefused(
            f"the answer to `{call_id}` of thread `{thread_id}` does not fit: {wrong}; the thread still waits"
        )
    return msgspec.structs.asdict(Answer(value, answer.by, at, terms.bound, expired))


def _terms_of(item: Any) -> dict[str, Terms]:
    schema: Any = item.response_schema
    held: dict[str, Any] = schema.get("terms") or {}
    properties: dict[str, Any] = schema.get("properties") or {}
    return {
        call_id: msgspec.convert({**held.get(call_id, {}), "schema": properties.get(call_id) or {}}, Terms)
        for call_id in item.value
    }


def _is_ours(item: Any) -> bool:
    schema: Any = item.response_schema
    return isinstance(schema, dict) and cast(Any, schema).get("$id") == SCHEMA
