"""The passages that a filter leaves, worked out once for each state of a knowledge base and then remembered.

With the ids known, both legs keep to the same passages. Few of them are compared one by one, exactly; with
many, an index is asked for more than is needed and the others are dropped.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from stretto.documents import Chunk
from stretto.knowledge.filters import Filter
from stretto.knowledge.opened import Opened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHARE = 0.12
"""Up to this share of all passages a filter is answered exactly."""
FEW = 2000
"""Up to this many passages it is, whatever their share."""
_REMEMBERED = 32
_ROWS = 1000
"""Rows compared at a time: with more, numpy's threads spin for ten times what the product takes."""
_VECTORS = 20_000
"""Vectors of all remembered filters together: 30 MB at 384 dimensions."""


class Allowed:
    """The ids that a filter leaves of `total`, and their vectors where they are few."""

    def __init__(self, opened: Opened, ids: list[str], total: int) -> None:
        self._opened, self.ids, self.total = opened, frozenset(ids), total
        self._order = ids
        self._rows: tuple[list[str], dict[str, int], NDArray[np.float32]] | None = None

    @property
    def exact(self) -> bool:
        """Whether they are few enough to be compared one by one."""
        return len(self.ids) <= max(FEW, SHARE * self.total)

    @property
    def kept(self) -> int:
        """How many vectors are held in memory."""
        return 0 if self._rows is None else len(self._rows[0])

    def forget(self) -> None:
        """Lets the vectors go."""
        self._rows = None

    def nearest(self, vector: "NDArray[np.float32]", n: int) -> list[tuple[str, float]]:
        """The `n` nearest of them with their cosine, best first: all are compared."""
        import numpy as np  # noqa: PLC0415 (loads with the first filtered search)

        ids, _, table = self._loaded()
        unit = vector / max(float(np.linalg.norm(vector)), 1e-12)
        cosines = np.concatenate([table[at : at + _ROWS] @ unit for at in range(0, max(1, len(ids)), _ROWS)])
        best = np.argpartition(-cosines, n)[:n] if n < len(ids) else np.arange(len(ids))
        ranked = best[np.argsort(-cosines[best], kind="stable")]
        return [(ids[index], float(cosines[index])) for index in ranked]

    def cosines(self, vector: "NDArray[np.float32]", keys: Sequence[str]) -> dict[str, float]:
        """The cosine of each of `keys`, which are among them."""
        _, places, table = self._loaded()
        there = [key for key in keys if key in places]
        length = max(float((vector * vector).sum()) ** 0.5, 1e-12)
        values = table[[places[key] for key in there]] @ vector / length
        return dict(zip(there, values.tolist(), strict=True))

    def _loaded(self) -> "tuple[list[str], dict[str, int], NDArray[np.float32]]":
        """Their ids, the row of each, and the rows of length 1."""
        import numpy as np  # noqa: PLC0415 (as above)

        if self._rows is None:
            found = self._opened.vectors.vectors(self._order)
            table = np.stack(list(found.values())) if found else np.zeros((0, 1), np.float32)
            table = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
            self._rows = list(found), {key: row for row, key in enumerate(found)}, table
        return self._rows

    def said(self, text: str, n: int) -> list[tuple[str, float]]:
        """The `n` best of them for the words of `text`."""
        keywords, of, total = self._opened.keywords, len(self.ids), self.total
        if of * of > 1.2 * n * total:  # asking for more than is needed costs less than naming them
            reach = int(1.2 * n * total / of) + 20
            found = keywords.query(text, reach)
            kept = [row for row in found if row[0] in self.ids][:n]
            if len(kept) == n or len(found) < reach:
                return kept
        scored = [row for row in keywords.scores(text, self._order).items() if row[1] > 0]
        return sorted(scored, key=lambda row: -row[1])[:n]


class _Remembered:
    """The filters of one opened base, for its latest state."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.state = -1
        self.known: OrderedDict[str, Allowed] = OrderedDict()


_bases: "WeakKeyDictionary[Opened, _Remembered]" = WeakKeyDictionary()


def allowed(opened: Opened, where: Filter) -> Allowed:
    """What `where` leaves of the state that the manifest shows now."""
    remembered = _bases.setdefault(opened, _Remembered())
    with remembered.guard:
        state = opened.manifest.state()
        if state != remembered.state:
            remembered.state, remembered.known = state, OrderedDict()
        found = remembered.known.get(where.key)
        if found is None:
            found = remembered.known[where.key] = Allowed(opened, _ids(opened, where), _total(opened))
        remembered.known.move_to_end(where.key)
        while len(remembered.known) > _REMEMBERED:
            remembered.known.popitem(last=False)
        spare = sum(one.kept for one in remembered.known.values()) - _VECTORS
        for one in list(remembered.known.values())[:-1]:
            if spare <= 0:
                break
            spare -= one.kept
            one.forget()
        return found


def _total(opened: Opened) -> int:
    return opened.manifest.counts()[1]


def _ids(opened: Opened, where: Filter) -> list[str]:
    documents = opened.manifest.documents()
    if where.on_documents:
        nothing = Chunk("", "", "")
        fit = [key for key, document in documents.items() if where.fits(nothing, document)]
        return opened.manifest.ids_of(fit)
    return [
        row.chunk.id
        for key, document in documents.items()
        for row in opened.manifest.chunks_of(key)
        if where.fits(row.chunk, document)
    ]
