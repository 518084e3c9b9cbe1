"""Both indexes of a folder as its owner has them open, by generation. Knows no manifest and no other process.

A generation is a pair of folders, `vectors` and `keywords`; a rebuild writes the next pair beside the old.
"""

import shutil
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stretto.errors import KnowledgeError
from stretto.knowledge.stores.registry import store_opener

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stretto.knowledge.keyword import KeywordIndex
    from stretto.knowledge.stores.protocol import VectorStore

    Vectors = NDArray[np.float32]

Scored = list[tuple[str, float]]


class OwnerGone(Exception):
    """The owner has ended, or has not begun to listen yet. Never leaves the room: who sees it takes over."""


class Indexes(Protocol):
    """What can be asked of the indexes of a generation. Each call may be made twice: it does the same."""

    def upsert(self, generation: int, ids: Sequence[str], vectors: "Vectors") -> None:
        """Writes a vector for each id."""
        ...

    def delete(self, generation: int, ids: Sequence[str]) -> None:
        """Removes vectors."""
        ...

    def query(self, generation: int, vector: "Vectors", n: int) -> Scored:
        """The nearest ids with their cosine."""
        ...

    def vectors(self, generation: int, ids: Sequence[str]) -> dict[str, "Vectors"]:
        """The vectors that are there."""
        ...

    def count(self, generation: int) -> int:
        """How many vectors there are."""
        ...

    def write_words(self, generation: int, rows: Sequence[tuple[str, str]], gone: Sequence[str]) -> None:
        """Removes the ids `gone` and takes `(id, text)` rows in; durable and visible when it returns."""
        ...

    def settle_words(self, generation: int) -> None:
        """Lets go of what writing took."""
        ...

    def count_words(self, generation: int) -> int:
        """How many texts there are."""
        ...

    def query_words(self, generation: int, text: str, n: int) -> Scored:
        """The best ids with their keyword score."""
        ...

    def score_words(self, generation: int, text: str, ids: Sequence[str]) -> dict[str, float]:
        """The keyword score of each id."""
        ...

    def retire(self, generation: int) -> None:
        """Closes and deletes all generations but this one, each when nobody uses it any more."""
        ...


def folders(folder: Path, generation: int) -> tuple[Path, Path]:
    """Where the vectors and the keywords of a generation are."""
    ending = f"-{generation}" if generation else ""
    return folder / f"vectors{ending}", folder / f"keywords{ending}"


class _Pair:
    """One generation. The indexes open at first use; the last user of a retired one closes it."""

    def __init__(self, folder: Path, generation: int) -> None:
        self.places = folders(folder, generation)
        self.users = 0
        self.retired = False
        self._guard = threading.Lock()
        self._vectors: VectorStore | None = None
        self._keywords: KeywordIndex | None = None

    @property
    def vectors(self) -> "VectorStore":
        with self._guard:
            if self._vectors is None:
                self._vectors = store_opener("chroma")(self.places[0])
            return self._vectors

    @property
    def keywords(self) -> "KeywordIndex":
        with self._guard:
            if self._keywords is None:
                from stretto.knowledge.keyword import KeywordIndex  # noqa: PLC0415 (loads tantivy)

                self._keywords = KeywordIndex(self.places[1])
            return self._keywords

    def settle(self) -> None:
        with self._guard:
            if self._keywords is not None:
                self._keywords.settle()

    def close(self) -> None:
        with self._guard:
            for part in (self._vectors, self._keywords):
                if part is not None:
                    part.close()
            self._vectors = self._keywords = None


class OwnedIndexes:
    """The indexes of `folder`, open in this process, which must hold the owner's lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pairs: dict[int, _Pair] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._oldest = 0

    @contextmanager
    def _using(self, generation: int) -> Generator[_Pair]:
        with self._changed:
            if self._closed:
                raise OwnerGone
            if generation < self._oldest:
                raise KnowledgeError("the knowledge base was built anew meanwhile; ask again")
            pair = self._pairs.get(generation)
            if pair is None:
                pair = self._pairs[generation] = _Pair(self._folder, generation)
            pair.users += 1
        try:
            yield pair
        finally:
            with self._changed:
                pair.users -= 1
                if pair.retired and not pair.users:
                    _discard(pair)
                self._changed.notify_all()

    def upsert(self, generation: int, ids: Sequence[str], vectors: "Vectors") -> None:
        """See `Indexes`; so for all that follow."""
        with self._using(generation) as pair:
            pair.vectors.upsert(ids, vectors)

    def delete(self, generation: int, ids: Sequence[str]) -> None:
        """Removes vectors."""
        with self._using(generation) as pair:
            pair.vectors.delete(ids)

    def query(self, generation: int, vector: "Vectors", n: int) -> Scored:
        """The nearest ids."""
        with self._using(generation) as pair:
            return pair.vectors.query(vector, n)

    def vectors(self, generation: int, ids: Sequence[str]) -> dict[str, "Vectors"]:
        """Vectors by id."""
        with self._using(generation) as pair:
            return pair.vectors.vectors(ids)

    def count(self, generation: int) -> int:
        """How many vectors."""
        with self._using(generation) as pair:
            return pair.vectors.count()

    def write_words(self, generation: int, rows: Sequence[tuple[str, str]], gone: Sequence[str]) -> None:
        """Writes texts durably."""
        with self._using(generation) as pair:
            pair.keywords.delete(gone)
            pair.keywords.upsert(rows)
            pair.keywords.commit()

    def settle_words(self, generation: int) -> None:
        """Ends the writer."""
        with self._using(generation) as pair:
            pair.settle()

    def count_words(self, generation: int) -> int:
        """How many texts."""
        with self._using(generation) as pair:
            return pair.keywords.count()

    def query_words(self, generation: int, text: str, n: int) -> Scored:
        """The best ids."""
        with self._using(generation) as pair:
            return pair.keywords.query(text, n)

    def score_words(self, generation: int, text: str, ids: Sequence[str]) -> dict[str, float]:
        """Scores by id."""
        with self._using(generation) as pair:
            return pair.keywords.scores(text, ids)

    def retire(self, generation: int) -> None:
        """Closes and deletes the others."""
        with self._changed:
            self._oldest = generation
            for number in [number for number in self._pairs if number != generation]:
                pair = self._pairs.pop(number)
                pair.retired = True
                if not pair.users:
                    _discard(pair)
            kept = {*folders(self._folder, generation)}
            kept |= {place for pair in self._pairs.values() for place in pair.places}
            for place in [*self._folder.glob("vectors*"), *self._folder.glob("keywords*")]:
                if place not in kept and place.is_dir():
                    shutil.rmtree(place, ignore_errors=True)

    def close(self) -> None:
        """Waits for who still uses them, then closes them. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not any(pair.users for pair in self._pairs.values()), timeout=60)
            for pair in self._pairs.values():
                pair.close()
            self._pairs.clear()


def _discard(pair: _Pair) -> None:
    pair.close()
    for place in pair.places:
        shutil.rmtree(place, ignore_errors=True)
