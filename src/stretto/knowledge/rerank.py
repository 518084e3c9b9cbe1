"""Puts hits into a better order by their nearest sentence: a passage answers with one of its sentences.

A sentence is compared below its title and headings, without which "That takes 5 days." is near to nothing.
Opt-in: the sentences of a passage are embedded when it is first seen. Knows no store.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from stretto.documents import Hit
from stretto.knowledge.sentences import sentence_spans
from stretto.knowledge.spans import headed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Rerank = Callable[[str, Sequence[Hit]], Awaitable[list[Hit]]]
"""Takes the query and its hits; gives the hits in a better order."""

KEPT = 4096
"""Passages whose sentence vectors are remembered; a passage of four takes 6 kB."""


class Embeds(Protocol):
    """An `Embedder`, or a `KnowledgeBase`, which embeds with its own."""

    async def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """An array of shape (len(texts), dimensions), each row of length 1."""
        ...


def by_sentence(embedder: Embeds) -> Rerank:
    """Orders by a hit's score and, twice, its nearest sentence's cosine, told as `scores["sentence"]`."""
    known: OrderedDict[str, Any] = OrderedDict()

    async def sentences(hit: Hit) -> "NDArray[np.float32]":
        if hit.chunk.id not in known:
            texts = [headed(hit, start, end) for start, end in sentence_spans(hit.text)] or [hit.text]
            known[hit.chunk.id] = await embedder.embed(texts)
            if len(known) > KEPT:
                known.popitem(last=False)
        known.move_to_end(hit.chunk.id)
        return known[hit.chunk.id]

    async def rerank(query: str, hits: Sequence[Hit]) -> list[Hit]:
        if not hits:
            return []
        (asked,) = await embedder.embed([query])
        better: list[Hit] = []
        for hit in hits:
            closeness = float(((await sentences(hit)) @ asked).max())
            scores = {**hit.scores, "sentence": closeness}
            score = (hit.score + 2 * max(closeness, 0.0)) / 3
            better.append(msgspec.structs.replace(hit, score=score, scores=scores))
        return sorted(better, key=lambda hit: -hit.score)

    return rerank
