"""The vector stores by name. Their modules are imported when first used: chromadb alone costs a second."""

from importlib import import_module

from stretto.errors import ConfigError
from stretto.knowledge.stores.protocol import OpenStore

STORES: dict[str, str] = {
    "chroma": "stretto.knowledge.stores.chroma:ChromaStore",
    "memory": "stretto.knowledge.stores.memory:MemoryStore",
}
"""Name to `module:callable`."""


def store_opener(name: str) -> OpenStore:
    """What opens the store called `name`; raises ConfigError for a name that is not in the table."""
    if name not in STORES:
        raise ConfigError(f"no vector store is called `{name}`; there are {', '.join(sorted(STORES))}")
    module, _, attribute = STORES[name].partition(":")
    return getattr(import_module(module), attribute)
