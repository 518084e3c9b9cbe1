"""Compares a vector with rows of length 1, all of them: exact, and for few rows cheaper than an index."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROWS = 1000
"""Rows compared at a time: with more, numpy's threads spin for ten times what the product takes."""


def nearest(
    ids: list[str], table: "NDArray[np.float32]", vector: "NDArray[np.float32]", n: int
) -> list[tuple[str, float]]:
    """The `n` rows of `table` nearest to `vector`, by their ids, with their cosine, best first."""
    import numpy as np  # noqa: PLC0415 (loads with the first vector)

    if not ids:
        return []
    unit = vector / max(float(np.linalg.norm(vector)), 1e-12)
    cosines = np.concatenate([table[at : at + _ROWS] @ unit for at in range(0, len(ids), _ROWS)])
    best = np.argpartition(-cosines, n)[:n] if n < len(ids) else np.arange(len(ids))
    ranked = best[np.argsort(-cosines[best], kind="stable")]
    rows: list[int] = ranked.tolist()
    return [(ids[row], float(cosines[row])) for row in rows]
