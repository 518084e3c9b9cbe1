"""Looks whether every stored passage is found by its own vector and its own words, and mends what is not.

The manifest's texts are the truth: a passage that an index lost is embedded or written again from them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stretto.documents import Chunk
from stretto.knowledge.chunkers.identity import indexed_text, normalised
from stretto.knowledge.embedding import Embedding
from stretto.knowledge.opened import Opened, off_loop
from stretto.knowledge.rebuild import Rebuild
from stretto.knowledge.report import Progress, VerifyReport

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH = 256
_LOOKED_AT = 10
"""Nearest neighbours among which a passage, or one of equal text, has to be."""
_WORDS = 400
"""Characters of a passage that it is looked up by."""


class Verify:
    """One check of one opened base, which its caller must be writing."""

    def __init__(self, opened: Opened, progress: Progress | None = None) -> None:
        self._opened, self._manifest, self._progress = opened, opened.manifest, progress

    async def look(self) -> VerifyReport:
        """What is not as it should be."""
        report = VerifyReport(chunks=self._manifest.counts()[1])
        if not report.chunks:
            return report
        done = 0
        for key, document in self._manifest.documents().items():
            chunks = [row.chunk for row in self._manifest.chunks_of(key)]
            for start in range(0, len(chunks), _BATCH):
                part = chunks[start : start + _BATCH]
                await off_loop(self._look_at, part, document.title, report)
                done += len(part)
            if self._progress is not None:
                self._progress(done, report.chunks, "looking passages up")
        vectors, words = await off_loop(self._counts)
        lost, unheard = len(report.without_vector), len(report.without_words)
        report.surplus = max(0, vectors - report.chunks + lost) + max(0, words - report.chunks + unheard)
        return report

    def _counts(self) -> tuple[int, int]:
        return self._opened.vectors.count(), self._opened.keywords.count()

    def _look_at(self, chunks: Sequence[Chunk], title: str, report: VerifyReport) -> None:
        import numpy as np  # noqa: PLC0415 (loads with the first vector)

        known = self._opened.vectors.vectors([chunk.id for chunk in chunks])
        for chunk in chunks:
            vector = known.get(chunk.id)
            if vector is None or not np.isfinite(vector).all() or not vector.any():
                report.without_vector.append(chunk.id)
            elif not self._finds_itself(chunk, vector):
                report.unreachable.append(chunk.id)
            if not self._has_words(chunk, title):
                report.without_words.append(chunk.id)

    def _finds_itself(self, chunk: Chunk, vector: "NDArray[np.float32]") -> bool:
        found = [key for key, _ in self._opened.vectors.query(vector, _LOOKED_AT)]
        if chunk.id in found:
            return True
        text = normalised(chunk.text)
        return any(normalised(other.text) == text for other in self._manifest.chunks(found).values())

    def _has_words(self, chunk: Chunk, title: str) -> bool:
        text = indexed_text(title, chunk.headings, chunk.text)[:_WORDS]
        if self._opened.keywords.scores(text, [chunk.id])[chunk.id] > 0:
            return True
        return not self._opened.keywords.query(text, 1) and not any(map(str.isalnum, text))

    async def mend(self, report: VerifyReport, embedding: Embedding) -> None:
        """Embeds and writes again what the indexes lost."""
        lost = {*report.without_vector, *report.unreachable}
        texts = await off_loop(self._texts, [*lost, *report.without_words])
        again = [key for key in texts if key in lost]
        for start in range(0, len(again), 32):
            part = again[start : start + 32]
            rows = await (await embedding.of(self._opened)).embed([texts[key] for key in part])
            await off_loop(self._opened.vectors.upsert, part, rows)
            report.embedded += len(part)
        await off_loop(self._write_words, [(key, texts[key]) for key in report.without_words])

    def _write_words(self, rows: Sequence[tuple[str, str]]) -> None:
        self._opened.keywords.upsert(rows)
        self._opened.settle()

    def _texts(self, keys: Sequence[str]) -> dict[str, str]:
        chunks = self._manifest.chunks(keys)
        titles = self._manifest.documents({chunk.document for chunk in chunks.values()})
        return {
            key: indexed_text(titles[chunk.document].title, chunk.headings, chunk.text)
            for key, chunk in chunks.items()
        }


async def verify(
    opened: Opened, embedding: Embedding, *, repair: bool, progress: Progress | None = None
) -> VerifyReport:
    """Looks, and mends if asked to; when passages stay out of reach the indexes are built anew."""
    check = Verify(opened, progress)
    report = await check.look()
    if report.ok or not repair:
        return report
    await check.mend(report, embedding)
    again = await check.look()
    if not again.ok:
        work = Rebuild(opened, embedding, progress=progress)
        await work.build()
        await off_loop(work.switch)
        report.rebuilt, report.embedded = True, report.embedded + work.embedded
        again = await check.look()
    report.repaired = again.ok
    return report
