"""What an agent holds open: the compiled graph and its thread store (one an event loop), and the media."""

import asyncio
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from stretto.agent.project import find_project
from stretto.agent.rounds import left_rounds
from stretto.context import Run
from stretto.errors import ConfigError, ThreadError
from stretto.graph import Graph, new_turn
from stretto.graph.ground import Compiled, Overwrite
from stretto.graph.state import add_messages
from stretto.graph.stream import add_to_thread, thread_messages, thread_standing, with_deltas
from stretto.media.intake import take_in
from stretto.media.ready import ReadyPictures
from stretto.media.references import Held, MediaReferences, Quota, Swept, check_quota
from stretto.media.store import MediaStore
from stretto.media.stores import store_at
from stretto.media.thread_media import ThreadMedia
from stretto.messages import Message
from stretto.models.factory import embedder
from stretto.models.protocol import Embedder
from stretto.nodes.node import last_turns
from stretto.threads import Retention
from stretto.threads.database import Database
from stretto.threads.history import answered
from stretto.threads.journal import ThreadJournal
from stretto.threads.runs import fence
from stretto.threads.stores import open_memories, open_store, store_of, threads_key
from stretto.threads.turns import Turns

Threads = Path | Literal["memory"] | str | None
"""A path (sqlite), `postgresql://USER:PASSWORD@HOST:PORT/NAME`, `"memory"`, or None for nowhere."""


class Kept(NamedTuple):
    """What keeps threads in one event loop."""

    compiled: Compiled
    """The graph with its checkpointer."""
    database: Database
    turns: Turns
    """Who plays which thread."""
    unthreaded: Compiled
    """The graph for turns whose threads are not kept, with what is remembered."""


_KEEP_ALL = Retention(checkpoints=None)


