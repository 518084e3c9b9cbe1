"""Threads in one sqlite file: langgraph's saver with WAL, `synchronous=NORMAL` and our strict serializer."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from stretto.threads.checkpoint.serializer import strict_serializer


@asynccontextmanager
async def open_sqlite(path: str | Path, *states: type[Any]) -> AsyncGenerator[AsyncSqliteSaver]:
    """The saver in the file `path`, made where it is missing, for a graph with these states (`Graph.states`).

    Raises:
        GraphError: The state declares a type that would not come back as itself.
    """
    serializer = strict_serializer(*states)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    async with aiosqlite.connect(path) as connection:
        await connection.execute("PRAGMA journal_mode=WAL")
        await connection.execute("PRAGMA synchronous=NORMAL")
        await connection.execute("PRAGMA busy_timeout=5000")
        saver = AsyncSqliteSaver(connection, serde=serializer)
        await saver.setup()
        yield saver


@asynccontextmanager
async def open_memory(path: str | Path, *states: type[Any]) -> AsyncGenerator[InMemorySaver]:
    """A saver that forgets everything when it is closed; `path` is not used."""
    yield InMemorySaver(serde=strict_serializer(*states))
