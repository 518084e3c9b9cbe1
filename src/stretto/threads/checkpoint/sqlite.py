"""Threads in one sqlite file: langgraph's saver with WAL, `synchronous=NORMAL` and our strict serializer."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite

from stretto.errors import ThreadError
from stretto.threads.checkpoint.pruned import PrunedMemory, PrunedSqlite
from stretto.threads.checkpoint.serializer import strict_serializer


@asynccontextmanager
async def open_sqlite(path: str | Path, *states: type[Any]) -> AsyncGenerator[PrunedSqlite]:
    """The saver in the file `path`, made where it is missing, for a graph with these states (`Graph.states`).

    Raises:
        GraphError: The state declares a type that would not come back as itself.
        ThreadError: The file cannot be opened, or is none of ours.
    """
    serializer = strict_serializer(*states)
    async with AsyncExitStack() as stack:
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            connection = await stack.enter_async_context(aiosqlite.connect(path))
            await connection.execute("PRAGMA journal_mode=WAL")
            await connection.execute("PRAGMA synchronous=NORMAL")
            await connection.execute("PRAGMA busy_timeout=5000")
            saver = PrunedSqlite(connection, serde=serializer)
            await saver.setup()
        except (OSError, ValueError, sqlite3.Error) as error:
            raise ThreadError(
                f"threads cannot be kept in `{path}`: {error}; give another path, or remove what is there"
            ) from None
        yield saver


@asynccontextmanager
async def open_memory(path: str | Path, *states: type[Any]) -> AsyncGenerator[PrunedMemory]:
    """A saver that forgets everything when it is closed; `path` is not used."""
    yield PrunedMemory(serde=strict_serializer(*states))