class Opened:
    """Opens lazily, closes once."""

    def __init__(
        self,
        graph: Graph,
        *,
        threads: Threads,
        media: MediaStore | Path | str | None,
        quota: Quota = None,
        retention: Any = None,
        key: str | bytes | None = None,
    ) -> None:
        if not isinstance(retention, Retention | None):
            raise ConfigError(
                f"retention is a `{type(retention).__name__}`; give Retention(threads=..., turns=...): "
                "`from stretto.threads import Retention`"
            )
        self._graph, self._threads, self._retention = graph, threads, retention or _KEEP_ALL
        self._key = threads_key(key, threads)
        self._playing: Counter[str] = Counter()
        self._media = store_at(media) if isinstance(media, Path | str) else media
        self._quota, self._ready = check_quota(quota), ReadyPictures()
        self._bare: Compiled | None = None
        self.embedder: Embedder | str | Callable[[], Embedder] | None = None
        """For what is remembered across threads."""
        self._kept: dict[asyncio.AbstractEventLoop, tuple[AsyncExitStack, Kept]] = {}
        self._opening: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    def keeps(self, *, kept: bool) -> bool:
        """Whether a turn's thread is kept: in memory, only one that goes on."""
        return self._threads is not None and (self._threads != "memory" or kept)

    async def bare(self, run: Run) -> Compiled:
        """The graph without a thread store, for a user with what is remembered of them."""
        if run.user and self._threads is not None:
            return (await self.kept()).unthreaded
        if self._bare is None:
            self._bare = self._graph.compile()
        return self._bare

    async def kept(self) -> Kept:
        """The graph with its thread store; raises ThreadError where none are kept."""
        if self._threads is None:
            raise ThreadError("this agent keeps no threads; make it with `threads=` a path, or 'memory'")
        loop = asyncio.get_running_loop()
        if loop in self._kept:
            return self._kept[loop][1]
        async with self._opening.setdefault(loop, asyncio.Lock()):
            if loop not in self._kept:
                for ended in [other for other in self._kept if other.is_closed()]:
                    self._kept.pop(ended, None)  # its store goes with it: a saver waits in one loop only
                self._kept[loop] = await self._open(self._threads)
        return self._kept[loop][1]

    async def _open(self, threads: Path | str) -> tuple[AsyncExitStack, Kept]:
        async with AsyncExitStack() as stack:
            store = open_store(store_of(threads), threads, *self._graph.states, key=self._key)
            saver = await stack.enter_async_context(store)
            memories = open_memories(saver, self._embeds if self.embedder else None)
            compiled = self._graph.compile(checkpointer=saver, store=memories)
            self._refuse_deltas(compiled)
            database: Database = saver.file
            unthreaded = self._graph.compile(store=memories) if threads == "memory" else compiled
            return stack.pop_all(), Kept(compiled, database, Turns(database), unthreaded)

    def _embeds(self) -> Embedder:
        made: Any = self.embedder
        if isinstance(made, str):
            made = embedder(made)
        elif not isinstance(made, Embedder):
            made = made()
        self.embedder = made
        return made

    def _refuse_deltas(self, compiled: Any) -> None:
        deltas = with_deltas(compiled)
        if deltas and self._retention.checkpoints is not None:
            raise ConfigError(
                f"state key `{deltas[0]}` is a DeltaChannel, which needs all checkpoints of a thread; "
                "give Retention(checkpoints=None), or another reducer"
            )

    async def messages(self, thread_id: str) -> list[Message]:
        """The conversation of a thread."""
        return await thread_messages((await self.kept()).compiled, thread_id)

    def first(self, message: Message) -> dict[str, Any]:
        """The input of a turn that no other came before."""
        return new_turn(message)

    async def begin(
        self, earlier: Sequence[Message], new: Sequence[Message], run: Run
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The input of a turn in a thread, and the thread's state, which is empty for a new one.

        What the turn before left open is closed: what its tools did is told, and a tool call without a result
        gets one that says so. Turns over the retention's limit are left out.

        Args:
            earlier: What was asked before, and never begun.
            new: What is asked. Messages that the thread knows are not added again.
            run: Of the thread, with its lease and its journal.

        Raises:
            ThreadError: The thread waits for answers: a question would drop what it waits for.
        """
        compiled, thread_id = (await self.kept()).compiled, run.thread_id
        standing = await thread_standing(compiled, thread_id)
        if standing.ended and not standing.next:  # what its last nodes gave stays, which langgraph drops
            await add_to_thread(compiled, run, [])
            standing = await thread_standing(compiled, thread_id)
        state, questions, pending = standing.state, standing.questions, standing.pending
        if questions:
            names = ", ".join(f"`{call_id}` ({_short(asked)})" for call_id, asked in questions.items())
            raise ThreadError(
                f"thread `{thread_id}` waits for an answer to {names}; "
                f"give run(thread_id=..., answers={{{next(iter(questions))!r}: ...}}) instead of a question"
            )
        if standing.unfinished:  # it failed or was left: nothing goes on from there
            await self.prune(compiled, thread_id, waiting=False, fresh=False)
        before: list[Any] = state.get("messages") or []
        rounds = await left_rounds(run.journal, pending, before)
        known = {message.id for message in before}
        asked = {message.id: message for message in (*earlier, *new)}
        added = [message for message in asked.values() if message.id not in known]
        turn = new_turn(new[-1])
        turn["messages"] = added
        if len(new) > 1:
            turn["question"] = "\n\n".join(message.text for message in new)
        if all(isinstance(message, Message) for message in before):
            whole = [*answered([*before, *rounds]), *added]
            whole = last_turns(whole, self._retention.turns or len(whole))
            if whole != [*before, *added]:
                turn["messages"] = Overwrite(add_messages([], whole))
        return turn, state

    @contextmanager
    def playing(self, thread_id: str) -> Generator[None]:
        """While a turn of this thread plays, the thread is not dropped."""
        self._playing[thread_id] += 1
        try:
            yield
        finally:
            self._playing[thread_id] -= 1
            if not self._playing[thread_id]:
                del self._playing[thread_id]

    def keep_steps(self, store: Kept, run: Run) -> ThreadJournal:
        """Lets the run's nodes keep their steps beside its thread, as long as it has the lease."""
        held = fence(run.thread_id, run.lease) if run.lease else None
        run.journal = journal = ThreadJournal(store.database, run.thread_id, fence=held)
        return journal

    async def prune(self, compiled: Any, thread_id: str, *, waiting: bool, fresh: bool) -> None:
        """Lets go of what the retention does not keep, after a turn: `waiting` for answers, or at its end."""
        if compiled.checkpointer and self._retention != _KEEP_ALL:
            await compiled.checkpointer.keep_latest(thread_id, self._retention, waiting=waiting)
            if fresh:
                await self.make_room(compiled)

    async def make_room(self, compiled: Any) -> None:
        """Drops the oldest threads over the retention's limit, such as turns that were left have added."""
        limited = self._retention.threads is not None or self._retention.days is not None
        if compiled.checkpointer and limited:
            await compiled.checkpointer.drop_oldest(self._retention, playing=self._playing)

    async def take_in(self, message: Message, run: Run) -> Message:
        """The message with its pictures and documents checked, stored, and replaced by references."""
        if not message.media or run.media is None:
            return message
        return await take_in(message, run.media)

    def serve_media(self, run: Run, database: Database | None) -> None:
        """Lets the run read media, and keep some: its thread holds them where it is kept in `database`."""
        run.media = ThreadMedia(
            self._store,
            ready=self._ready,
            references=None if database is None else self._references(database),
            thread_id=run.thread_id,
            tenant=run.tenant,
        )

    async def held_media(self, thread_ids: Iterable[str]) -> list[Held]:
        """The media that these threads hold."""
        references = self._references((await self.kept()).database)
        return [each for thread_id in thread_ids for each in await references.held(thread_id)]

    async def sweep_media(self, older_than: float, among: Iterable[Held] | None) -> Swept:
        """Drops media that no thread holds, put last so many seconds ago."""
        if self._threads is None or self._threads == "memory":
            raise ThreadError(
                "this agent's threads are not kept in a database, so nobody knows which media are held; "
                "make it with `threads=` a path"
            )
        references = self._references((await self.kept()).database)
        return await references.sweep(self._store(), older_than=older_than, among=among)

    def _references(self, database: Database) -> MediaReferences:
        return MediaReferences(database, quota=self._quota, ready=self._ready)

    def _store(self) -> MediaStore:
        if self._media is None:
            self._media = store_at(find_project().media)
        return self._media

    async def close(self) -> None:
        """Closes the thread store of this loop, and the embedder."""
        if isinstance(self.embedder, Embedder):
            await self.embedder.close()
        opened = self._kept.pop(asyncio.get_running_loop(), None)
        if opened is not None:
            await opened[0].aclose()


def _short(question: Any) -> str:
    text = " ".join(str(question).split())
    return text if len(text) <= 100 else text[:99] + "…"
