"""`HashingEmbedder`: a deterministic embedder without a model. Texts that share words are near each other."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stretto.errors import BadRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class HashingEmbedder:
    """Words are hashed to coordinates. Strict: refuses empty texts, and work after `close`.

    Args:
        dimensions: Numbers in a vector, at least 16.
        name: What a store remembers it by; `testing:hashing-<dimensions>` if None.
    """

    def __init__(self, dimensions: int = 256, *, name: str | None = None) -> None:
        if dimensions < 16:
            raise ValueError(f"dimensions is {dimensions}; give at least 16")
        self._dimensions = dimensions
        self._name = name or f"testing:hashing-{dimensions}"
        self.texts: list[str] = []
        """Every text that was embedded, in order."""
        self.closed = False

    @property
    def name(self) -> str:
        """`testing:hashing-<dimensions>`, or the name given."""
        return self._name

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return self._dimensions

    async def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """An array of shape (len(texts), dimensions), each row of length 1."""
        import numpy as np  # noqa: PLC0415 (the vocabulary of tests loads without numpy)

        if self.closed:
            raise RuntimeError(f"{self._name} was closed and is used again")
        rows = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        for index, text in enumerate(texts):
            if not text.strip():
                raise BadRequest(f"{self._name} was given an empty text")
            self.texts.append(text)
            for word, count in Counter(re.findall(r"\w+", text.lower()) or [text]).items():
                place = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
                sign = 1.0 if place >> 63 else -1.0
                rows[index, place % self._dimensions] += sign * count**0.5
            if not rows[index].any():
                rows[index, 0] = 1.0
            rows[index] /= np.linalg.norm(rows[index])
        return rows

    async def close(self) -> None:
        """Ends it. May be called twice."""
        self.closed = True
