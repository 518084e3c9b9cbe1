"""Brings items into an opened knowledge base: read, cut, compare, embed what is new, write, clean up.

The order of writes keeps a crash harmless: what the indexes are about to get is named in the manifest first,
then the indexes are written, then the manifest shows the documents, and last old chunks leave the indexes.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence, Set
from dataclasses import replace
from pathlib import Path

import msgspec

from stretto.documents import Document
from stretto.errors import KnowledgeError, StrettoError
from stretto.knowledge.chunkers.identity import Prepared, indexed_text, prepare
from stretto.knowledge.chunkers.passages import PassageSizes
from stretto.knowledge.conversion import Conversion
from stretto.knowledge.earlier import Earlier
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.frames import Done
from stretto.knowledge.manifest import ChunkRow, DocumentRow
from stretto.knowledge.opened import Opened, off_loop
from stretto.knowledge.reading import Content, content_of
from stretto.knowledge.report import AddReport, Progress
from stretto.knowledge.sources import Expanded, Item
from stretto.models.protocol import Embedder

_BATCH = 256
"""New chunks, and documents, that are written together: a keyword commit costs 0.1 s."""
_EMBEDDED_AT_ONCE = 32


class Ingest:
    """One run of `add`.

    Args:
        opened: The knowledge base.
        embedder: Called when the first chunk has to be embedded.
        root: The folder that sources are kept relative to.
        limits: How large a document may be.
        progress: Called before each document, and while chunks are embedded.
        dry_run: Whether nothing is embedded and written; the report says what would be.
        untouched: Sources that are known not to have changed: they are not even hashed.
        access: Who may see what is added; None: as it is, and everyone where it is new.
        mirrored: Folders, as sources name them, of which nothing else stays.
    """

    def __init__(
        self,
        opened: Opened,
        embedder: Callable[[], Awaitable[Embedder]],
        *,
        root: Path,
        limits: IngestLimits,
        progress: Progress | None,
        dry_run: bool = False,
        untouched: Set[str] = frozenset(),
        access: Sequence[str] | None = None,
        mirrored: Sequence[str] = (),
    ) -> None:
        self._opened, self._manifest = opened, opened.manifest
        self._embedder, self._root, self._limits = embedder, root, limits
        self._progress, self._dry_run, self._untouched = progress, dry_run, untouched
        self._mirrored = mirrored
        self._access = None if access is None else tuple(sorted(set(access)))
        self._conversion = Conversion(limits)
        self._earlier = Earlier(opened.folder)
        self._report = AddReport()
        self._batch: list[tuple[DocumentRow, list[Prepared], list[Prepared]]] = []
        self._done, self._total = 0, 0
        self._taken: dict[str, str] = {}

    async def run(self, expanded: Expanded) -> AddReport:
        """Takes all items in; a bad one is reported, the others go on. Raises ModelError, KnowledgeError."""
        self._report.failed.extend(expanded.failed)
        self._report.skipped.extend(expanded.skipped)
        self._total = len(expanded.items)
        try:
            if not self._dry_run:
                await self._repair()
            for item in expanded.items:
                self._tell(item.name)
                try:
                    await self._take(item)
                except KnowledgeError:
                    raise
                except StrettoError as error:
                    self._report.failed.append((item.source or item.name, _alone(error)))
                self._done += 1
                if len(self._batch) >= _BATCH or sum(len(new) for _, _, new in self._batch) >= _BATCH:
                    await self._flush()
            await self._flush()
            await self._remove_gone(expanded)
        finally:
            await self._conversion.close()
            if not self._dry_run:
                await off_loop(self._clean)
        self._tell("done")
        return self._report

    def _tell(self, what: str) -> None:
        if self._progress is not None:
            self._progress(self._done, self._total, what)

    async def _take(self, item: Item) -> None:
        if item.source in self._untouched:
            self._report.unchanged.extend(filter(None, [self._manifest.id_of_source(item.source)]))
            return
        content = await content_of(item, self._limits)
        name = self._name_for(item)
        known = self._manifest.known(name)
        if known and known[0] == content.fingerprint():
            if known[1:] != (item.source, item.origin or known[2]) and not self._dry_run:
                self._manifest.set_source(name, item.source, item.origin or known[2])
            self._let_see(name)
            self._report.unchanged.append(name)
            return
        read = await self._conversion.read(content.order)
        sizes = PassageSizes(**self._manifest.sizes())
        origin = known[2] if known else ""
        row, prepared = await off_loop(_prepared, item, content, read, name, origin, sizes)
        seen_by = self._manifest.access_of(name) or () if self._access is None else self._access
        row = msgspec.structs.replace(row, access=seen_by)
        stored = {row.chunk.id: row.fingerprint for row in self._manifest.chunks_of(name)}
        new = [part for part in prepared if stored.get(part.chunk.id) != part.fingerprint]
        self._batch.append((row, prepared, new))
        self._report.warnings.extend((name, warning) for warning in read.loaded.warnings)
        (self._report.changed if known else self._report.added).append(name)

    def _let_see(self, name: str) -> None:
        if self._access is not None and not self._dry_run and self._manifest.access_of(name) != self._access:
            self._manifest.set_access(name, self._access)

    def _name_for(self, item: Item) -> str:
        """The id of the item's document: the one it has, else its name, made longer while that is taken."""
        if item.path is None:
            self._taken[item.name] = item.source
            return item.name
        known = self._manifest.id_of_source(item.source)
        name, parents = known or item.name, list(item.path.parents)
        extra = item.path.parents[len(Path(item.name).parts) - 1 :]
        for folder in [None, *extra]:
            if folder is not None:
                name = f"{folder.name}/{name}" if folder.name else f"{len(parents)}/{name}"
            if self._free(name, item.source):
                break
        self._taken[name] = item.source
        return name

    def _free(self, name: str, source: str) -> bool:
        if self._taken.get(name, source) != source:
            return False
        known = self._manifest.known(name)
        # A document whose file is gone gives its id to the file that now has the name: it was moved.
        return known is None or known[1] == source or not (known[1] and (self._root / known[1]).exists())

    async def _flush(self) -> None:
        batch, self._batch = self._batch, []
        if not batch:
            return
        new = [part for _, _, parts in batch for part in parts]
        if self._dry_run:
            self._report.embedded += len(new)
            return
        if new:
            await self._index(new)
        rows = [
            (row, [ChunkRow(part.chunk, part.fingerprint) for part in prepared]) for row, prepared, _ in batch
        ]
        replaced = [(row.document.id, [part.chunk.id for part in prepared]) for row, prepared, _ in batch]
        await off_loop(self._earlier.keep, self._manifest, replaced)
        await off_loop(self._manifest.put, rows)

    async def _index(self, new: Sequence[Prepared]) -> None:
        await off_loop(self._manifest.expect, [part.chunk.id for part in new])
        embedder = await self._embedder()
        for start in range(0, len(new), _EMBEDDED_AT_ONCE):
            part = new[start : start + _EMBEDDED_AT_ONCE]
            self._tell(f"embedding {start + len(part)} of {len(new)} passages")
            vectors = await embedder.embed([one.indexed for one in part])
            await off_loop(self._opened.vectors.upsert, [one.chunk.id for one in part], vectors)
        await off_loop(self._write_words, [(one.chunk.id, one.indexed) for one in new])
        self._report.embedded += len(new)

    def _write_words(self, rows: Iterable[tuple[str, str]]) -> None:
        self._opened.keywords.upsert(rows)
        self._opened.keywords.commit()

    async def _remove_gone(self, expanded: Expanded) -> None:
        """Removes what a folder or glob brought before and whose file is gone now.

        Of folders that are mirrored, all from below them that is not among the items, whoever brought it.
        """
        present = {item.source for item in expanded.items}
        gone = [
            key
            for origin in expanded.origins
            for key, source in self._manifest.from_origin(origin)
            if source not in present and not (self._root / source).exists()
        ]
        for folder in self._mirrored:
            below = self._manifest.from_below(folder)
            gone.extend(key for key, source in below if source not in present and key not in gone)
        if gone and not self._dry_run:
            await off_loop(self._earlier.keep, self._manifest, [(key, ()) for key in gone])
            await off_loop(self._manifest.remove, gone)
        self._report.removed.extend(gone)

    def _clean(self) -> None:
        clean_indexes(self._opened)

    async def _repair(self) -> None:
        """Puts back what an index lost: a folder deleted by hand, a machine that lost power."""
        await off_loop(self._clean)
        chunks = self._manifest.counts()[1]
        if not chunks or not self._opened.lacks_chunks():
            return
        lost = await off_loop(self._lost)
        if lost:
            await self._index(lost)
        self._opened.completed()

    def _lost(self) -> list[Prepared]:
        everything = [
            Prepared(chunk, indexed_text(title, chunk.headings, chunk.text), "")
            for chunk, title in self._manifest.all_chunks()
        ]
        if self._opened.keywords.count() < len(everything):
            self._write_words((part.chunk.id, part.indexed) for part in everything)
        there = self._opened.vectors.vectors([part.chunk.id for part in everything])
        return [part for part in everything if part.chunk.id not in there]


