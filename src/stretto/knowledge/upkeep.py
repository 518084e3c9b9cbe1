"""What a knowledge base offers to who looks after it: status, verify, rebuild, prune, export and import.

`KnowledgeBase` is made of it. Knows no source and no search.
"""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stretto.context import running_context
from stretto.knowledge.earlier import Earlier
from stretto.knowledge.embedding import Embedding
from stretto.knowledge.opened import off_loop
from stretto.knowledge.report import Progress, RebuildReport, VerifyReport
from stretto.knowledge.tenancy import Tenancy, acting_for, reading_for
from stretto.models.protocol import Embedder

if TYPE_CHECKING:
    from stretto.knowledge.chunkers.passages import PassageSizes


class Upkeep:
    """The part of `KnowledgeBase` that keeps it whole."""

    name: str
    _embedding: Embedding
    _tenancy: Tenancy

    async def status(self, *, tenant: str | None = None) -> dict[str, Any]:
        """What a tenant's own part holds, for who looks after it: access lists do not count here.

        `name`, `folder`, `tenant`, `tenants`, `documents`, `chunks`, `embedder`, `dimensions`, `owner` (the
        process that has the indexes open, None where none has), `sources`.
        """
        whose = reading_for(tenant)
        async with self._tenancy.own(whose) as opened:
            tenants = await self._tenancy.tenants()
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

    async def verify(
        self, *, repair: bool = False, progress: Progress | None = None, tenant: str | None = None
    ) -> VerifyReport:
        """Looks up every passage of a tenant by its own vector and words, and mends what is lost if asked to.

        Args:
            repair: Embed and write again what the indexes lost; build them anew where that is not enough.
            progress: Called with passages done, in all, and what is being done.
            tenant: Whose part.
        """
        from stretto.knowledge.verify import verify  # noqa: PLC0415 (for those who check a base)

        async with self._tenancy.own(acting_for(tenant)) as opened, opened.writing():
            self._embedding.check(opened)
            return await verify(opened, self._embedding, repair=repair, progress=progress)

    async def rebuild(
        self,
        *,
        embedder: Embedder | str | None = None,
        sizes: "PassageSizes | None" = None,
        progress: Progress | None = None,
    ) -> RebuildReport:
        """Builds the indexes of all tenants anew beside the old ones, then switches; searches go on.

        Args:
            embedder: Makes the vectors from now on; None: the one that does.
            sizes: How long passages are from now on; None: they stay as they are. They are cut from the kept
                texts, so that no file is read.
            progress: Called with passages done, in all, and what is being done.

        Raises:
            KnowledgeError: The new indexes are not whole; the base is as it was.
        """
        from stretto.knowledge.rebuild import rebuild  # noqa: PLC0415 (for those who build one anew)

        other = Embedding(embedder, self.name) if embedder is not None else self._embedding
        try:
            report = await rebuild(self._tenancy, other, sizes=sizes, progress=progress)
        except BaseException:
            if other is not self._embedding:
                await other.close()
            raise
        if other is not self._embedding:
            old, self._embedding = self._embedding, other
            await old.close()
        return report

    async def prune(self, older_than: float = 0.0, *, tenant: str | None = None) -> int:
        """Forgets passages that were replaced more than `older_than` seconds ago; returns how many."""
        async with self._tenancy.own(acting_for(tenant)) as opened:
            return await off_loop(Earlier(opened.folder).prune, time.time() - older_than)

    async def export(self, path: str | os.PathLike[str], *, tenant: str | None = None) -> dict[str, Any]:
        """Writes all of a tenant's part to one file, vectors and access lists too.

        Returns:
            `embedder`, `dimensions`, `documents`, `chunks`.

        Raises:
            KnowledgeError: There is nothing in it, or the file cannot be written.
        """
        from stretto.knowledge.portable import told, write_base  # noqa: PLC0415 (for those who move a base)

        async with self._tenancy.own(reading_for(tenant)) as opened, opened.writing():
            return told(await off_loop(write_base, opened, Path(path)))

    async def take_in(self, path: str | os.PathLike[str], *, tenant: str | None = None) -> dict[str, Any]:
        """Takes in a file that `export` wrote, without embedding; returns what `export` returned.

        Documents of the same id are replaced, others stay.

        Raises:
            KnowledgeError: It is no such file, or damaged; what came before the damage is in.
            EmbedderMismatch: Its vectors are another embedder's.
        """
        from stretto.knowledge.ingest import clean_indexes  # noqa: PLC0415 (as above)
        from stretto.knowledge.portable import read_base, told  # noqa: PLC0415 (as above)

        async with self._tenancy.writing(acting_for(tenant)) as opened, opened.writing():
            self._embedding.check(opened)
            try:
                return told(await off_loop(read_base, opened, Path(path), self._embedding.name))
            finally:
                await off_loop(clean_indexes, opened)
