"""Runs the tool calls of one message side by side. Knows no model; a failing tool is an answer, not an error.

Approvals are collected before anything runs, and all open questions leave as one `Pause`.
"""

import asyncio
import difflib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from stretto._internal.faults import reach
from stretto._internal.redact import redact
from stretto.context import RunContext, use_context
from stretto.errors import (
    AnswerExpired,
    ConfigError,
    Pause,
    StrettoError,
    ToolError,
    ToolNotFound,
    ToolTimeout,
)
from stretto.events import Approved, ToolFinished, ToolStarted
from stretto.media.intake import take_in_part
from stretto.messages import MEDIA, Text, ToolCall, ToolResult
from stretto.questions import Answer, Terms, agreed
from stretto.results import Missing, ToolRun
from stretto.steps import Place, Standing, call_hash
from stretto.tools.effects import Outcome, begun, cleared, intend, kept, recalled, unsure
from stretto.tools.results import Content, bounded
from stretto.tools.schema import read_object
from stretto.tools.tool import Tool

DECLINED = "The person declined this call. Do not repeat it; say so, or offer another way."

EXPIRED = "Nobody agreed to this call in time. Do not repeat it; say so, or offer another way."

UNKNOWN = "Do not call it again before that is known."
"""Behind the timeout of a tool that takes effect once."""

_Outcome = Outcome | Pause
"""How a call ended, or what it asks."""

MAX_FOREIGN = 300
"""Characters of an error that is not ours which the model is told."""


async def execute(calls: Sequence[ToolCall], tools: Mapping[str, Tool], ctx: RunContext) -> list[ToolResult]:
    """Runs the calls and returns one result each, in order.

    A call that cannot run or fails becomes a `ToolResult(is_error=True)` that tells the model why. Each tool
    gets `ctx` with its own `call_id`. Events `ToolStarted` and `ToolFinished` are emitted for each call that
    runs, and every call that ended is appended to `ctx.run.tools`, in order.

    In a run with a journal, a call that ended before the node ran again is not run: its result is told again.

    Raises:
        Pause: Calls wait for a person's approval, or tools asked something; it carries all their questions.
    """
    places = [await ctx.steps.call(call.name, call.arguments) for call in calls]
    settled = _repeated(calls, tools)
    settled |= _recalled({n: call for n, call in enumerate(calls) if n not in settled}, places, ctx)
    rest = {n: call for n, call in enumerate(calls) if n not in settled}
    approvers: dict[int, str] = {}
    settled |= await _questions(rest, places, tools, ctx, approvers)
    waiting = [(calls[n], tools[calls[n].name], places[n]) for n in rest if n not in settled]
    await intend(waiting, ctx)
    agreed_by = [approvers.get(n, "") for n in rest if n not in settled]
    running = [asyncio.create_task(_run(*each, ctx, by)) for each, by in zip(waiting, agreed_by, strict=True)]
    if len(running) == 1:
        ended: list[_Outcome | BaseException] = [await running[0]]
    else:
        ended = await asyncio.gather(*running, return_exceptions=True)  # each is noted, whatever another does
    outcomes = iter([_or_raise(each) for each in ended])
    for n in rest:
        if n not in settled:
            settled[n] = next(outcomes)
    results = [
        _result(call, outcome, ctx)
        for n, call in enumerate(calls)
        if isinstance(outcome := settled[n], Outcome)
    ]
    _raise_questions(outcome for outcome in settled.values() if isinstance(outcome, Pause))
    return results


def _or_raise(ended: _Outcome | BaseException) -> _Outcome:
    if isinstance(ended, Outcome | Pause):
        return ended
    raise ended


def _recalled(calls: Mapping[int, ToolCall], places: Sequence[Place], ctx: RunContext) -> dict[int, _Outcome]:
    """Calls, by position, that ended before, told again."""
    settled: dict[int, _Outcome] = {}
    for position, call in calls.items():
        outcome = recalled(places[position])
        if outcome is not None:
            settled[position] = outcome
            _begin(call, ctx, recalled=True)
            _end(call, outcome, ctx, recalled=True)
    return settled


def _repeated(calls: Sequence[ToolCall], tools: Mapping[str, Tool]) -> dict[int, _Outcome]:
    """Calls, by position, that must not run because the same message already holds them."""
    settled: dict[int, _Outcome] = {}
    ids: set[str] = set()
    done_once: set[tuple[str, str]] = set()
    for position, call in enumerate(calls):
        tool = tools.get(call.name)
        if call.id in ids:
            settled[position] = _failed(f"Not run: the call id `{call.id}` is used twice in one message.")
        elif tool and tool.effect == "once" and (call.name, call.arguments) in done_once:
            settled[position] = _failed(
                f"Not run: this message already calls `{call.name}` with the same arguments. "
                "Call it again in a later step if it is meant twice."
            )
        ids.add(call.id)
        done_once.add((call.name, call.arguments))
    return settled


async def _questions(
    calls: Mapping[int, ToolCall],
    places: Sequence[Place],
    tools: Mapping[str, Tool],
    ctx: RunContext,
    approvers: dict[int, str],
) -> dict[int, _Outcome]:
    """Asks for what needs a person; returns the calls, by position, that must not run, and why.

    Notes in `approvers` who agreed to a call.
    """
    settled: dict[int, _Outcome] = {}
    pauses: list[Pause] = []
    answered: list[Approved] = []
    for position, call in calls.items():
        tool, place = tools.get(call.name), places[position]
        try:
            if tool is None:
                raise ToolNotFound(_not_found(call.name, tools))
            if unsure(place, tool):
                outcome = await cleared(call, tool, place, ctx)
                if outcome is not None:
                    settled[position] = outcome
                continue
            if not tool.needs_approval(call.arguments):
                continue
            if begun(place):  # with the approval that was given then
                approvers[position] = _agreed_before(call, ctx)
                continue
            answer = _approval(call, ctx)
        except ToolError as error:
            settled[position] = _failed(_told(error))
            continue
        except Pause as pause:
            pauses.append(pause)
            continue
        approvers[position] = answer.by
        approved = not answer.expired and agreed(answer.value)
        answered.append(Approved(call_id=call.id, approved=approved, by=answer.by, expired=answer.expired))
        if not approved:
            settled[position] = refused = _failed(EXPIRED if answer.expired else DECLINED, answer.by)
            if ctx.steps.kept:  # whoever is asked again after a crash: this is what the model was told
                ctx.steps.later(place, kept(refused))
    _raise_questions(pauses)
    for event in answered:
        ctx.emit(event)
    return settled


