"""`Memories`: langgraph's Store on our `Database`: what is remembered across threads, found by its meaning.

A search compares with every item of its namespaces: right for what is known of a user, not for documents.
Knows no model that writes memories, and not whose they are: that is said by their namespace.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from langgraph.store.base import BaseStore, Op

from stretto._internal.bridge import run_sync
from stretto._internal.loggers import logger
from stretto.errors import ModelError
from stretto.models.protocol import Embedder
from stretto.threads import remembered
from stretto.threads.checkpoint.memory_batch import Batch, Known
from stretto.threads.database import Database
from stretto.threads.remembered import Sealing
from stretto.threads.seal import Checked, Seal

_log = logger("stretto.threads")


class Memories(BaseStore):
    """What is remembered, in the table `memories`. `index` and `query` need an embedder.

    An item has a vector for each text of its indexed fields, and is as near as the nearest of them. One that
    another embedder has indexed, or none since it was down, is indexed by the next `asearch`. Items without a
    vector come last. Where nothing is asked, the latest come first. A `ttl`, in minutes, begins anew when the
    item is read.

    Args:
        database: With the tables of `tables.py`.
        embedder: Turns texts into vectors, or makes one that does when it is first needed; None: items are
            found by filter only.
        seal: What stands around values and vectors; a checksum where None.
        fields: Which fields are indexed, where `put` names none: `$` is the whole value, as JSON.
    """

    supports_ttl = True
    __slots__ = ("_database", "_embedder", "_fields", "_sealing")

    def __init__(
        self,
        database: Database,
        *,
        embedder: Embedder | Callable[[], Embedder] | None = None,
        seal: Seal | None = None,
        fields: Sequence[str] = ("$",),
    ) -> None:
        self._database, self._embedder, self._fields = database, embedder, list(fields)
        self._sealing = Sealing(seal or Checked())

    def batch(self, ops: Iterable[Op]) -> list[Any]:
        """As `abatch`, for callers without an event loop; an item of another embedder is not indexed anew."""
        batch = Batch(ops, self._sealing, self._fields)
        wanted = self._embedder and (batch.queries or batch.texts)
        known = run_sync(self._known(batch)) if wanted else Known()
        read = self._database.transact_now(batch.work(known), writes=batch.writes, key=batch.key)
        results, later = batch.results(read, known)
        if later:
            self._database.transact_now(partial(remembered.execute_all, statements=later))
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Any]:
        """The results of operations, in order: what is read is as it was before anything was written.

        Raises:
            InvalidNamespaceError: A label is empty or holds a period.
            ConfigError: A value is not plain data, or an operator is none.
            ModelError: The embedder could not answer to a query; nothing was written.
            ThreadError: The database cannot be used, or what it holds is damaged or of another key.
        """
        batch = Batch(ops, self._sealing, self._fields)
        known = await self._known(batch)
        read = await self._database.transact(batch.work(known), writes=batch.writes, key=batch.key)
        stale = batch.stale(read, known)
        if stale:
            more = await self._embed(dict.fromkeys(text for texts in stale.values() for text in texts))
            batch.index(stale, more)
        results, later = batch.results(read, known)
        if later:
            await self._database.transact(partial(remembered.execute_all, statements=later))
        return results

    async def _known(self, batch: Batch) -> Known:
        """The vectors of what a batch asks and, where the embedder can, of what it writes."""
        asked = await self._embed(batch.queries)
        try:
            put = await self._embed(batch.texts)
        except ModelError as error:
            _log.warning("what is remembered now is found by its meaning later: %s", error)
            return asked
        return Known(asked.embedder or put.embedder, {**put.vectors, **asked.vectors})

    async def _embed(self, texts: Iterable[str]) -> Known:
        wanted = list(texts)
        if self._embedder is None or not wanted:
            return Known()
        if not isinstance(self._embedder, Embedder):
            self._embedder = self._embedder()
        rows = await self._embedder.embed(wanted)
        return Known(self._embedder.name, dict(zip(wanted, rows, strict=True)))
