"""What stands around a hit: its neighbours in the document, or the whole section. Reads the manifest only."""

from collections.abc import Mapping, Sequence

import msgspec

from stretto.documents import Chunk, Hit
from stretto.knowledge.filters import Filter
from stretto.knowledge.options import Expand
from stretto.knowledge.view import VisibleManifest

SECTION = 12
"""Passages of a section at most, the hit in their middle."""


def with_around(
    manifest: VisibleManifest, hits: Sequence[Hit], expand: Expand, where: Filter | None
) -> list[Hit]:
    """The hits with `around`; a neighbour that does not fit `where` is left out, and what lies behind it."""
    known: dict[str, list[Chunk]] = {}
    for hit in hits:
        if hit.document.id not in known:
            known[hit.document.id] = [row.chunk for row in manifest.chunks_of(hit.document.id)]
    return [_wider(hit, known, expand, where) for hit in hits]


def _wider(hit: Hit, known: Mapping[str, list[Chunk]], expand: Expand, where: Filter | None) -> Hit:
    chunks = known[hit.document.id]
    place = next((at for at, chunk in enumerate(chunks) if chunk.id == hit.chunk.id), None)
    if place is None:
        return hit

    def joins(chunk: Chunk) -> bool:
        if expand == "section" and chunk.headings[: len(hit.chunk.headings)] != hit.chunk.headings:
            return False
        return where is None or where.fits(chunk, hit.document)

    reach = SECTION // 2 if expand == "section" else expand
    before: list[Chunk] = []
    for chunk in reversed(chunks[max(0, place - reach) : place]):
        if not joins(chunk):
            break
        before.insert(0, chunk)
    after: list[Chunk] = []
    for chunk in chunks[place + 1 : place + 1 + reach]:
        if not joins(chunk):
            break
        after.append(chunk)
    return msgspec.structs.replace(hit, around=(*before, hit.chunk, *after))
