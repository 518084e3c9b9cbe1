"""The saver on a Postgres database: `ThreadSaver`, whose SQL both understand. Knows no table."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from stretto._internal.in_thread import in_thread
from stretto.threads.checkpoint.saver import ThreadSaver
from stretto.threads.checkpoint.serializer import strict_serializer
from stretto.threads.postgres import postgres_threads
from stretto.threads.seal import seal_of


@asynccontextmanager
async def open_postgres(
    url: str | Path, *states: type[Any], key: str | bytes | None = None
) -> AsyncGenerator[ThreadSaver]:
    """The saver in the database at `url`, with its tables, for a graph with these states (`Graph.states`).

    Args:
        url: `postgresql://USER:PASSWORD@HOST:PORT/NAME`.
        states: What checkpoints may hold.
        key: Encrypts what is kept (`Sealed`); None does not.

    Raises:
        GraphError: The state declares a type that would not come back as itself.
        MissingExtra: The driver is not installed.
        ThreadError: The database cannot be used, or has another format.
    """
    serializer, seal = strict_serializer(*states), seal_of(key)
    cover = None if key is None else seal
    database = postgres_threads(str(url), seal=cover)
    database.seal = cover
    try:
        await database.transact(lambda connection: None, writes=False)
        yield ThreadSaver(database, serde=serializer, seal=seal)
    finally:
        await in_thread(database.close, name="stretto-postgres-close")
