"""Embedded Chroma behind the store protocol: ids and vectors, cosine, no telemetry, no embedding function.

The folder must have one owner process; the caller holds the lock.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import chromadb
import numpy as np
from chromadb.config import Settings

from stretto._internal.private import private_folder
from stretto.errors import KnowledgeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH = 5000  # Chroma takes at most 5461 rows a call
_COLLECTION = "chunks"
_REMEMBERED = 8192
"""Vectors kept in memory once they were read: Chroma takes 50 us to give one back."""
_HNSW = {"space": "cosine", "ef_search": 200}


class ChromaStore:
    """A Chroma collection in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        private_folder(folder)
        self._folder = folder
        try:
            self._client: Any = chromadb.PersistentClient(
                str(folder), settings=Settings(anonymized_telemetry=False)
            )
            self._rows: Any = self._client.get_or_create_collection(
                _COLLECTION, embedding_function=None, configuration=cast("Any", {"hnsw": _HNSW})
            )
        except Exception as error:
            raise self._broken(error) from error
        self._closed = False
        self._known: dict[str, NDArray[np.float32]] = {}

    def upsert(self, ids: Sequence[str], vectors: "NDArray[np.float32]") -> None:
        """Writes the vectors; see the protocol."""
        for start in range(0, len(ids), _BATCH):
            part = slice(start, start + _BATCH)
            self._forget(ids[part])
            self._call(self._rows.upsert, ids=list(ids[part]), embeddings=vectors[part])

    def delete(self, ids: Sequence[str]) -> None:
        """Removes the ids that are there."""
        for start in range(0, len(ids), _BATCH):
            self._forget(ids[start : start + _BATCH])
            self._call(self._rows.delete, ids=list(ids[start : start + _BATCH]))

    def query(self, vector: "NDArray[np.float32]", n: int) -> list[tuple[str, float]]:
        """The nearest ids with their cosine."""
        found = self._call(
            self._rows.query,
            query_embeddings=vector.reshape(1, -1),
            n_results=max(1, n),
            include=["distances"],
        )
        return [
            (key, 1.0 - distance)
            for key, distance in zip(found["ids"][0], found["distances"][0], strict=True)
        ]

    def vectors(self, ids: Sequence[str]) -> "dict[str, NDArray[np.float32]]":
        """The vectors of those ids that are there."""
        found = {key: known for key in ids if (known := self._known.get(key)) is not None}
        missing = [key for key in ids if key not in found]
        for start in range(0, len(missing), _BATCH):
            rows = self._call(self._rows.get, ids=missing[start : start + _BATCH], include=["embeddings"])
            read = dict(zip(rows["ids"], np.asarray(rows["embeddings"], dtype=np.float32), strict=True))
            found.update(read)
            if len(self._known) + len(read) > _REMEMBERED:
                self._known = {}
            if len(read) <= _REMEMBERED:
                self._known.update(read)
        return found

    def _forget(self, ids: Sequence[str]) -> None:
        for key in ids:
            self._known.pop(key, None)

    def count(self) -> int:
        """How many vectors there are."""
        return int(self._call(self._rows.count))

    def close(self) -> None:
        """Closes the client."""
        if not self._closed:
            self._closed = True
            self._client.close()

    def _call(self, method: Any, **arguments: Any) -> Any:
        try:
            return method(**arguments)
        except Exception as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> KnowledgeError:
        return KnowledgeError(
            f"the vector store in `{self._folder}` failed ({type(error).__name__}: {error}); "
            "if it stays so, delete that folder and add the documents again"
        )
