"""What an agent holds open: the compiled graph and its thread store (one an event loop), and the media."""

import asyncio
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal
from weakref import WeakKeyDictionary

from stretto.agent.project import find_project
from stretto.context import Run
from stretto.errors import ConfigError, ThreadError
from stretto.graph import Graph, new_turn
from stretto.graph.ground import Compiled, Overwrite
from stretto.graph.state import add_messages
from stretto.graph.stream import thread_messages, thread_standing, with_deltas
from stretto.media.intake import take_in
from stretto.media.store import DirectoryStore, MediaStore
from stretto.messages import Message
from stretto.nodes.node import last_turns
from stretto.threads import Retention
from stretto.threads.history import answered
from stretto.threads.stores import open_store

Threads = Path | Literal["memory"] | str | None
"""A path (sqlite), `"memory"`, or None for nowhere."""

_KEEP_ALL = Retention(checkpoints=None)


class Opened:
    """Opens lazily, closes once."""

    def __init__(
        self,
        graph: Graph,
        *,
        threads: Threads,
        media: MediaStore | Path | None,
        retention: Any = None,
    ) -> None:
        if not isinstance(retention, Retention | None):
            raise ConfigError(
                f"retention is a `{type(retention).__name__}`; give Retention(threads=..., turns=...): "
                "`from stretto.threads import Retention`"
            )
        self._graph, self._threads, self._retention = graph, threads, retention or _KEEP_ALL
        self._playing: Counter[str] = Counter()
        self._media = DirectoryStore(media) if isinstance(media, Path) else media
        self._bare: Compiled | None = None
        self._kept: dict[asyncio.AbstractEventLoop, tuple[AsyncExitStack, Any]] = {}
        self._opening: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def compiled(self, *, kept: bool) -> Any:
        """The graph to run: with its thread store, or bare where a memory store has nothing to remember."""
        if self._threads is None or (self._threads == "memory" and not kept):
            if self._bare is None:
                self._bare = self._graph.compile()
            return self._bare
        loop = asyncio.get_running_loop()
        async with self._opening.setdefault(loop, asyncio.Lock()):
            if loop not in self._kept:
                for ended in [other for other in self._kept if other.is_closed()]:
                    self._kept.pop(ended, None)  # its store goes with it: a saver waits in one loop only
                self._kept[loop] = await self._open(self._threads)
        return self._kept[loop][1]

    async def _open(self, threads: Path | str) -> tuple[AsyncExitStack, Any]:
        async with AsyncExitStack() as stack:
            name = "memory" if threads == "memory" else "sqlite"
            saver = await stack.enter_async_context(open_store(name, threads, *self._graph.states))
            compiled = self._graph.compile(checkpointer=saver)
            self._refuse_deltas(compiled)
            return stack.pop_all(), compiled

    def _refuse_deltas(self, compiled: Any) -> None:
        deltas = with_deltas(compiled)
        if deltas and self._retention.checkpoints is not None:
            raise ConfigError(
                f"state key `{deltas[0]}` is a DeltaChannel, which needs all checkpoints of a thread; "
                "give Retention(checkpoints=None), or another reducer"
            )

    async def messages(self, thread_id: str) -> list[Message]:
        """The conversation of a thread."""
        if self._threads is None:
            raise ThreadError("this agent keeps no threads; make it with `threads=` a path, or 'memory'")
        return await thread_messages(await self.compiled(kept=True), thread_id)

    async def begin(self, message: Message, thread_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The input of a turn in a thread, and the thread's state, which is empty for a new one.

        What the turn before left open is closed: a tool call without a result gets one that says so. Turns
        over the retention's limit are left out.

        Raises:
            ThreadError: The thread waits for answers: a question would drop what it waits for.
        """
        turn = new_turn(message)
        if self._threads is None:
            return turn, {}
        compiled = await self.compiled(kept=True)
        state, questions, unfinished = await thread_standing(compiled, thread_id)
        if questions:
            names = ", ".join(f"`{call_id}` ({_short(asked)})" for call_id, asked in questions.items())
            raise ThreadError(
                f"thread `{thread_id}` waits for an answer to {names}; "
                f"give run(thread_id=..., answers={{{next(iter(questions))!r}: ...}}) instead of a question"
            )
        if unfinished and self._playing[thread_id] == 1:  # it failed or was left: nothing goes on from there
            await self.prune(compiled, thread_id, waiting=False, fresh=False)
        before: list[Any] = state.get("messages") or []
        if all(isinstance(known, Message) for known in before):
            whole = [*answered(before), message]
            whole = last_turns(whole, self._retention.turns or len(whole))
            if whole[:-1] != before:
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

    async def prune(self, compiled: Any, thread_id: str, *, waiting: bool, fresh: bool) -> None:
        """Lets go of what the retention does not keep, after a turn: `waiting` for answers, or at its end."""
        if compiled.checkpointer and self._retention != _KEEP_ALL:
            await compiled.checkpointer.keep_latest(thread_id, self._retention, waiting=waiting)
            if fresh:
                await self.make_room(compiled)

    async def make_room(self, compiled: Any) -> None:
        """Drops the oldest threads over the retention's limit, such as turns that were left have added."""
        if compiled.checkpointer and self._retention.threads is not None:
            await compiled.checkpointer.drop_oldest(self._retention, playing=self._playing)

    async def take_in(self, message: Message, run: Run) -> Message:
        """The message with its pictures and documents checked, stored, and replaced by references."""
        if not message.media:
            return message
        return await take_in(message, self._store())

    def serve_media(self, run: Run) -> None:
        """Lets the run read media references, and keep what its tools return."""
        run.media = _LazyStore(self._store)

    def _store(self) -> MediaStore:
        if self._media is None:
            self._media = DirectoryStore(find_project().storage / "media")
        return self._media

    async def close(self) -> None:
        """Closes the thread store of this loop."""
        opened = self._kept.pop(asyncio.get_running_loop(), None)
        if opened is not None:
            await opened[0].aclose()


def _short(question: Any) -> str:
    text = " ".join(str(question).split())
    return text if len(text) <= 100 else text[:99] + "…"


class _LazyStore:
    """Keeps and reads media; opens its store with the first of them."""

    def __init__(self, store: Callable[[], MediaStore]) -> None:
        self._store = store

    async def put(self, data: bytes, media_type: str) -> str:
        return await self._store().put(data, media_type)

    async def read(self, reference: str) -> bytes:
        return await self._store().read(reference)
