"""`RunContext`: what a node, tool or model sees of the run it plays in. Knows neither graph nor agent.

One `Run` is shared by all nodes of a run; each node gets a `RunContext` of its own that points to it.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, cast

from msgspec.structs import replace as replaced

from stretto._internal.namespaces import Namespace, scope
from stretto.errors import AnswerExpired, ConfigError, Pause
from stretto.events import Event, OutputDelta, Retracted, TextDelta, UsageReported
from stretto.questions import Answer, AnswerShape, Terms, revived, schema_of
from stretto.results import Citation, Missing, ToolRun
from stretto.settings import Limits
from stretto.steps import Journal, Place, Steps
from stretto.usage import Usage

if TYPE_CHECKING:
    from stretto.budgets import Ledger

Sink = Callable[[Event], None]
"""Takes each event as it happens; must return at once."""


class MediaReader(Protocol):
    """Where the bytes behind `media:<sha256>` are."""

    async def read(self, reference: str) -> bytes:
        """The bytes; raises MediaNotFound."""
        ...


class MediaKeeper(MediaReader, Protocol):
    """Where media that come up during a run are kept: pictures that a tool returns, for instance."""

    async def put(self, data: bytes, media_type: str) -> str:
        """Keeps `data` durably and returns its reference."""
        ...


class Counters(Protocol):
    """Sums by key over sliding windows, shared by everyone who holds to one limit.

    A window of `inf` is a total that stays. The same key over another window is another counter.
    """

    async def take(self, key: str, amount: float, *, limit: float, window: float) -> float:
        """Counts `amount` if the sum of the last `window` seconds stays within `limit`, and returns 0.

        Otherwise counts nothing and returns the seconds until it would fit: `inf` if it never will.
        """
        ...

    async def add(self, key: str, amount: float, *, window: float, ago: float = 0.0) -> float:
        """Counts `amount` in any case; returns the sum of the last `window` seconds.

        A negative amount gives back what was taken `ago` seconds before; the sum is never below 0.
        """
        ...


def _ignore(event: Event) -> None:
    """The sink of a run that nobody watches."""


@dataclass
class Run:
    """What all nodes of one run share. Mutable, and only touched from the run's event loop."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    thread_id: str = ""
    lease: int = 0
    """The token by which it may write to its thread; 0 where nobody else can."""
    sink: Sink = _ignore
    limits: Limits = field(default_factory=Limits)
    ledger: "Ledger | None" = None
    """What it may spend; None: nothing is counted."""
    deps: Any = None
    tenant: str = "default"
    user: str = ""
    """Of that tenant, whom the run is for; empty where nobody said."""
    media: MediaKeeper | None = None
    journal: Journal | None = None
    """Where the steps of its nodes are kept; None for a run that is not kept."""
    resumed: bool = False
    """It goes on with a turn that waited or was left."""
    fork: str = ""
    """The checkpoint that it goes on from, where that is not the last one of its thread."""
    clock: Callable[[], float] = time.time
    """Tells the seconds since 1970."""
    started: float = field(default_factory=time.perf_counter)
    number: int = 0
    usage: Usage = field(default_factory=Usage)
    path: list[str] = field(default_factory=list[str])
    tools: list[ToolRun] = field(default_factory=list[ToolRun])
    citations: list[Citation] = field(default_factory=list[Citation])
    missing: list[Missing] = field(default_factory=list[Missing])
    timings: dict[str, float] = field(default_factory=dict[str, float])
    visits: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class RunContext:
    """A node's view of its run."""

    run: Run = field(default_factory=Run)
    node: str = ""
    task_id: str = ""
    """Stays the same when the node runs again after a pause or retry."""
    answers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Answers to this node's earlier questions, by call id."""
    given: Mapping[str, Answer] = field(default_factory=dict[str, Answer])
    """The same, with who gave them and on what terms."""
    until: Mapping[str, float] = field(default_factory=dict[str, float])
    """When questions that were asked before and still wait are too late to answer, by call id."""
    call_id: str = ""
    """The tool call this context was made for; empty outside tools."""
    steps: Steps = field(default_factory=Steps)
    """What this node did before, and what it does now."""
    step: Place | None = None
    """The number of the tool call this context was made for."""

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.id

    @property
    def thread_id(self) -> str:
        """The conversation's id."""
        return self.run.thread_id

    @property
    def deps(self) -> Any:
        """What the caller passed as `deps`."""
        return self.run.deps

    @property
    def user(self) -> str:
        """Whom the run is for; empty where nobody said."""
        return self.run.user

    @property
    def namespace(self) -> Namespace:
        """Where what is remembered of the user is, in langgraph's Store; raises ConfigError without one."""
        if not self.run.user:
            raise ConfigError(
                "this run is for no user; give run(..., user=...), and tenant= where there are some"
            )
        return scope(self.run.tenant, self.run.user)

    @property
    def limits(self) -> Limits:
        """What this run may use."""
        return self.run.limits

    @property
    def media(self) -> MediaKeeper | None:
        """Where media references are read and new media kept, if anywhere."""
        return self.run.media

    @property
    def idempotency_key(self) -> str:
        """Names this tool call: the same when it has to run again after a crash. Empty outside tools."""
        return "" if self.step is None else self.steps.key_of(self.step)

    def at(
        self,
        node: str,
        task_id: str = "",
        answers: Mapping[str, Any] | None = None,
        *,
        until: Mapping[str, float] | None = None,
        owner: int = 0,
    ) -> "RunContext":
        """The same run, seen from `node`, which runs in the asyncio task with the id `owner`."""
        run = self.run
        steps = Steps(run.journal, run.thread_id, task_id or run.id, owner, fresh=not run.resumed)
        seen = RunContext(run, node, task_id, call_id=self.call_id, steps=steps)
        return seen.answering(answers, until or {}) if answers or until else seen

    def answering(self, answers: Mapping[str, Any] | None, until: Mapping[str, float]) -> "RunContext":
        """The same node with these answers to its questions, and times until which others may wait."""
        answers = answers or {}
        given = {name: each for name, each in answers.items() if isinstance(each, Answer)}
        values = {**answers, **{name: each.value for name, each in given.items()}}
        return replace(self, answers=values, given=given, until=until)

    def anew(self) -> "RunContext":
        """For another run of the same node; what it said so far is taken back."""
        if self.steps.said:
            self.emit(Retracted(length=self.steps.said, reason="the node runs again"))
        return replace(self, steps=self.steps.anew())

    def emit(self, event: Event) -> None:
        """Numbers the event and hands it to whoever watches the run."""
        run = self.run
        event.run_id = run.id
        event.number = run.number = run.number + 1
        event.node = event.node or self.node
        event.at = time.perf_counter() - run.started
        kind = type(event)
        if kind is TextDelta or kind is OutputDelta:
            if "first_text" not in run.timings:
                run.timings["first_text"] = event.at
            if kind is TextDelta:
                self.steps.said += len(cast("TextDelta", event).text)
        elif kind is Retracted:
            self.steps.said -= cast("Retracted", event).length
        run.sink(event)

    def interrupt(
        self,
        question: Any,
        *,
        call_id: str = "",
        schema: AnswerShape | None = None,
        expires: float | None = None,
    ) -> Any:
        """The answer to `question`, or, while there is none, a `Pause` that ends the node's run.

        Args:
            question: Plain data for whoever answers.
            call_id: Names the question; inside a tool it is the tool call's id if none is given.
            schema: What the answer has to fit: a type, of which it is then an object, or a JSON Schema. An
                answer that does not fit is refused, and the thread still waits.
            expires: Seconds after which an answer comes too late.

        Raises:
            AnswerExpired: The answer came too late.
            Pause: There is none yet.
        """
        answer = self.ask(question, call_id=call_id, schema=schema, expires=expires)
        if answer.expired:
            raise AnswerExpired(f"the answer to `{call_id or self.call_id or self.node}` came too late")
        return answer.value

    def ask(
        self,
        question: Any,
        *,
        call_id: str = "",
        schema: AnswerShape | None = None,
        expires: float | None = None,
        bound: str = "",
    ) -> Answer:
        """As `interrupt`, and tells who answered; an answer that came too late says so.

        With `bound`, an answer holds for a question that was bound to the same only: any other is asked anew.
        """
        key = call_id or self.call_id or self.node
        if key in self.answers:
            raw = Answer(self.answers[key], bound=bound)  # past our own resume, by langgraph's Command
            answer = self.given.get(key, raw)
            if answer.expired:
                return answer
            if not bound or answer.bound == bound:
                with suppress(ValueError):
                    return replaced(answer, value=revived(answer.value, schema))
        until = self.until.get(key)
        if until is None and expires is not None:
            until = self.run.clock() + expires
        raise Pause({key: question}, terms={key: Terms(schema_of(schema), until, bound)})

    def spend(self, usage: Usage, *, model: str = "") -> None:
        """Counts a model call against the run; raises LimitReached when its tokens are used up.

        Calls of `nodes.affordable` models are reserved beforehand, and refused before they are made.
        """
        run = self.run
        run.usage = run.usage + usage
        self.emit(UsageReported(usage=usage, model=model))
        if run.ledger is not None:
            run.ledger.charge(usage, model=model, node=self.node, total=run.usage)


_current: ContextVar[RunContext | None] = ContextVar("stretto_run_context", default=None)


def current_context() -> RunContext:
    """The context of the run we are in, or a fresh one with defaults."""
    return _current.get() or RunContext()


def running_context() -> RunContext | None:
    """The context of the run we are in, or None outside of one."""
    return _current.get()


def use_context(context: RunContext | None) -> None:
    """Makes `context` the one that `current_context` returns in this task and those it starts."""
    _current.set(context)
