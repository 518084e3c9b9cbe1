"""A run's events as records of the logger `stretto.run`, secrets masked. Sets no handler and no level.

Logged are runs, nodes, tools, usage and errors; never what people and models say. Arguments and outputs of
tools only at DEBUG. Warnings are what a run went on without; an error, and the node it comes from, are
INFO, for the error reaches the caller as an exception.
"""

import logging
from typing import Any

from stretto._internal.loggers import logger
from stretto._internal.redact import redact
from stretto.context import Sink
from stretto.events import (
    Approved,
    BudgetLow,
    ErrorRaised,
    Event,
    Interrupted,
    NodeFinished,
    NodeStarted,
    OutputDelta,
    ReasoningDelta,
    Retracted,
    Retrieved,
    RunFinished,
    RunStarted,
    TextDelta,
    ToolFinished,
    ToolStarted,
    UsageReported,
)

_log = logger("stretto.run")
_MANY = frozenset({TextDelta, OutputDelta, ReasoningDelta})
"""Never logged."""
_WARNING = frozenset({BudgetLow, NodeFinished, Retracted})
"""What may be logged as a warning."""


def logged(sink: Sink) -> Sink:
    """`sink`, with each event logged behind it; `sink` itself while nobody listens to the logger."""
    if not _log.isEnabledFor(logging.WARNING):
        return sink

    def tell(event: Event) -> None:
        sink(event)
        if type(event) not in _MANY:
            _tell(event)

    def warn(event: Event) -> None:
        sink(event)
        if type(event) in _WARNING:
            _tell(event)

    return tell if _log.isEnabledFor(logging.INFO) else warn


def _tell(event: Event) -> None:
    said = _say(event)
    if said is None:
        return
    level, what, fields = said
    if not _log.isEnabledFor(level):
        return
    kept = {name: redact(value) if isinstance(value, str) else value for name, value in fields.items()}
    kept = {"run": event.run_id, **({"node": event.node} if event.node else {}), **kept}
    text = " ".join(f"{name}={value}" for name, value in kept.items())
    _log.log(level, "%s %s", what, text, extra={"event": {"type": what, **kept}})


def _say(event: Event) -> tuple[int, str, dict[str, Any]] | None:
    """The level, the name and the fields to log; None for what is not logged."""
    match event:
        case RunStarted():
            return logging.INFO, "run.started", {"agent": event.agent, "thread": event.thread_id}
        case RunFinished():
            return logging.INFO, "run.finished", {"status": event.status, "seconds": round(event.at, 3)}
        case NodeStarted():
            return logging.DEBUG, "node.started", {}
        case NodeFinished():
            return _finished(event)
        case ToolStarted() | ToolFinished():
            return _tool(event)
        case Retrieved():
            return logging.INFO, "retrieval", {"hits": len(event.hits)}
        case UsageReported():
            tokens = {"input": event.usage.input_tokens, "output": event.usage.output_tokens}
            return logging.INFO, "usage", {"model": event.model, **tokens}
        case BudgetLow():
            fields = {"budget": event.budget, "share": event.share, "step": event.step}
            return logging.WARNING, "budget", fields
        case Interrupted() | Approved():
            return _person(event)
        case Retracted():
            reason = {"reason": event.reason} if event.reason else {}
            return logging.WARNING, "retract", {"length": event.length, **reason}
        case ErrorRaised():
            return logging.INFO, "error", {"kind": event.kind, "message": event.message}
        case _:
            return None


def _finished(event: NodeFinished) -> tuple[int, str, dict[str, Any]]:
    level = logging.WARNING if event.status == "fallback" else logging.INFO
    reason = {"reason": event.missing.reason} if event.missing else {}
    return level, "node.finished", {"status": event.status, "seconds": round(event.seconds, 3), **reason}


def _person(event: Interrupted | Approved) -> tuple[int, str, dict[str, Any]]:
    """What is asked of a person, by number only, and whether they agreed."""
    if isinstance(event, Interrupted):
        return logging.INFO, "interrupt", {"questions": len(event.questions)}
    by = {"by": event.by} if event.by else {}
    late = {"expired": True} if event.expired else {}
    return logging.INFO, "approval", {"call": event.call_id, "approved": event.approved, **by, **late}


def _tool(event: ToolStarted | ToolFinished) -> tuple[int, str, dict[str, Any]]:
    """A tool call; its arguments and output only at DEBUG."""
    deep = _log.isEnabledFor(logging.DEBUG)
    fields = {"tool": event.name, "call": event.call_id}
    if isinstance(event, ToolStarted):
        return logging.INFO, "tool.started", {**fields, **({"arguments": event.arguments} if deep else {})}
    output = {"output": event.output} if deep else {}
    fields = {**fields, "failed": event.is_error, "seconds": round(event.seconds, 3)}
    return logging.INFO, "tool.finished", {**fields, **output}