def _approval(call: ToolCall, ctx: RunContext) -> Answer:
    """What a person said to exactly this call."""
    bound = call_hash(call.name, call.arguments)
    question = {"tool": call.name, "arguments": read_object(call.name, call.arguments), "hash": bound}
    if ctx.run.fork:
        question["fork"] = ctx.run.fork
    return ctx.ask(question, call_id=call.id, bound=bound)


def _agreed_before(call: ToolCall, ctx: RunContext) -> str:
    """Who agreed to exactly this call, where that is known."""
    given = ctx.given.get(call.id)
    return given.by if given and given.bound == call_hash(call.name, call.arguments) else ""


async def _run(call: ToolCall, tool: Tool, place: Place, ctx: RunContext, by: str) -> _Outcome:
    mine = replace(ctx, call_id=call.id, step=place)
    use_context(mine)  # this coroutine is a task of its own, so the others do not see it
    _begin(call, ctx)
    changes = tool.effect != "none"
    standing: Standing = "done"
    started = time.perf_counter()
    missing = ""
    try:
        if changes:
            reach("effect.before")
        content, is_error = await _kept(await tool.run(call.arguments, mine), mine), False
        if changes:
            reach("effect.after")
    except Pause as pause:
        if changes:
            await ctx.steps.settle(place, "asking")
        return pause
    except Exception as error:
        told = _told(error)
        if isinstance(error, ToolTimeout) and tool.effect == "once":
            standing, told = "uncertain", f"{told} {UNKNOWN}"
        if isinstance(error, ToolTimeout) or not isinstance(error, ToolError | AnswerExpired):  # it is down
            missing = told
            ctx.run.missing.append(Missing(call.name, told))
        content, is_error = bounded((Text(told),)), True
    outcome = Outcome(content, is_error, time.perf_counter() - started, missing, by)
    if changes:
        await ctx.steps.settle(place, standing, kept(outcome))
    elif ctx.steps.kept:
        ctx.steps.later(place, kept(outcome))
    _end(call, outcome, ctx)
    return outcome


def _begin(call: ToolCall, ctx: RunContext, *, recalled: bool = False) -> None:
    ctx.emit(
        ToolStarted(
            call_id=call.id,
            name=call.name,
            arguments=call.arguments,
            fork=ctx.run.fork,
            recalled=recalled,
        )
    )


def _end(call: ToolCall, outcome: Outcome, ctx: RunContext, *, recalled: bool = False) -> None:
    if recalled and outcome.missing:
        ctx.run.missing.append(Missing(call.name, outcome.missing))
    ctx.emit(
        ToolFinished(
            call_id=call.id,
            name=call.name,
            arguments=call.arguments,
            output="".join(part.text for part in outcome.content if isinstance(part, Text)),
            is_error=outcome.is_error,
            seconds=outcome.seconds,
            recalled=recalled,
        )
    )


async def _kept(content: Content, ctx: RunContext) -> Content:
    """The content with its media checked, stored and replaced by references, where the run has a store."""
    if ctx.media is None:
        return content
    return tuple(
        [await take_in_part(part, ctx.media) if isinstance(part, MEDIA) else part for part in content]
    )


def _result(call: ToolCall, outcome: Outcome, ctx: RunContext) -> ToolResult:
    result = ToolResult(call.id, outcome.content, call.name, outcome.is_error)
    told = outcome.is_error, outcome.seconds, outcome.by
    ctx.run.tools.append(ToolRun(call.name, call.id, call.arguments, result.text, *told))
    return result


def _raise_questions(pauses: Iterable[Pause]) -> None:
    questions: dict[str, Any] = {}
    terms: dict[str, Terms] = {}
    for pause in pauses:
        terms.update(pause.terms)
        for key, question in pause.questions.items():
            if key in questions:
                raise ConfigError(
                    f"two tools of one message asked under the id `{key}`: "
                    "write ctx.interrupt(question) in the tool, and its call's id is used"
                )
            questions[key] = question
    if questions:
        raise Pause(questions, terms=terms)


def _failed(text: str, by: str = "") -> Outcome:
    return Outcome((Text(text),), is_error=True, by=by)


def _not_found(name: str, tools: Mapping[str, Tool]) -> str:
    if not tools:
        return f"There is no tool `{name}`; there are no tools here. Answer without one."
    close = difflib.get_close_matches(name, tools, 1)
    hint = f" Did you mean `{close[0]}`?" if close else ""
    return f"There is no tool `{name}`.{hint} Tools: {', '.join(f'`{known}`' for known in tools)}."


def _told(error: Exception) -> str:
    """What the model is told: our errors in full, others by class and one short line; secrets masked."""
    if isinstance(error, StrettoError):
        return redact(str(error)) or type(error).__name__
    line = " ".join(redact(str(error)).split())
    line = line if len(line) <= MAX_FOREIGN else line[:MAX_FOREIGN] + "..."
    return f"The tool failed: {type(error).__name__}{': ' if line else ''}{line}"
