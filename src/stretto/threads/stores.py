"""Where threads are kept, by name: the one table from a name to the adapter, imported when first used.

What is remembered across threads is kept beside them.
"""

import os
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stretto.errors import ConfigError

if TYPE_CHECKING:
    from stretto.models.protocol import Embedder

STORES = {
    "sqlite": "stretto.threads.checkpoint.sqlite:open_sqlite",
    "memory": "stretto.threads.checkpoint.sqlite:open_memory",
    "postgres": "stretto.threads.checkpoint.postgres:open_postgres",
}
"""sqlite: one file, its owner's only; memory: forgotten when closed; postgres: a database, by its URL.

All keep all, but for a `Retention`."""

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def store_of(threads: str | Path) -> str:
    """The name of the store that `threads` means: `"memory"`, the URL of a database, or the path of a file.

    Raises:
        ConfigError: It is a URL of something else.
    """
    if threads == "memory":
        return "memory"
    url = _URL.match(threads) if isinstance(threads, str) else None
    if url is None:
        return "sqlite"
    if url[1].lower() not in ("postgresql", "postgres"):
        raise ConfigError(
            f"threads cannot be kept in `{url[0]}...`; give a path, `memory`, "
            "or postgresql://USER:PASSWORD@HOST:PORT/NAME"
        )
    return "postgres"


def threads_key(given: str | bytes | None, threads: str | Path | None) -> str | bytes | None:
    """The key for `threads`: the `given` one, else what `STRETTO_THREADS_KEY` says; an empty one is none.

    Those in memory are encrypted with a given key only.
    """
    if given is None and threads is not None and threads != "memory":
        given = os.environ.get("STRETTO_THREADS_KEY")
    return given or None


def open_store(
    name: str, path: str | Path, *states: type[Any], key: str | bytes | None = None
) -> AbstractAsyncContextManager[Any]:
    """The saver called `name` for a graph with these states (`Graph.states`), as an async context.

    `path` is a file for sqlite, and a URL for postgres. With a `key` (32 bytes, as 64 hexadecimal digits)
    what is kept is encrypted, and what is there must be.

    Raises:
        ConfigError: There is no store of this name.
    """
    if name not in STORES:
        raise ConfigError(f"there is no thread store `{name}`; there are {', '.join(sorted(STORES))}")
    module, function = STORES[name].split(":")
    return getattr(import_module(module), function)(path, *states, key=key)


def open_memories(saver: Any, embedder: "Embedder | Callable[[], Embedder] | None" = None) -> Any:
    """The `Memories` beside the threads of a saver, under the same seal: a langgraph Store."""
    memories = import_module("stretto.threads.checkpoint.memories").Memories
    return memories(saver.file, embedder=embedder, seal=saver.seal)
