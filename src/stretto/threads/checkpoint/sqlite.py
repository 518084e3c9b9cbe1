"""The saver on an sqlite file, or on a database that is gone when it is closed. Knows no table."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from stretto._internal.sqlite_file import Durability, SqliteFile
from stretto.errors import ThreadError
from stretto.threads.checkpoint.saver import ThreadSaver
from stretto.threads.checkpoint.serializer import strict_serializer
from stretto.threads.seal import seal_of
from stretto.threads.tables import prepare


@asynccontextmanager
async def open_sqlite(
    path: str | Path,
    *states: type[Any],
    durability: Durability = "NORMAL",
    key: str | bytes | None = None,
) -> AsyncGenerator[ThreadSaver]:
    """The saver in the file `path`, made where it is missing, for a graph with these states (`Graph.states`).

    Args:
        path: The file. One that langgraph's own sqlite saver made is taken over.
        states: What checkpoints may hold.
        durability: `NORMAL`; or `FULL`, which waits for the disk at every step, the event loop held.
        key: Encrypts what is kept (`Sealed`); None does not.

    Raises:
        GraphError: The state declares a type that would not come back as itself.
        ThreadError: The file cannot be opened, is none of ours, or has another format.
        ConfigError: The key is none.
        ThreadKeyRefused: The file is encrypted otherwise.
    """
    serializer, seal = strict_serializer(*states), seal_of(key)
    cover = None if key is None else seal
    file = SqliteFile(path, prepare=partial(prepare, seal=cover), refusal=_refusal, durability=durability)
    file.seal = cover
    try:
        await file.transact(lambda connection: None, writes=False)
        yield ThreadSaver(file, serde=serializer, seal=seal)
    finally:
        file.close()


def _refusal(what: str) -> ThreadError:
    return ThreadError(f"threads cannot be kept in {what}; give another path, or remove what is there")


def open_memory(
    path: str | Path, *states: type[Any], key: str | bytes | None = None
) -> AbstractAsyncContextManager[ThreadSaver]:
    """A saver that forgets everything when it is closed.

    Args:
        path: Not used.
        states: What checkpoints may hold.
        key: As for `open_sqlite`.

    Raises:
        GraphError: The state declares a type that would not come back as itself.
    """
    return open_sqlite(":memory:", *states, key=key)
