"""Both legs in the shape that ingest and search know, wherever their owner is. Texts go out at a commit."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from stretto.knowledge.owner.indexes import Indexes, Scored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

T = TypeVar("T")


class Way(Protocol):
    """Calls `work` with the indexes, again when their owner ended meanwhile."""

    def __call__(self, work: Callable[[Indexes], T], /) -> T:
        """What `work` returned."""
        ...


class SharedVectors:
    """A `VectorStore` of one generation."""

    def __init__(self, way: Way, generation: int) -> None:
        self._way, self._generation = way, generation

    def upsert(self, ids: Sequence[str], vectors: "Vectors") -> None:
        """Writes the vectors; see the protocol."""
        self._way(lambda indexes: indexes.upsert(self._generation, ids, vectors))

    def delete(self, ids: Sequence[str]) -> None:
        """Removes the ids that are there."""
        self._way(lambda indexes: indexes.delete(self._generation, ids))

    def query(self, vector: "Vectors", n: int) -> Scored:
        """The nearest ids with their cosine."""
        return self._way(lambda indexes: indexes.query(self._generation, vector, n))

    def vectors(self, ids: Sequence[str]) -> dict[str, "Vectors"]:
        """The vectors of those ids that are there."""
        return self._way(lambda indexes: indexes.vectors(self._generation, ids))

    def count(self) -> int:
        """How many vectors there are."""
        return self._way(lambda indexes: indexes.count(self._generation))

    def close(self) -> None:
        """Nothing: the role closes."""


class SharedKeywords:
    """The keyword index of one generation. What is written gathers here and becomes visible at `commit`."""

    def __init__(self, way: Way, generation: int) -> None:
        self._way, self.generation = way, generation
        self._rows: list[tuple[str, str]] = []
        self._gone: list[str] = []
        self._wrote = False

    def upsert(self, rows: Iterable[tuple[str, str]]) -> None:
        """Takes `(id, text)`; an id that is there is replaced."""
        self._rows.extend(rows)

    def delete(self, ids: Iterable[str]) -> None:
        """Removes ids."""
        self._gone.extend(ids)

    def commit(self) -> None:
        """Makes what was written durable and visible."""
        rows, gone = self._rows, self._gone
        self._rows, self._gone = [], []
        if rows or gone:
            self._wrote = True
            self._way(lambda indexes: indexes.write_words(self.generation, rows, gone))

    def settle(self) -> None:
        """Commits, and lets go of what writing took."""
        self.commit()
        if self._wrote:
            self._way(lambda indexes: indexes.settle_words(self.generation))
            self._wrote = False

    def count(self) -> int:
        """How many chunks are committed."""
        return self._way(lambda indexes: indexes.count_words(self.generation))

    def query(self, text: str, n: int) -> Scored:
        """The `n` best ids with their BM25 score, best first."""
        return self._way(lambda indexes: indexes.query_words(self.generation, text, n))

    def scores(self, text: str, ids: Sequence[str]) -> dict[str, float]:
        """The BM25 score of each of `ids` for `text`."""
        return self._way(lambda indexes: indexes.score_words(self.generation, text, ids))
