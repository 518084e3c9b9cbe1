"""`MemoriesOf`: what is remembered of one user: listed, searched, forgotten, and whether they agreed to it.

`stretto memory` is this at a terminal. Writes nothing but their consent: `nodes.remember` does.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from stretto._internal.namespaces import Namespace, scope, text_of
from stretto._internal.plain import Plain
from stretto.agent.agent import Agent
from stretto.agent.question import check_user
from stretto.agent.threads import saver_at
from stretto.errors import ConfigError
from stretto.models.factory import embedder as open_embedder
from stretto.models.protocol import Embedder
from stretto.nodes.remember import CONSENT, key_of
from stretto.threads.database import Database
from stretto.threads.deletion import forget
from stretto.threads.stores import open_memories

_ALL = 1_000_000


class Memory(Plain, frozen=True):
    """A thing that is remembered of a user."""

    key: str
    """Names it."""
    name: str
    """What it is about; its key where that is not said."""
    text: str
    """What is remembered, as JSON where it is no text."""
    kind: str
    """`fact` or `preference`; empty for what another node keeps."""
    namespace: str
    """Where it is below the user's own."""
    created: float
    """In seconds since 1970."""
    updated: float
    score: float | None = None
    """Its nearness to what was searched for: a cosine."""


class MemoriesOf:
    """What is remembered of one user. Made by `memories_of`."""

    def __init__(self, database: Database, store: Any, namespace: Namespace) -> None:
        self._database, self._store, self._namespace = database, store, namespace

    async def search(self, query: str, top_k: int = 10) -> list[Memory]:
        """What is nearest in meaning; the latest, where there is no embedder.

        Raises:
            ModelError: The embedder could not answer.
        """
        found = await self._store.asearch(self._namespace, query=query, limit=top_k + 1, refresh_ttl=False)
        return [_memory(item, len(self._namespace)) for item in found if not self._is_consent(item)][:top_k]

    async def forget(self, *names: str) -> int:
        """Forgets what has these names or keys, or everything and the consent where none is named.

        No byte of it is left in a file of ours; a Postgres server's own files are its own to clear.
        What the user said stays in their threads: `ThreadsOf.delete_of(user=...)` deletes those as well.

        Returns:
            How many were forgotten.
        """
        found = await self._items()
        if not names:
            everything = partial(forget, namespace=text_of(self._namespace))
            await self._database.transact(everything)
        else:
            keys = {*names, *map(key_of, names)}
            found = [item for item in found if item.key in keys or item.value.get("name") in names]
            for item in found:
                await self._store.adelete(item.namespace, item.key)
        await self._database.erase()
        return len(found)

    async def consent(self, given: bool | None = None) -> bool:
        """Whether the user agrees that things are noted about them, after `given`, if any, is kept."""
        if given is not None:
            await self._store.aput(self._namespace, CONSENT, {"given": given}, index=False)
        item = await self._store.aget(self._namespace, CONSENT)
        return item is not None and item.value.get("given") is True

    async def _items(self) -> Any:
        found = await self._store.asearch(self._namespace, limit=_ALL, refresh_ttl=False)
        return [item for item in found if not self._is_consent(item)]

    def _is_consent(self, item: Any) -> bool:
        return item.key == CONSENT and item.namespace == self._namespace

    async def list(self, limit: int = 100) -> list[Memory]:
        """What is remembered, the latest first."""
        return [_memory(item, len(self._namespace)) for item in (await self._items())[:limit]]


@asynccontextmanager
async def memories_of(
    where: Agent | str | Path,
    *,
    user: str,
    tenant: str = "default",
    embedder: Embedder | str | None = None,
    key: str | bytes | None = None,
) -> AsyncGenerator[MemoriesOf]:
    """What an agent, or the file or database `where`, remembers of a user.

    Args:
        where: The agent, or where its threads are kept.
        user: Whose memories.
        tenant: Of which tenant.
        embedder: Searches by meaning; None: that of the agent, if it has one.
        key: As for `threads_of`.

    Raises:
        ConfigError: No user is named.
        ThreadError: The agent keeps no threads, or the file is not there.
    """
    check_user(tenant, user)
    if not user:
        raise ConfigError("say whose memories: user=..., and tenant= where there are several")
    made = partial(open_embedder, embedder) if isinstance(embedder, str) else embedder
    if isinstance(where, Agent):
        compiled = (await where._opened.kept()).compiled  # pyright: ignore[reportPrivateUsage]
        saver = compiled.checkpointer
        store = compiled.store if made is None else open_memories(saver, made)
        yield MemoriesOf(saver.file, store, scope(tenant, user))
        return
    async with saver_at(where, key) as saver:
        yield MemoriesOf(saver.file, open_memories(saver, made), scope(tenant, user))


def _memory(item: Any, depth: int) -> Memory:
    value: dict[str, Any] = item.value
    text = value.get("text")
    return Memory(
        key=item.key,
        name=str(value.get("name") or item.key),
        text=text if isinstance(text, str) else json.dumps(value, ensure_ascii=False, default=str),
        kind=str(value.get("kind", "")),
        namespace="/".join(item.namespace[depth:]),
        created=item.created_at.timestamp(),
        updated=item.updated_at.timestamp(),
        score=getattr(item, "score", None),
    )
