"""What a run gives back. Knows nothing of how it was made."""

from typing import Any, Literal

from stretto._internal.plain import Plain
from stretto.messages import Message
from stretto.usage import Usage


class Citation(Plain, frozen=True):
    """A place in a source that supports a span of the answer. Offsets are in code points."""

    number: int
    """The mark in the answer, from 1."""
    document: str
    chunk: str
    quote: str
    page: int | None = None
    start: int = 0
    """Where the quote begins in the document's text."""
    end: int = 0
    span: tuple[int, int] = (0, 0)
    """Which part of `result.output` it supports."""
    score: float = 0.0
    version: str = ""
    """sha256 of the content that was cited: a later one may say otherwise."""
    region: tuple[float, float, float, float] | None = None
    """Left, top, right, bottom of the passage on its page, as shares of width and height."""


class ToolRun(Plain, frozen=True):
    """One tool call of a run, with its outcome."""

    name: str
    call_id: str
    arguments: str
    output: str = ""
    is_error: bool = False
    seconds: float = 0.0
    approved_by: str = ""
    """Who agreed to it, or declined it, where a person was asked and named."""


class Approval(Plain, frozen=True):
    """What a person said to a question of `approve`."""

    approved: bool
    value: Any = None
    """The answer itself, as plain data; None where it came too late."""
    by: str = ""
    """Who answered, where that was given."""
    at: float = 0.0
    """Seconds since 1970."""
    expired: bool = False
    """It came too late."""


class Missing(Plain, frozen=True):
    """Something that was down while the run went on without it."""

    node: str
    reason: str


class Result(Plain, frozen=True):
    """The end of a run. `output` is the answer's text, or the object of a requested schema."""

    output: Any
    run_id: str
    thread_id: str
    status: Literal["done", "interrupted", "stopped", "failed"] = "done"
    """interrupted: it waits for answers; stopped by somebody: `output` is what it said until then."""
    citations: tuple[Citation, ...] = ()
    path: tuple[str, ...] = ()
    """The nodes in the order they finished."""
    tools: tuple[ToolRun, ...] = ()
    usage: Usage = Usage()
    timings: dict[str, float] = {}
    """Seconds by node, `total`, and `first_text`: the first text or partial object."""
    missing: tuple[Missing, ...] = ()
    interrupts: dict[str, Any] = {}
    """Questions that wait for an answer, by call id."""
    messages: tuple[Message, ...] = ()
    """What this run added to the conversation."""
    state: dict[str, Any] = {}
    """The state's other keys at the end."""
