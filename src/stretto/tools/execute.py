"""Runs the tool calls of one message side by side. Knows no model; a failing tool is an answer, not an error.

Approvals are collected before anything runs, and all open questions leave as one `Pause`.
"""

import asyncio
import difflib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from stretto._internal.redact import redact
from stretto.context import RunContext, use_context
from stretto.errors import ConfigError, Pause, StrettoError, ToolError, ToolNotFound, ToolTimeout
from stretto.events import Approved, ToolFinished, ToolStarted
from stretto.media.intake import take_in_part
from stretto.messages import MEDIA, Text, ToolCall, ToolResult
from stretto.results import Missing, ToolRun
from stretto.tools.results import Content, bounded
from stretto.tools.schema import read_object
from stretto.tools.tool import Tool

DECLINED = "The person declined this call. Do not repeat it; say so, or offer another way."

MAX_FOREIGN = 300
"""Characters of an error that is not ours which the model is told."""


@dataclass(frozen=True)
class _Outcome:
    content: Content = ()
    is_error: bool = False
    seconds: float = 0.0
    pause: Pause | None = None


async def execute(calls: Sequence[ToolCall], tools: Mapping[str, Tool], ctx: RunContext) -> list[ToolResult]:
    """Runs the calls and returns one result each, in order.

    A call that cannot run or fails becomes a `ToolResult(is_error=True)` that tells the model why. Each tool
    gets `ctx` with its own `call_id`. Events `ToolStarted` and `ToolFinished` are emitted for each call that
    runs, and every call that ended is appended to `ctx.run.tools`, in order.

    Raises:
        Pause: Calls wait for a person's approval, or tools asked something; it carries all their questions.
    """
    settled = _repeated(calls, tools)
    settled |= _approvals({n: call for n, call in enumerate(calls) if n not in settled}, tools, ctx)
    waiting = [n for n in range(len(calls)) if n not in settled]
    running = [asyncio.create_task(_run(calls[n], tools[calls[n].name], ctx)) for n in waiting]
    outcomes = [await running[0]] if len(running) == 1 else await asyncio.gather(*running)
    settled |= dict(zip(waiting, outcomes, strict=True))
    results = [_result(call, settled[n], ctx) for n, call in enumerate(calls) if settled[n].pause is None]
    _raise_questions(outcome.pause for outcome in outcomes)
    return results


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


def _approvals(
    calls: Mapping[int, ToolCall], tools: Mapping[str, Tool], ctx: RunContext
) -> dict[int, _Outcome]:
    """Asks for what needs a person; returns the calls, by position, that must not run, and why."""
    settled: dict[int, _Outcome] = {}
    pauses: list[Pause] = []
    for position, call in calls.items():
        tool = tools.get(call.name)
        try:
            if tool is None:
                raise ToolNotFound(_not_found(call.name, tools))
            if not tool.needs_approval(call.arguments):
                continue
            question = {"tool": call.name, "arguments": read_object(call.name, call.arguments)}
            approved = _agreed(ctx.interrupt(question, call_id=call.id))
        except ToolError as error:
            settled[position] = _failed(_told(error))
            continue
        except Pause as pause:
            pauses.append(pause)
            continue
        ctx.emit(Approved(call_id=call.id, approved=approved))
        if not approved:
            settled[position] = _failed(DECLINED)
    _raise_questions(pauses)
    return settled


async def _run(call: ToolCall, tool: Tool, ctx: RunContext) -> _Outcome:
    mine = replace(ctx, call_id=call.id)
    use_context(mine)  # this coroutine is a task of its own, so the others do not see it
    ctx.emit(ToolStarted(call_id=call.id, name=call.name, arguments=call.arguments))
    started = time.perf_counter()
    try:
        content, is_error = await _kept(await tool.run(call.arguments, mine), mine), False
    except Pause as pause:
        return _Outcome(pause=pause)
    except Exception as error:
        told = _told(error)
        if not isinstance(error, ToolError) or isinstance(error, ToolTimeout):  # down, not unwilling
            ctx.run.missing.append(Missing(call.name, told))
        content, is_error = bounded((Text(told),)), True
    seconds = time.perf_counter() - started
    output = "".join(part.text for part in content if isinstance(part, Text))
    ctx.emit(
        ToolFinished(
            call_id=call.id,
            name=call.name,
            arguments=call.arguments,
            output=output,
            is_error=is_error,
            seconds=seconds,
        )
    )
    return _Outcome(content, is_error, seconds)


async def _kept(content: Content, ctx: RunContext) -> Content:
    """The content with its media checked, stored and replaced by references, where the run has a store."""
    if ctx.media is None:
        return content
    return tuple(
        [await take_in_part(part, ctx.media) if isinstance(part, MEDIA) else part for part in content]
    )


def _result(call: ToolCall, outcome: _Outcome, ctx: RunContext) -> ToolResult:
    result = ToolResult(call.id, outcome.content, call.name, outcome.is_error)
    ctx.run.tools.append(
        ToolRun(call.name, call.id, call.arguments, result.text, outcome.is_error, outcome.seconds)
    )
    return result


def _raise_questions(pauses: Iterable[Pause | None]) -> None:
    questions: dict[str, Any] = {}
    for pause in pauses:
        for key, question in pause.questions.items() if pause else ():
            if key in questions:
                raise ConfigError(
                    f"two tools of one message asked under the id `{key}`: "
                    "write ctx.interrupt(question) in the tool, and its call's id is used"
                )
            questions[key] = question
    if questions:
        raise Pause(questions)


def _failed(text: str) -> _Outcome:
    return _Outcome((Text(text),), is_error=True)


def _agreed(answer: Any) -> bool:
    """Only a clear yes is one: True, "yes" or `{"approved": true}`."""
    if isinstance(answer, Mapping):
        answer = cast("Mapping[str, Any]", answer).get("approved")
    if isinstance(answer, str):
        return answer.strip().lower() in ("yes", "y", "true", "approve", "approved")
    return answer is True


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