def clean_indexes(opened: Opened) -> None:
    """Deletes from both indexes what no document shows any more."""
    leftovers = opened.manifest.leftovers()
    if leftovers:
        opened.vectors.delete(leftovers)
        opened.keywords.delete(leftovers)
    opened.settle()
    opened.manifest.settled()


def _alone(error: StrettoError) -> StrettoError:
    """The error without the frames it came through, which hold the document's bytes."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error


def _prepared(
    item: Item, content: Content, read: Done, name: str, origin: str, sizes: PassageSizes
) -> tuple[DocumentRow, list[Prepared]]:
    loaded = read.loaded
    metadata = dict(loaded.metadata)
    if loaded.warnings:
        metadata["warnings"] = list(loaded.warnings)
    if item.document is not None:
        loaded = replace(loaded, title=item.document.title or loaded.title)
        metadata |= item.document.metadata
    document = Document(
        id=name,
        text=loaded.text,
        metadata=metadata,
        title=loaded.title,
        media_type=loaded.media_type,
        version=read.version,
        source=item.source,
    )
    fingerprint = content.fingerprint(read.version)  # of what was read, should the file have changed since
    row = DocumentRow(document, fingerprint, item.origin or origin, loaded.pages, loaded.headings)
    door = "url" if item.url else "file" if item.path else "program"
    return row, prepare(name, loaded, sizes, version=read.version, taint=door)
