"""Threads in memory: the saver of `sqlite.py` on a database that is gone when it is closed. Knows no table."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from stretto.threads.checkpoint.sqlite import SqliteSaver, open_sqlite


@asynccontextmanager
async def open_memory(path: str | Path, *states: type[Any]) -> AsyncGenerator[SqliteSaver]:
    """A saver that forgets everything when it is closed; `path` is not used.

    Raises:
        GraphError: The state declares a type that would not come back as itself.
    """
    async with open_sqlite(":memory:", *states) as saver:
        yield saver
