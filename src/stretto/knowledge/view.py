"""What one searcher may see of the bases that hold it, in the shape that a search reads: `Opened`'s own.

A filter comes in here and nowhere else, so that both legs, the fusion and the hits see the same: chunks under
an access list that the searcher is not on do not exist. The index brings more candidates than were asked for,
and the manifest says which of them count; under a narrow filter all allowed chunks are compared instead.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stretto.documents import Chunk, Document
from stretto.knowledge.filters import Filter
from stretto.knowledge.manifest import ChunkRow
from stretto.knowledge.nearest import nearest
from stretto.knowledge.opened import Opened
from stretto.knowledge.owner.indexes import Scored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

NARROW = 0.1
"""The share of chunks below which all that are allowed are compared; twice that while they are few."""
_SPARE = 1.3
"""How many times what the share suggests is asked of the index."""
_EXACT_MOST = 20_000
"""Chunks that are compared one by one rather than dug out of an index that ranks them low."""


@dataclass(frozen=True, slots=True)
class _Allowed:
    """The access lists that one searcher is on, at one state of the manifest. `lists` None: all there are."""

    lists: tuple[int, ...] | None
    chunks: int
    of: int

    @property
    def share(self) -> float:
        return self.chunks / self.of if self.of else 1.0


class _Part:
    """One base, as the searcher sees it, by the indexes of now. `refresh` begins each try of a search."""

    def __init__(self, opened: Opened, groups: frozenset[str]) -> None:
        self.opened, self._groups = opened, groups
        self.generation = opened.manifest.generation()
        self.vectors, self.keywords = opened.generation(self.generation)
        self._allowed = _Allowed((), 0, 0)

    def refresh(self) -> int:
        """The manifest's state, and with it what is allowed."""
        state = self.opened.manifest.state()
        key = ("allowed", self._groups)
        known = self.opened.remembered.get(key)
        if known is None or known[0] != state:
            rows = self.opened.manifest.access_lists()
            mine = [(number, count) for number, names, count in rows if not names or names & self._groups]
            lists = None if len(mine) == len(rows) else tuple(number for number, _ in mine)
            known = state, _Allowed(lists, sum(count for _, count in mine), sum(row[2] for row in rows))
            self.opened.remember(key, known)
        self._allowed = known[1]
        return state

    @property
    def lists(self) -> tuple[int, ...] | None:
        """The access lists that count; None: all."""
        return self._allowed.lists

    @property
    def chunks(self) -> int:
        """How many chunks there are for the searcher."""
        return self._allowed.chunks

    def fitting(self, where: Filter) -> list[str]:
        """The ids of the allowed chunks that `where` leaves."""
        manifest = self.opened.manifest
        documents = manifest.documents(None, self.lists)
        if where.on_documents:
            nothing = Chunk("", "", "")
            return manifest.ids_of([key for key, each in documents.items() if where.fits(nothing, each)])
        return [
            row.chunk.id
            for key, each in documents.items()
            for row in manifest.chunks_of(key)
            if where.fits(row.chunk, each)
        ]

    def nearest(self, vector: "Vectors", n: int) -> Scored:
        """The `n` nearest allowed chunks with their cosine."""
        allowed = self._allowed
        if allowed.lists is None:
            return self.vectors.query(vector, n)
        if not allowed.chunks:
            return []
        if allowed.share < NARROW or (allowed.share < 2 * NARROW and allowed.chunks <= _EXACT_MOST):
            return self._exact(vector, n)
        return self._dug(
            lambda deep: self.vectors.query(vector, deep),
            n,
            lambda: self._exact(vector, n) if allowed.chunks <= _EXACT_MOST else None,
        )

    def best(self, text: str, n: int) -> Scored:
        """The `n` best allowed chunks with their keyword score."""
        allowed = self._allowed
        if allowed.lists is None:
            return self.keywords.query(text, n)
        if not allowed.chunks:
            return []
        if 4 * allowed.chunks <= n * _SPARE / allowed.share:  # a candidate costs a quarter of a named id
            return self._named(text, n)
        return self._dug(lambda deep: self.keywords.query(text, deep), n, lambda: None)

    def _dug(self, query: Callable[[int], Scored], n: int, otherwise: Callable[[], Scored | None]) -> Scored:
        allowed = self._allowed
        deep = min(allowed.of, int(n * _SPARE / allowed.share) + 20)
        while True:
            found = query(deep)
            here = self.opened.manifest.present([key for key, _ in found], allowed.lists)
            kept = [pair for pair in found if pair[0] in here]
            if len(kept) >= min(n, allowed.chunks) or len(found) < deep or deep >= allowed.of:
                return kept[:n]
            instead = otherwise()
            if instead is not None:
                return instead
            deep = min(allowed.of, deep * 4)

    def _named(self, text: str, n: int) -> Scored:
        ids = list(self.opened.manifest.under(self._allowed.lists or ()))
        found = [pair for pair in self.keywords.scores(text, ids).items() if pair[1] > 0]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:n]

    def _exact(self, vector: "Vectors", n: int) -> Scored:
        ids, matrix = self._matrix()
        return nearest(ids, matrix, vector, n)

    def _matrix(self) -> "tuple[list[str], Vectors]":
        """The allowed chunks' vectors, of length 1: kept, and brought up to date by what has changed."""
        import numpy as np  # noqa: PLC0415 (loads with the first vector)

        state, lists = self.opened.manifest.state(), self._allowed.lists or ()
        key = ("matrix", self.generation, lists)
        known = self.opened.remembered.get(key)
        if known is not None and known[0] == state:
            return known[1], known[2]
        prints = self.opened.manifest.under(lists)
        rows: dict[str, Vectors] = {}
        if known is not None:
            rows = {
                each: row
                for each, row in zip(known[1], known[2], strict=True)
                if prints.get(each) == known[3].get(each)
            }
        for each, row in self.vectors.vectors([each for each in prints if each not in rows]).items():
            rows[each] = row / (float(np.linalg.norm(row)) or 1.0)
        ids = [each for each in prints if each in rows]
        matrix = np.stack([rows[each] for each in ids]) if ids else np.zeros((0, 1), dtype=np.float32)
        self.opened.remember(key, (state, ids, matrix, {each: prints[each] for each in ids}))
        return ids, matrix


