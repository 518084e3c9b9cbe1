"""What a store of vectors does. It holds ids and vectors; texts and everything else are the manifest's."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


class VectorStore(Protocol):
    """Vectors by id, compared by cosine. Sync; called off the event loop, by one writer at a time."""

    def upsert(self, ids: Sequence[str], vectors: "Vectors") -> None:
        """Writes a row of `vectors`, shape (len(ids), dimensions), for each id, over what was there."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Removes the ids that are there."""
        ...

    def query(self, vector: "Vectors", n: int) -> list[tuple[str, float]]:
        """The `n` nearest ids with their cosine, best first, to one vector of shape (dimensions,)."""
        ...

    def vectors(self, ids: Sequence[str]) -> dict[str, "Vectors"]:
        """The vectors of those ids that are there."""
        ...

    def count(self) -> int:
        """How many vectors there are."""
        ...

    def close(self) -> None:
        """Frees what it holds. May be called twice."""
        ...


OpenStore = Callable[[Path], VectorStore]
"""Opens or makes the store in a folder. Raises KnowledgeError."""
