"""Searches both legs and fuses their scores over the union. Knows no embedder: it gets the query's vector."""

from typing import TYPE_CHECKING

from stretto.documents import Hit
from stretto.knowledge.allowed import Allowed, allowed
from stretto.knowledge.around import with_around
from stretto.knowledge.filters import Filter
from stretto.knowledge.fusion import Ranked, diverse, fuse, lent
from stretto.knowledge.options import ALPHA, SearchOptions
from stretto.knowledge.view import View

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEPTH = 100
"""How many candidates each leg brings."""
_DIVERSE = 50
"""How many of the best are looked at for a diverse order, at least."""
_AGREED = 20
"""How many of each leg's best are compared, to see whether they agree."""
_LEAST = 0.1
_TRIES = 20
"""How often a search begins again because a write came between its reads; writes are 0.1 s apart."""


def search(
    view: View,
    query: str,
    vector: "NDArray[np.float32]",
    options: SearchOptions,
    *,
    unread: float | None = None,
) -> list[Hit]:
    """The best chunks that fit `options.where`, best first, all of one state of the knowledge base.

    Args:
        view: The knowledge base, as the searcher sees it.
        query: A question or words.
        vector: What its embedder made of the query.
        options: How it is asked.
        unread: The share of the query's words that this embedder cannot know, 0..1; None if it reads all.
    """
    where = Filter(options.where) if options.where else None
    hits: list[Hit] = []
    for _ in range(_TRIES):
        before = view.manifest.state()
        hits = _Search(view, query, options, where, unread).run(vector)
        if view.manifest.state() == before:
            break
    return hits


class _Search:
    """One search of one state."""

    def __init__(
        self,
        view: View,
        query: str,
        options: SearchOptions,
        where: Filter | None,
        unread: float | None,
    ) -> None:
        self._view, self._query, self._options, self._where = view, query, options, where
        self._unread = unread
        self._only: Allowed | None = allowed(view, where) if where or view.manifest.restricted else None

    def run(self, vector: "NDArray[np.float32]") -> list[Hit]:
        """The hits, with what stands around them."""
        if self._only is not None and not self._only.ids:
            return []
        ranked = self._ranked(vector)
        if self._options.feedback and ranked:
            best = [row[0] for row in ranked[: self._options.feedback]]
            vectors = self._view.vectors.vectors(best)
            if vectors:
                ranked = self._ranked(lent(vector, list(vectors.values())))
        top_k = self._options.top_k
        if self._options.diversity:
            looked_at = ranked[: max(_DIVERSE, 3 * top_k)]
            vectors = self._view.vectors.vectors([row[0] for row in looked_at])
            ranked = diverse(looked_at, vectors, self._options.diversity, top_k)
        hits = self._resolved(ranked[:top_k])
        if self._options.expand:
            return with_around(self._view.manifest, hits, self._options.expand, self._where)
        return hits

    def _ranked(self, vector: "NDArray[np.float32]") -> list[Ranked]:
        """All candidates, best first: enough for `top_k`, or all there are."""
        wanted = max(DEPTH, self._options.top_k)
        depth = wanted
        if self._only is not None and not self._only.exact:
            depth = int(1.2 * wanted * self._only.total / len(self._only.ids)) + 20
        while True:
            dense, keyword, ended = self._legs(vector, depth)
            scores = self._scored(vector, dict(dense), dict(keyword))
            if len(scores) >= self._options.top_k or ended:
                return fuse(scores, self._alpha(dense, keyword))
            depth *= 4  # the indexes hold much that is not shown any more, or is not allowed

    def _alpha(self, dense: dict[str, float], keyword: dict[str, float]) -> float:
        """The share of the dense leg; less where it is in doubt.

        Measured on twelve languages with an English embedder: where the legs' best have little in common, or
        the words are not English, the keyword leg is right; in English this costs less than .001 of nDCG@10.
        """
        if self._options.alpha is not None:
            return self._options.alpha
        if self._unread is None:
            return ALPHA
        common = len(set(list(dense)[:_AGREED]) & set(list(keyword)[:_AGREED]))
        return max(_LEAST, min(ALPHA, 0.4 + 0.05 * common) * (1 - self._unread))

    def _legs(
        self, vector: "NDArray[np.float32]", depth: int
    ) -> tuple[dict[str, float], dict[str, float], bool]:
        """The candidates of both legs, and whether there are no more of them."""
        only = self._only
        if only is not None and only.exact:
            dense = only.nearest(vector, depth)
            keyword = only.said(self._query, depth)
            return dict(dense), dict(keyword), depth >= len(only.ids)
        dense = self._view.vectors.query(vector, depth)
        keyword = self._view.keywords.query(self._query, depth)
        ended = len(dense) < depth and len(keyword) < depth
        if only is None:
            return dict(dense), dict(keyword), ended or depth >= self._view.manifest.counts()[1]
        kept = [[row for row in leg if row[0] in only.ids] for leg in (dense, keyword)]
        most = max(DEPTH, self._options.top_k)
        return dict(kept[0][:most]), dict(kept[1][:most]), ended or depth >= only.total

    def _scored(
        self, vector: "NDArray[np.float32]", dense: dict[str, float], keyword: dict[str, float]
    ) -> dict[str, tuple[float, float]]:
        """The cosine and the keyword score of every candidate that the manifest shows."""
        keys = [*dense, *(key for key in keyword if key not in dense)]
        present = self._view.manifest.present(keys)
        candidates = [key for key in keys if key in present]
        without_cosine = [key for key in candidates if key not in dense]
        if without_cosine:
            dense.update(self._cosines(vector, without_cosine))
        without_words = [key for key in candidates if key not in keyword]
        if without_words:
            keyword.update(self._view.keywords.scores(self._query, without_words))
        return {key: (dense.get(key, 0.0), keyword.get(key, 0.0)) for key in candidates}

    def _cosines(self, vector: "NDArray[np.float32]", keys: list[str]) -> dict[str, float]:
        if self._only is not None and self._only.exact:
            return self._only.cosines(vector, keys)
        return _cosines(self._view, vector, keys)

    def _resolved(self, ranked: list[Ranked]) -> list[Hit]:
        chunks = self._view.manifest.chunks([row[0] for row in ranked])
        documents = self._view.manifest.documents({chunk.document for chunk in chunks.values()})
        hits: list[Hit] = []
        for key, score, cosine, words in ranked:
            chunk = chunks.get(key)
            if chunk is None or chunk.document not in documents:
                continue
            parts = {"dense": cosine, "keyword": words}
            hits.append(Hit(documents[chunk.document], chunk, score, parts))
        return hits


def _cosines(view: View, vector: "NDArray[np.float32]", keys: list[str]) -> dict[str, float]:
    import numpy as np  # noqa: PLC0415 (whoever searches has it loaded)

    found = view.vectors.vectors(keys)
    if not found:
        return {}
    table = np.stack(list(found.values()))
    lengths = np.linalg.norm(table, axis=1) * max(float(np.linalg.norm(vector)), 1e-12)
    return dict(zip(found, (table @ vector / np.maximum(lengths, 1e-12)).tolist(), strict=True))
