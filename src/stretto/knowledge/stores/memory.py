"""Vectors in memory behind the store protocol: exact, for tests and small throw-away collections."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MemoryStore:
    """A dictionary of vectors; `folder` is not written to."""

    def __init__(self, folder: Path) -> None:
        self._rows: dict[str, NDArray[np.float32]] = {}

    def upsert(self, ids: Sequence[str], vectors: "NDArray[np.float32]") -> None:
        """Writes the vectors; see the protocol."""
        self._rows.update(zip(ids, np.array(vectors, dtype=np.float32), strict=True))

    def delete(self, ids: Sequence[str]) -> None:
        """Removes the ids that are there."""
        for key in ids:
            self._rows.pop(key, None)

    def query(self, vector: "NDArray[np.float32]", n: int) -> list[tuple[str, float]]:
        """The nearest ids with their cosine, all compared."""
        if not self._rows:
            return []
        table = np.stack(list(self._rows.values()))
        lengths = np.linalg.norm(table, axis=1) * float(np.linalg.norm(vector))
        cosines = (table @ vector) / np.maximum(lengths, 1e-12)
        best = np.argsort(-cosines, kind="stable")[: max(1, n)]
        keys = list(self._rows)
        return [(keys[index], float(cosines[index])) for index in best]

    def vectors(self, ids: Sequence[str]) -> "dict[str, NDArray[np.float32]]":
        """The vectors of those ids that are there."""
        return {key: self._rows[key] for key in ids if key in self._rows}

    def count(self) -> int:
        """How many vectors there are."""
        return len(self._rows)

    def close(self) -> None:
        """Nothing to free."""
