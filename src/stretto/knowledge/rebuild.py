"""Builds a base's indexes anew beside the old ones, with another embedder or other passages, then switches.

What was read stays: passages are cut from the kept texts. Until the switch, one transaction of the manifest,
searches see the old indexes; killed anywhere before it, the base is as it was. Knows no file and no loader.
"""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict

import msgspec

from stretto.errors import KnowledgeError
from stretto.knowledge.chunkers.identity import Prepared, indexed_text, prepare
from stretto.knowledge.chunkers.passages import PassageSizes
from stretto.knowledge.earlier import Earlier
from stretto.knowledge.embedding import Embedding, dimensions_of
from stretto.knowledge.loaders.protocol import Loaded, Region
from stretto.knowledge.manifest import ChunkRow
from stretto.knowledge.opened import Opened, off_loop
from stretto.knowledge.report import Progress, RebuildReport
from stretto.knowledge.tenancy import Tenancy

_BATCH = 512
_EMBEDDED_AT_ONCE = 32


class Rebuild:
    """One rebuild of one opened base, which its caller must be writing.

    Args:
        opened: The base.
        embedding: Makes the vectors.
        sizes: How long passages are; None: as they are.
        progress: Called with passages done, in all, and what is being done.
    """

    def __init__(
        self,
        opened: Opened,
        embedding: Embedding,
        *,
        sizes: PassageSizes | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._opened, self._manifest = opened, opened.manifest
        self._embedding, self._sizes, self._progress = embedding, sizes, progress
        self._keeps = (self._manifest.embedder() or ("",))[0] == embedding.name
        self._next = self._manifest.generation() + 1
        self._dimensions = 0
        self._stay: dict[str, list[str]] = {}
        self.embedded = 0
        """How many passages were embedded."""
        self.chunks = 0
        """How many passages there are now."""

    async def build(self) -> None:
        """Writes the new indexes; nobody sees them yet."""
        await off_loop(self._opened.retire)
        await off_loop(self._manifest.begin_next)
        vectors, keywords = self._opened.generation(self._next)
        total = self._manifest.counts()[1]
        if not self._keeps:
            self._dimensions = await dimensions_of(await self._embedding.made())
        batch: list[tuple[int, Prepared]] = []
        for one in self._prepared():
            batch.append(one)
            self._stay.setdefault(one[1].chunk.document, []).append(one[1].chunk.id)
            if len(batch) >= _BATCH:
                await self._write(batch, total)
                batch = []
        await self._write(batch, total)
        await off_loop(keywords.settle)
        there = await off_loop(vectors.count), await off_loop(keywords.count)
        if there != (self.chunks, self.chunks):
            raise KnowledgeError(
                f"the new indexes hold {there[0]} vectors and {there[1]} texts of {self.chunks} passages; "
                "nothing was changed"
            )

    def switch(self) -> None:
        """Shows the new indexes and deletes the old ones."""
        meta = {"generation": str(self._next)}
        if self._sizes is not None:
            meta["sizes"] = msgspec.json.encode(asdict(self._sizes)).decode()
        if self._dimensions:
            meta |= {"embedder": self._embedding.name, "dimensions": str(self._dimensions)}
        if self._sizes is not None:
            Earlier(self._opened.folder).keep(self._manifest, self._stay.items())
        self._manifest.show_next(meta)
        self._opened.completed()
        self._opened.retire()

    async def _write(self, batch: list[tuple[int, Prepared]], total: int) -> None:
        if not batch:
            return
        vectors, keywords = self._opened.generation(self._next)
        parts = [part for _, part in batch]
        left = parts
        if self._keeps:
            left = await off_loop(self._copy, parts)
        for start in range(0, len(left), _EMBEDDED_AT_ONCE):
            some = left[start : start + _EMBEDDED_AT_ONCE]
            rows = await (await self._embedding.made()).embed([part.indexed for part in some])
            self.embedded += len(some)
            await off_loop(vectors.upsert, [part.chunk.id for part in some], rows)
        keywords.upsert([(part.chunk.id, part.indexed) for part in parts])
        await off_loop(keywords.commit)
        rows_next = [(position, ChunkRow(part.chunk, part.fingerprint)) for position, part in batch]
        await off_loop(self._manifest.put_next, rows_next)
        self.chunks += len(batch)
        if self._progress is not None:
            self._progress(self.chunks, max(total, self.chunks), "building the indexes")

    def _copy(self, parts: list[Prepared]) -> list[Prepared]:
        """Takes over the vectors that are known; returns the passages that have none."""
        import numpy as np  # noqa: PLC0415 (loads with the first vector)

        vectors, _ = self._opened.generation(self._next)
        prints = {
            row.chunk.id: row.fingerprint
            for key in {part.chunk.document for part in parts}
            for row in self._manifest.chunks_of(key)
        }
        same = [part.chunk.id for part in parts if prints.get(part.chunk.id) == part.fingerprint]
        known = self._opened.vectors.vectors(same)
        good = {key: row for key, row in known.items() if np.isfinite(row).all() and row.any()}
        if good:
            vectors.upsert(list(good), np.stack(list(good.values())))
        return [part for part in parts if part.chunk.id not in good]

    def _prepared(self) -> Iterator[tuple[int, Prepared]]:
        for key in self._manifest.documents():
            rows = self._manifest.chunks_of(key)
            row = self._manifest.whole(key)
            if row is None:
                continue
            title = row.document.title
            if self._sizes is None:
                for position, each in enumerate(rows):
                    chunk = each.chunk
                    indexed = indexed_text(title, chunk.headings, chunk.text)
                    yield position, Prepared(chunk, indexed, each.fingerprint)
                continue
            chunks = [each.chunk for each in rows]
            loaded = Loaded(
                row.document.text,
                title,
                row.document.media_type,
                row.headings,
                row.pages,
                regions=tuple(Region(c.start, c.end, c.region) for c in chunks if c.region),
            )
            taint = chunks[0].metadata.get("taint", "") if chunks else ""
            version = row.document.version
            yield from enumerate(prepare(key, loaded, self._sizes, version=version, taint=taint))


async def rebuild(
    tenancy: Tenancy,
    embedding: Embedding,
    *,
    sizes: PassageSizes | None = None,
    progress: Progress | None = None,
) -> RebuildReport:
    """Builds the indexes of every tenant anew, and switches all of them when all are built."""
    async with AsyncExitStack() as stack:
        works: list[Rebuild] = []
        for tenant in await tenancy.tenants():
            opened = await stack.enter_async_context(tenancy.writing(tenant))
            await stack.enter_async_context(opened.writing())
            work = Rebuild(opened, embedding, sizes=sizes, progress=progress)
            await work.build()
            works.append(work)
        for work in works:
            await off_loop(work.switch)
    chunks, embedded = sum(work.chunks for work in works), sum(work.embedded for work in works)
    return RebuildReport(chunks, embedded, embedding.name)
