"""`Agent`: a compiled graph with its models, tools, knowledge and threads. Run it, stream it, mount it.

Knows no HTTP and no terminal; what happens in a run leaves it as events.
"""

import asyncio
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
from stretto.agent.question import Asked, as_asked, check_run
from stretto.agent.running import Running, Started
from stretto.agent.spec import AgentSpec
from stretto.agent.spending import Spending
from stretto.agent.turn import Player
from stretto.context import Run
from stretto.errors import ConfigError
from stretto.events import Event
from stretto.graph import Graph
from stretto.knowledge import KnowledgeBase
from stretto.media.references import DAY, Held, Quota, Swept
from stretto.media.store import MediaStore
from stretto.messages import Message, Part
from stretto.models.factory import as_model
from stretto.models.output import Form, Shape
from stretto.models.protocol import ChatModel, Embedder
from stretto.prompts import Prompt
from stretto.results import Result
from stretto.settings import Budgets, Limits
from stretto.threads import Retention
from stretto.threads.runs import SecondTurn, check_policy
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
        threads: Where conversations are kept: a path (sqlite), `postgresql://USER:PASSWORD@HOST:PORT/NAME`,
            `"memory"`, or None for nowhere.
        threads_key: Encrypts them: 64 hexadecimal digits; None: `STRETTO_THREADS_KEY`, but not in memory.
        retention: How much of the threads is kept; None keeps all.
        second_turn: What a turn does while another one of its thread runs: `reject` (ThreadBusy), `enqueue`,
            `interrupt` (stops the other, and keeps what it said) or `merge` (one turn for both messages).
        media: Where pictures and documents are kept: a store, a folder, a file on `.sqlite` or a URL such as
            `s3://bucket/media`; by default `.stretto/media` of the project.
        media_quota: Bytes of media that each tenant may keep in threads, or those that are named.
        embedder: Finds by meaning what is remembered of users, and lets the preset remember: docs/memory.
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
        threads_key: str | bytes | None = None,
        retention: Retention | None = None,
        second_turn: SecondTurn = "reject",
        media: MediaStore | Path | str | None = None,
        media_quota: Quota = None,
        embedder: Embedder | str | Callable[[], Embedder] | None = None,
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
                example = 'Agent(model="local:qwen2.5-coder-0.5b")'
                raise ConfigError(f"an Agent needs a model, for instance {example}")
            self._model = as_model(model)
            self._asked = [self._model]
            graph = answering(
                self._model,
                tools=[item if isinstance(item, Tool) else tool(item) for item in tools],
                knowledge=self.knowledge,
                prompt=instructions,
                limits=self.limits,
                output=self._form,
                memory=embedder is not None,
            )
        elif model is not None or tools or instructions or output is not None:
            others = "`model`, `tools`, `instructions` and `output`"
            raise ConfigError(f"an Agent takes either `graph` or {others}, not both")
        self.graph = graph
        self._spending = budgets if isinstance(budgets, Spending) else Spending(budgets)
        self._spending.check(node.name for node in graph.nodes)
        self._spending.keep_beside(threads)
        kept: dict[str, Any] = {"threads": threads, "key": threads_key, "retention": retention}
        self._opened = Opened(graph, media=media, quota=media_quota, **kept)
        self._opened.embedder = embedder
        self._player = Player(
            name, self._opened, prepare=self.open, form=self._form, second_turn=check_policy(second_turn)
        )
        self._running = Running(name, self._opened, self._player)
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
            threads: Where conversations are kept; by default what the project's file says, else
                `threads.sqlite` in its storage.
            retention: How much of the threads is kept; by default what the project's file says.
        """
        spec, documents = read_folder(path, model=model)
        agent = cls(
            build_graph(spec),
            knowledge=spec.knowledge,
            name=spec.name,
            limits=spec.limits,
            budgets=spec.spending(),
            threads=spec.project.threads if threads is None else threads,
            retention=retention or spec.project.file.retention,
            second_turn=spec.file.second_turn,
            media=spec.project.media,
            media_quota=spec.project.file.media.quota,
            embedder=lambda: spec.models.embed,
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
        user: str = "",
    ) -> Result:
        """One turn, to its end.

        Args:
            question: Text, a part, a message, or a list of texts and parts.
            thread_id: Which conversation goes on; None begins one.
            answers: Answers to the thread's open questions by call id, instead of a question: plain values,
                or `Answer(value, by=...)` with who gave it.
            deps: For tools and nodes, as `ctx.deps`.
            limits: Instead of the agent's.
            tenant: On whose behalf.
            user: Of the tenant, whom it is for: what is remembered is theirs.

        Raises:
            ThreadError: The thread waits for answers and got a question, or the answers fit none of them.
            StrettoError: The turn could not be ended otherwise; see `stretto.errors`.
        """
        run = self._new_run(thread_id, deps, limits, tenant, user)
        return await self._player.turn(run, as_asked(question, answers), kept=thread_id is not None)

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
        user: str = "",
    ) -> AsyncGenerator[Event]:
        """One turn as numbered events, `RunFinished` last. Takes what `run` takes; closing it cancels."""
        events: deque[Event | None] = deque()
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] | None = None
        run = self._new_run(thread_id, deps, limits, tenant, user)

        def sink(event: Event | None) -> None:
            events.append(event)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

        run.sink = sink

        def ended(turn: asyncio.Task[Result]) -> None:
            if not turn.cancelled():
                turn.exception()  # looked at: one who left early is told of no failure any more
            sink(None)

        asked = as_asked(question, answers)
        turn = asyncio.create_task(self._player.turn(run, asked, kept=thread_id is not None))
        turn.add_done_callback(ended)
        try:
            while True:
                if not events:
                    waiting = loop.create_future()
                    await waiting
                event = events.popleft()
                if event is None:
                    break
                yield event
            turn.result()
        finally:
            if not turn.done():
                turn.cancel()
                await asyncio.wait([turn])  # `await turn` would take a cancel of the reader's for the turn's

    async def start(
        self,
        question: Question | None = None,
        *,
        thread_id: str | None = None,
        answers: Mapping[str, Any] | None = None,
        deps: Any = None,
        limits: Limits | None = None,
        tenant: str = "default",
        user: str = "",
    ) -> Started:
        """Starts a turn that goes on when its caller leaves, or the program ends. Takes what `run` takes.

        Its events are kept for a day: `follow` gives them from any number on, also after a restart.

        Raises:
            ThreadBusy: Another turn plays the thread.
            ThreadError: This agent keeps no threads.
        """
        run = self._new_run(thread_id, deps, limits, tenant, user)
        await self._running.start(run, as_asked(question, answers))
        return Started(run.id, run.thread_id)

    def follow(self, run_id: str, *, after: int = 0) -> AsyncGenerator[Event]:
        """The events of a started run behind number `after`, as they come, to its `RunFinished`.

        Closing it leaves the run alone. Raises ThreadError where there is no such run.
        """
        return self._running.events(run_id, after)

    async def result(self, run_id: str) -> Result:
        """The result of a started run, once it has ended; raises ThreadError where it failed."""
        return await self._running.result(run_id)

    async def stop(self, run_id: str) -> bool:
        """Stops a run, whichever process plays it; what it said stays in the conversation.

        Returns once it has ended; False where it had ended before.
        """
        return await self._running.stop(run_id)

    async def resume(
        self,
        thread_id: str,
        *,
        deps: Any = None,
        limits: Limits | None = None,
        tenant: str = "default",
        user: str = "",
    ) -> Result:
        """Goes on with a turn that failed, was left, or whose program ended; nothing it did is done again.

        Raises:
            ThreadError: The thread's last turn came to its end.
        """
        run = self._new_run(thread_id, deps, limits, tenant, user)
        return await self._player.turn(run, Asked(), kept=True)

    async def recover(self, *, deps: Any = None) -> list[str]:
        """Takes up the started runs of this agent whose programs ended; returns their ids.

        Call it when a server starts; `lifespan` does. `deps` goes to them as `ctx.deps`.
        """
        return await self._running.recover(
            lambda its: self._new_run(its.thread_id, deps, None, its.tenant, its.user, run_id=its.run_id)
        )

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
            if self._opened.keeps(kept=False):
                await self.recover()
            yield

    async def held_media(self, thread_ids: Iterable[str]) -> list[Held]:
        """The media that these threads hold."""
        return await self._opened.held_media(thread_ids)

    async def sweep_media(self, *, older_than: float = DAY, among: Iterable[Held] | None = None) -> Swept:
        """Drops media that no thread holds any more. All threads whose media the store keeps are the agent's.

        Args:
            older_than: Seconds since they were put last; longer than any turn takes.
            among: What to look at, as `held_media` told before threads were deleted; None: all.

        Raises:
            ThreadError: Its threads are not kept in a database.
        """
        return await self._opened.sweep_media(older_than, among)

    async def close(self) -> None:
        """Closes models, knowledge and threads; leaves started runs to who recovers them. Twice is fine."""
        await self._running.close()
        await self._opened.close()
        if self.knowledge is not None:
            await self.knowledge.close()
        if self.spec is not None:
            await self.spec.models.close()
        if self._model is not None:
            await self._model.close()
        await self._spending.close()
        self._prepared = False

    def _new_run(
        self,
        thread_id: str | None,
        deps: Any,
        limits: Limits | None,
        tenant: str,
        user: str,
        run_id: str = "",
    ) -> Run:
        chosen = limits or self.limits
        check_run(thread_id, chosen, tenant, user)
        thread_id = thread_id or uuid.uuid4().hex
        run = Run(run_id or uuid.uuid4().hex, thread_id, deps=deps, limits=chosen, tenant=tenant, user=user)
        run.ledger = self._spending.ledger(run, self.name)
        return run
