"""Threads in memory: the saver of `sqlite.py` on a database that is gone when closed. Knows no table."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from stretto.threads.checkpoint.sqlite import SqliteSaver, open_sqlite


def open_memory(
    path: str | Path, *states: type[Any], key: str | bytes | None = None
) -> AbstractAsyncContextManager[SqliteSaver]:
    """A saver that forgets everything when it is closed.

    Args:
        path: Not used.
        states: What checkpoints may hold.
        key: As for `open_sqlite`.

    Raises:
        GraphError: The state declares a type that would not come back as itself.
    """
    return open_sqlite(":memory:", *states, key=key)