class View:
    """Some bases as one, as far as a searcher in `groups` may see them; the first go before the others."""

    def __init__(self, bases: Sequence[Opened], groups: Collection[str]) -> None:
        self.first, self.groups = bases[0], frozenset(groups)
        parts = [_Part(opened, self.groups) for opened in bases]
        self.manifest = VisibleManifest(parts)
        self.vectors = _Vectors(parts)
        self.keywords = _Keywords(parts)


class VisibleManifest:
    """What the manifests of some bases show to a searcher."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts

    def state(self) -> tuple[int, ...]:
        """Another value after each write."""
        return tuple(part.refresh() for part in self._parts)

    def counts(self) -> tuple[int, int]:
        """No documents are counted, only chunks."""
        return 0, sum(part.chunks for part in self._parts)

    def present(self, keys: Sequence[str]) -> set[str]:
        """Which of `keys` are chunks."""
        return {key for part in self._parts for key in part.opened.manifest.present(keys, part.lists)}

    def chunks(self, keys: Sequence[str]) -> dict[str, Chunk]:
        """Chunks by id."""
        found: dict[str, Chunk] = {}
        for part in reversed(self._parts):
            allowed = keys if part.lists is None else list(part.opened.manifest.present(keys, part.lists))
            found |= part.opened.manifest.chunks(allowed)
        return found

    def documents(self, keys: Iterable[str] | None = None) -> dict[str, Document]:
        """Documents by id, without their texts."""
        found: dict[str, Document] = {}
        for part in reversed(self._parts):
            found |= part.opened.manifest.documents(keys, part.lists)
        return found

    def fitting(self, where: Filter) -> list[str]:
        """The ids of the chunks that `where` leaves."""
        return list(dict.fromkeys(key for part in self._parts for key in part.fitting(where)))

    def chunks_of(self, document: str) -> list[ChunkRow]:
        """The chunks of a document, in order."""
        for part in self._parts:
            if part.opened.manifest.documents([document], part.lists):
                return part.opened.manifest.chunks_of(document)
        return []

    def document(self, key: str) -> Document | None:
        """The document with its text, or None."""
        for part in self._parts:
            if part.opened.manifest.documents([key], part.lists):
                return part.opened.manifest.document(key)
        return None


class _Vectors:
    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts

    def query(self, vector: "Vectors", n: int) -> Scored:
        """The nearest of all."""
        return _merged([part.nearest(vector, n) for part in self._parts], n)

    def vectors(self, ids: Sequence[str]) -> "dict[str, Vectors]":
        """Vectors by id."""
        found: dict[str, Vectors] = {}
        for part in self._parts:
            found |= part.vectors.vectors([key for key in ids if key not in found])
        return found


class _Keywords:
    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts

    def query(self, text: str, n: int) -> Scored:
        """The best of all."""
        return _merged([part.best(text, n) for part in self._parts], n)

    def scores(self, text: str, ids: Sequence[str]) -> dict[str, float]:
        """Scores by id: where a base does not hold one, 0."""
        found = dict.fromkeys(ids, 0.0)
        for part in self._parts:
            for key, score in part.keywords.scores(text, ids).items():
                found[key] = max(found[key], score)
        return found


def _merged(found: Sequence[Scored], n: int) -> Scored:
    if len(found) == 1:
        return found[0]
    best: dict[str, float] = {}
    for key, score in (pair for scored in found for pair in scored):
        best[key] = max(score, best.get(key, score))
    return sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))[:n]
