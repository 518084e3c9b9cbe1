"""The events of a run: a closed union, numbered from 1 without gaps. Knows nothing of senders and readers.

`emit` fills `run_id`, `number`, `node` and `at`; a sender gives only what the event says.
"""

from typing import Any, Literal

import msgspec

from stretto.documents import Hit
from stretto.results import Citation, Missing, Result
from stretto.usage import Usage


class _Event(msgspec.Struct, tag_field="type", kw_only=True):
    run_id: str = ""
    number: int = 0
    node: str = ""
    at: float = 0.0
    """Seconds since the run began."""


class RunStarted(_Event, tag="run.started"):
    """The run begins."""

    thread_id: str = ""
    agent: str = ""


class RunFinished(_Event, tag="run.finished"):
    """The run ended: `done`, `interrupted` (waits for answers), `stopped`, `failed` or `cancelled` (left)."""

    status: Literal["done", "interrupted", "stopped", "failed", "cancelled"] = "done"
    result: Result | None = None
    """None where the run failed or was left."""


class NodeStarted(_Event, tag="node.started"):
    """A node begins."""


class NodeFinished(_Event, tag="node.finished"):
    """A node ended: `ok`, `fallback` (it failed and another way was taken) or `failed`."""

    status: Literal["ok", "fallback", "failed"] = "ok"
    seconds: float = 0.0
    missing: Missing | None = None
    detail: dict[str, Any] = {}
    """What the node wants shown, for instance the route it chose."""


class TextDelta(_Event, tag="text.delta"):
    """Text of the answer, in order. `chunks` counts the endpoint's deltas it holds."""

    text: str = ""
    chunks: int = 1


class OutputDelta(_Event, tag="output.delta"):
    """A structured answer as far as it is known: plain data that takes the place of the event before.

    Texts and numbers at its end may still grow. The last one is the whole, checked answer; None takes back
    what was shown.
    """

    partial: Any = None


class ReasoningDelta(_Event, tag="reasoning.delta"):
    """What the model thinks aloud."""

    text: str = ""


class ToolStarted(_Event, tag="tool.started"):
    """A tool call begins. `arguments` is JSON text."""

    call_id: str = ""
    name: str = ""
    arguments: str = "{}"
    fork: str = ""
    """The checkpoint that the run was forked from: the call is another one than that of the first way."""
    recalled: bool = False
    """It ended before, and does not run: its result is told again."""


class ToolFinished(_Event, tag="tool.finished"):
    """A tool call ended; `output` is what the model is told."""

    call_id: str = ""
    name: str = ""
    arguments: str = "{}"
    output: str = ""
    is_error: bool = False
    seconds: float = 0.0
    recalled: bool = False


class Retrieved(_Event, tag="retrieval"):
    """A search of the knowledge base, with what it found."""

    query: str = ""
    hits: tuple[Hit, ...] = ()


class Cited(_Event, tag="citation"):
    """A source that supports a part of the answer."""

    citation: Citation


class Retracted(_Event, tag="retract"):
    """Take back the last `length` code points of the text shown so far."""

    length: int = 0
    reason: str = ""
    """Why, for a person."""


class Interrupted(_Event, tag="interrupt"):
    """The run waits for answers, by call id."""

    questions: dict[str, Any] = {}


class Approved(_Event, tag="approval"):
    """A person answered: the call may run, or not."""

    call_id: str = ""
    approved: bool = False
    by: str = ""
    """Who answered, where that was given."""
    expired: bool = False
    """The answer came too late, which is a no."""


class UsageReported(_Event, tag="usage"):
    """What one model call consumed."""

    usage: Usage
    model: str = ""


class BudgetLow(_Event, tag="budget"):
    """A budget is nearly spent, and the agent takes a step it declared for that."""

    budget: str = ""
    """Scope and kind, such as `tenant.money`."""
    share: float = 0.0
    """What is spent of it, 1.0 being all."""
    step: Literal["cheaper_model", "less_context", "no_tools", "partial_answer"] = "cheaper_model"


class ErrorRaised(_Event, tag="error"):
    """Something failed. `kind` is the class of our error tree."""

    kind: str = ""
    message: str = ""


Event = (
    RunStarted
    | RunFinished
    | NodeStarted
    | NodeFinished
    | TextDelta
    | OutputDelta
    | ReasoningDelta
    | ToolStarted
    | ToolFinished
    | Retrieved
    | Cited
    | Retracted
    | Interrupted
    | Approved
    | UsageReported
    | BudgetLow
    | ErrorRaised
)
"""The closed union."""
