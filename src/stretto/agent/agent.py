"""`Agent`: a compiled graph with its models, tools, knowledge and threads. Run it, stream it, mount it.

Knows no HTTP and no terminal; what happens in a run leaves it as events.
"""

import asyncio
import time
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from stretto._internal.bridge import run_sync
from stretto.agent.folder import build_graph, read_folder
from stretto.agent.opened import Opened, Threads
from stretto.agent.presets import answering
from stretto.agent.question import as_question, check_thread
from stretto.agent.spec import AgentSpec
from stretto.agent.spending import Spending
from stretto.context import Run, RunContext
from stretto.errors import ConfigError
from stretto.events import ErrorRaised, Event, Interrupted, RunFinished, RunStarted
from stretto.graph import Graph, new_turn
from stretto.graph.stream import play
from stretto.knowledge import KnowledgeBase
from stretto.media.store import MediaStore
from stretto.messages import Message, Part
from stretto.models.factory import as_model
from stretto.models.output import Form, Shape
from stretto.models.protocol import ChatModel
from stretto.observe import logged
from stretto.prompts import Prompt
from stretto.results import Result
from stretto.settings import Budgets, Limits
from stretto.threads import Retention
from stretto.tools import Tool, tool

Question = str | Part | Message | Iterable[str | Part]
Progress = Callable[[int, int, str], None]
"""Takes (done, total, what) while knowledge is read."""


