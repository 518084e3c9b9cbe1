"""What one searcher may see of the bases that hold it, in the shape that a search reads: `Opened`'s own.

Who may see what comes in here and nowhere else: chunks under an access list that the searcher is not on do
not exist in `manifest`. The indexes know no lists; what they bring counts only where the manifest shows it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stretto.documents import Chunk, Document
from stretto.knowledge.filters import Filter
from stretto.knowledge.manifest import ChunkRow
from stretto.knowledge.opened import Opened
from stretto.knowledge.owner.indexes import Scored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Allowed:
    """The access lists that one searcher is on, at one state of the manifest. `lists` None: all there are."""

    lists: tuple[int, ...] | None
    chunks: int
    of: int


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

    @property
    def total(self) -> int:
        """How many chunks the indexes hold, whoever may see them."""
        return self._allowed.of

    def fitting(self, where: Filter | None) -> dict[str, str]:
        """The fingerprints of the allowed chunks that `where` leaves, by id."""
        manifest = self.opened.manifest
        if where is None:
            return manifest.fingerprints(lists=self.lists)
        documents = manifest.documents(None, self.lists)
        if where.on_documents:
            nothing = Chunk("", "", "")
            return manifest.fingerprints(
                [key for key, each in documents.items() if where.fits(nothing, each)]
            )
        return {
            row.chunk.id: row.fingerprint
            for key, each in documents.items()
            for row in manifest.chunks_of(key)
            if where.fits(row.chunk, each)
        }


class View:
    """Some bases as one, as far as a searcher in `groups` may see them; the first go before the others."""

    def __init__(self, bases: Sequence[Opened], groups: Collection[str]) -> None:
        self.first, self.groups = bases[0], frozenset(groups)
        parts = [_Part(opened, self.groups) for opened in bases]
        self.generations = tuple(part.generation for part in parts)
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

    @property
    def restricted(self) -> bool:
        """Whether there are chunks that the searcher may not see."""
        return any(part.lists is not None for part in self._parts)

    def total(self) -> int:
        """How many chunks the indexes hold, whoever may see them."""
        return sum(part.total for part in self._parts)

    def fitting(self, where: Filter | None) -> dict[str, str]:
        """The fingerprints of the chunks that `where` leaves, by id."""
        found: dict[str, str] = {}
        for part in reversed(self._parts):
            found |= part.fitting(where)
        return found

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
        return _merged([part.vectors.query(vector, n) for part in self._parts], n)

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
        return _merged([part.keywords.query(text, n) for part in self._parts], n)

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
