"""Where threads are kept, by name: the one table from a name to the adapter, imported when first used."""

from contextlib import AbstractAsyncContextManager
from importlib import import_module
from pathlib import Path
from typing import Any

from stretto.errors import ConfigError

STORES = {
    "sqlite": "stretto.threads.checkpoint.sqlite:open_sqlite",
    "memory": "stretto.threads.checkpoint.memory:open_memory",
}
"""sqlite: one file, its owner's only; memory: forgotten when closed. Both keep all, but for a `Retention`."""


def open_store(name: str, path: str | Path, *states: type[Any]) -> AbstractAsyncContextManager[Any]:
    """The saver called `name` for a graph with these states (`Graph.states`), as an async context.

    Raises:
        ConfigError: There is no store of this name.
    """
    if name not in STORES:
        raise ConfigError(f"there is no thread store `{name}`; there are {', '.join(sorted(STORES))}")
    module, function = STORES[name].split(":")
    return getattr(import_module(module), function)(path, *states)