class Agent:
    """An assistant: answers questions in threads, with tools, knowledge and pictures.

    Args:
        graph: A graph of your own; without one the preset answers with `tools` and `knowledge`.
        model: `"provider:model"` or a ChatModel. Not with `graph`.
        tools: Functions with `@tool`, or plain typed functions.
        knowledge: A knowledge base, or the name or path of one.
        instructions: What the model is told before everything else.
        output: What answers have to fit: a pydantic model, msgspec struct, dataclass or TypedDict, a list of
            one, or a JSON Schema. `result.output` is then an object of it, and the stream brings
            `OutputDelta`s.
        name: For events and logs.
        limits: What one run may use.
        budgets: What may be spent for a run, thread, tenant and node, also as the mapping that agent.yaml
            would hold; as `Spending` with prices and counters.
        threads: Where conversations are kept: a path (sqlite), `"memory"`, or None for nowhere.
        retention: How much of the threads is kept; None keeps all.
        media: Where pictures and documents are kept; by default `.stretto/media` of the project.
    """

    def __init__(
        self,
        graph: Graph | None = None,
        *,
        model: str | ChatModel | None = None,
        tools: Sequence[Tool | Callable[..., Any]] = (),
        knowledge: KnowledgeBase | str | Path | None = None,
        instructions: Prompt | str = "",
        output: Shape | None = None,
        name: str = "agent",
        limits: Limits | None = None,
        budgets: Budgets | Mapping[str, Any] | Spending | None = None,
        threads: Threads = "memory",
        retention: Retention | None = None,
        media: MediaStore | Path | None = None,
    ) -> None:
        self.name = name
        self.limits = limits or Limits()
        self.knowledge = KnowledgeBase(knowledge) if isinstance(knowledge, str | Path) else knowledge
        self.spec: AgentSpec | None = None
        """The folder's spec, for an agent from a folder."""
        self.documents: Path | None = None
        """The folder whose documents are the knowledge, if any."""
        self._model: ChatModel | None = None
        self._asked: list[ChatModel] = []
        self._form = None if output is None else Form(output)
        if graph is None:
            if model is None:
                raise ConfigError(
                    'an Agent needs a model, for instance Agent(model="local:qwen2.5-coder-0.5b")'
                )
            self._model = as_model(model)
            self._asked = [self._model]
            graph = answering(
                self._model,
                tools=[item if isinstance(item, Tool) else tool(item) for item in tools],
                knowledge=self.knowledge,
                prompt=instructions,
                limits=self.limits,
                output=self._form,
            )
        elif model is not None or tools or instructions or output is not None:
            raise ConfigError(
                "an Agent takes either `graph` or `model`, `tools`, `instructions` and `output`, not both"
            )
        self.graph = graph
        self._spending = budgets if isinstance(budgets, Spending) else Spending(budgets)
        self._spending.check(node.name for node in graph.nodes)
        self._spending.keep_beside(threads)
        self._opened = Opened(graph, threads=threads, media=media, retention=retention)
        self._prepared = False

    @classmethod
    def from_folder(
        cls,
        path: Path | str,
        *,
        model: str | None = None,
        threads: Threads | None = None,
        retention: Retention | None = None,
    ) -> Self:
        """The agent in the folder `path` (or of that name in the project); raises ConfigError with the place.

        Args:
            path: `agents/NAME`, or `NAME` from inside the project.
            model: Answers instead of the configured chat model.
            threads: Where conversations are kept; by default `threads.sqlite` in the project's storage.
            retention: How much of the threads is kept; by default what the project's file says.
        """
        spec, documents = read_folder(path, model=model)
        agent = cls(
            build_graph(spec),
            knowledge=spec.knowledge,
            name=spec.name,
            limits=spec.limits,
            budgets=spec.spending(),
            threads=spec.project.storage / "threads.sqlite" if threads is None else threads,
            retention=retention or spec.project.file.retention,
            media=spec.project.storage / "media",
        )
        agent.spec, agent.documents = spec, documents
        if not (spec.folder / "graph.py").is_file():  # which may ask others
            agent._asked = spec.models.answering()
        return agent

    async def open(self, *, progress: Progress | None = None) -> Self:
        """Reads new and changed documents of the agent's folder. `run` does it by itself the first time.

        Raises:
            ConfigError: The budgets ask for what is not there: a price, or a tier.
        """
        if not self._prepared:
            self._spending.open(self._asked)
            if self.documents is not None and self.knowledge is not None:
                await self.knowledge.add(self.documents, progress=progress, tenant="default")
            self._prepared = True
        return self

    async def run(
        self,
        question: Question | None = None,
        *,
        thread_id: str | None = None,
        answers: Mapping[str, Any] | None = None,
        deps: Any = None,
        limits: Limits | None = None,
        tenant: str = "default",
    ) -> Result:
        """One turn, to its end.

        Args:
            question: Text, a part, a message, or a list of texts and parts.
            thread_id: Which conversation goes on; None begins one.
            answers: Answers to the thread's open questions by call id, instead of a question.
            deps: For tools and nodes, as `ctx.deps`.
            limits: Instead of the agent's.
            tenant: On whose behalf.

        Raises:
            ThreadError: The thread waits for answers and got a question, or the answers fit none of them.
            StrettoError: The turn could not be ended otherwise; see `stretto.errors`.
        """
        run = self._new_run(thread_id, deps, limits, tenant)
        return await self._turn(run, question, answers, kept=thread_id is not None)

    def run_sync(self, question: Question | None = None, **options: Any) -> Result:
        """`run` for code without an event loop, and for notebooks. Takes what `run` takes."""
        return run_sync(self.run(question, **options))

    async def stream(
        self,
        question: Question | None = None,
        *,
        thread_id: str | None = None,
        answers: Mapping[str, Any] | None = None,
        deps: Any = None,
        limits: Limits | None = None,
        tenant: str = "default",
    ) -> AsyncGenerator[Event]:
        """One turn as numbered events, `RunFinished` last. Takes what `run` takes; closing it cancels."""
        events: deque[Event] = deque()
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] | None = None
        run = self._new_run(thread_id, deps, limits, tenant)

        def sink(event: Event) -> None:
            events.append(event)
            wake()

        def wake() -> None:
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

        run.sink = sink

        def ended(turn: asyncio.Task[Result]) -> None:
            if not turn.cancelled():
                turn.exception()  # looked at: one who left early is told of no failure any more
            wake()

        turn = asyncio.create_task(self._turn(run, question, answers, kept=thread_id is not None))
        turn.add_done_callback(ended)
        try:
            while not turn.done() or events:
                while events:
                    yield events.popleft()
                if not turn.done():
                    waiting = loop.create_future()
                    await waiting
            turn.result()
        finally:
            if not turn.done():
                turn.cancel()
                await asyncio.wait([turn])  # `await turn` would take a cancel of the reader's for the turn's

    async def messages(self, thread_id: str) -> list[Message]:
        """The conversation so far, empty for a new thread. Raises ThreadError where none are kept."""
        return await self._opened.messages(thread_id)

    async def __call__(self, question: Question, **options: Any) -> Result:
        """`run`: an agent is a task for an evaluation."""
        return await self.run(question, **options)

    async def __aenter__(self) -> Self:
        """`open`."""
        return await self.open()

    async def __aexit__(self, *exc: object) -> None:
        """`close`."""
        await self.close()

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncGenerator[None]:
        """For `FastAPI(lifespan=agent.lifespan)`."""
        async with self:
            yield

    async def close(self) -> None:
        """Closes models, knowledge and threads. May be called twice."""
        await self._opened.close()
        if self.knowledge is not None:
            await self.knowledge.close()
        if self.spec is not None:
            await self.spec.models.close()
        if self._model is not None:
            await self._model.close()
        await self._spending.close()
        self._prepared = False

    def _new_run(self, thread_id: str | None, deps: Any, limits: Limits | None, tenant: str) -> Run:
        if thread_id is not None:
            check_thread(thread_id)
        chosen: Any = limits or self.limits
        if not isinstance(chosen, Limits):
            raise ConfigError(f"limits is a `{type(chosen).__name__}`; give Limits(steps=..., seconds=...)")
        run = Run(thread_id=thread_id or uuid.uuid4().hex, deps=deps, limits=chosen, tenant=tenant)
        run.ledger = self._spending.ledger(run, self.name)
        return run

    async def _turn(
        self, run: Run, question: Question | None, answers: Mapping[str, Any] | None, *, kept: bool
    ) -> Result:
        run.sink = logged(run.sink)
        ctx = RunContext(run)
        ctx.emit(RunStarted(thread_id=run.thread_id, agent=self.name))
        try:
            result = await self._play(run, question, answers, kept=kept)
        except asyncio.CancelledError:
            ctx.emit(RunFinished(status="cancelled"))  # for the log: who watched has left
            raise
        except Exception as error:
            if not getattr(error, "_stretto_reported", False):  # the graph tells of what fails in a node
                ctx.emit(ErrorRaised(kind=type(error).__name__, message=str(error)))
            ctx.emit(RunFinished(status="failed"))
            raise
        if result.interrupts:
            ctx.emit(Interrupted(questions=result.interrupts))
        ctx.emit(RunFinished(status=result.status, result=result))
        return result

    async def _play(
        self, run: Run, question: Question | None, answers: Mapping[str, Any] | None, *, kept: bool
    ) -> Result:
        if question is not None and answers is not None:
            raise ConfigError("run() takes a question or `answers`, not both")
        if question is None and answers is None:
            raise ConfigError("run() needs a question, or answers to a paused thread's questions")
        message = None if question is None else as_question(question)
        await self.open()
        opened, thread_id = self._opened, run.thread_id
        compiled = await opened.compiled(kept=kept)
        turn_input, before = None, {}
        with opened.playing(thread_id):
            if message is not None:
                message = await opened.take_in(message, run)
                turn_input, before = (
                    await opened.begin(message, thread_id) if kept else (new_turn(message), {})
                )
            fresh = message is not None and not before
            if fresh:
                await opened.make_room(compiled)
            opened.serve_media(run)
            final, questions = await play(compiled, turn_input, run=run, resume=answers, before=before)
            await opened.prune(compiled, thread_id, waiting=bool(questions), fresh=fresh)
        if self._form is not None and final.get("output") is not None:
            final = {**final, "output": self._form.revive(final["output"])}
        run.timings["total"] = time.perf_counter() - run.started
        return _result(run, final, questions)


def _result(run: Run, final: Mapping[str, Any], questions: Mapping[str, Any]) -> Result:
    return Result(
        output=final.get("output"),
        run_id=run.id,
        thread_id=run.thread_id,
        status="interrupted" if questions else "done",
        citations=tuple(final.get("citations") or ()),
        path=tuple(run.path),
        tools=tuple(run.tools),
        usage=run.usage,
        timings=dict(run.timings),
        missing=tuple(run.missing),
        interrupts=dict(questions),
        messages=_added(final.get("messages") or ()),
        state={key: value for key, value in final.items() if key not in ("messages", "output", "citations")},
    )


def _added(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages after the last question."""
    last = max((index for index, message in enumerate(messages) if message.role == "user"), default=-1)
    return tuple(messages[last + 1 :])
