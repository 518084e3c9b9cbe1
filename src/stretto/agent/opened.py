"""What an agent holds open: the compiled graph and its thread store (one an event loop), and the media."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal
from weakref import WeakKeyDictionary

from stretto.agent.project import find_project
from stretto.context import Run
from stretto.errors import ThreadError
from stretto.graph import Graph
from stretto.graph.ground import Compiled
from stretto.graph.stream import thread_messages, thread_now
from stretto.media.intake import take_in
from stretto.media.store import DirectoryStore, MediaStore
from stretto.messages import Message
from stretto.threads.stores import open_store

Threads = Path | Literal["memory"] | str | None
"""A path (sqlite), `"memory"`, or None for nowhere."""


class Opened:
    """Opens lazily, closes once."""

    def __init__(self, graph: Graph, *, threads: Threads, media: MediaStore | Path | None) -> None:
        self._graph, self._threads = graph, threads
        self._media = DirectoryStore(media) if isinstance(media, Path) else media
        self._bare: Compiled | None = None
        self._kept: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[AsyncExitStack, Any]] = (
            WeakKeyDictionary()
        )
        self._opening = asyncio.Lock()

    async def compiled(self, *, kept: bool) -> Any:
        """The graph to run: with its thread store, or bare where a memory store has nothing to remember."""
        if self._threads is None or (self._threads == "memory" and not kept):
            if self._bare is None:
                self._bare = self._graph.compile()
            return self._bare
        loop = asyncio.get_running_loop()
        async with self._opening:
            if loop not in self._kept:
                stack = AsyncExitStack()
                name = "memory" if self._threads == "memory" else "sqlite"
                store = open_store(name, self._threads, *self._graph.states)
                saver = await stack.enter_async_context(store)
                self._kept[loop] = stack, self._graph.compile(checkpointer=saver)
        return self._kept[loop][1]

    async def messages(self, thread_id: str) -> list[Message]:
        """The conversation of a thread."""
        if self._threads is None:
            raise ThreadError("this agent keeps no threads; make it with `threads=` a path, or 'memory'")
        return await thread_messages(await self.compiled(kept=True), thread_id)

    async def refuse_waiting(self, thread_id: str) -> dict[str, Any]:
        """The state of the thread, empty where none are kept.

        Raises:
            ThreadError: The thread waits for answers: a question would drop what it waits for.
        """
        if self._threads is None:
            return {}
        state, questions = await thread_now(await self.compiled(kept=True), thread_id)
        if questions:
            names = ", ".join(f"`{call_id}` ({_short(asked)})" for call_id, asked in questions.items())
            raise ThreadError(
                f"thread `{thread_id}` waits for an answer to {names}; "
                f"give run(thread_id=..., answers={{{next(iter(questions))!r}: ...}}) instead of a question"
            )
        return state

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
