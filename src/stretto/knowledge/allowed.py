"""The passages that a filter leaves, worked out once for each state of a knowledge base and then remembered.

With the ids known, both legs keep to the same passages. Few of them are compared one by one, exactly; with
many, an index is asked for more than is needed and the others are dropped.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stretto.knowledge.filters import Filter
from stretto.knowledge.nearest import nearest
from stretto.knowledge.view import View

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHARE = 0.12
"""Up to this share of all passages a filter is answered exactly."""
FEW = 2000
"""Up to this many passages it is, whatever their share."""
_REMEMBERED = 32
_VECTORS = 20_000
"""Vectors of all remembered filters together: 30 MB at 384 dimensions."""


class Allowed:
    """The ids that a filter leaves of `total`, and their vectors where they are few."""

    def __init__(self, view: View, ids: list[str], total: int) -> None:
        self._view, self.ids, self.total = view, frozenset(ids), total
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
        ids, _, table = self._loaded()
        return nearest(ids, table, vector, n)

    def cosines(self, vector: "NDArray[np.float32]", keys: Sequence[str]) -> dict[str, float]:
        """The cosine of each of `keys`, which are among them."""
        _, places, table = self._loaded()
        there = [key for key in keys if key in places]
        length = max(float((vector * vector).sum()) ** 0.5, 1e-12)
        values = table[[places[key] for key in there]] @ vector / length
        return dict(zip(there, values.tolist(), strict=True))

    def _loaded(self) -> "tuple[list[str], dict[str, int], NDArray[np.float32]]":
        """Their ids, the row of each, and the rows of length 1."""
        import numpy as np  # noqa: PLC0415 (loads with the first filtered search)

        if self._rows is None:
            found = self._view.vectors.vectors(self._order)
            table = np.stack(list(found.values())) if found else np.zeros((0, 1), np.float32)
            table = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
            self._rows = list(found), {key: row for row, key in enumerate(found)}, table
        return self._rows

    def said(self, text: str, n: int) -> list[tuple[str, float]]:
        """The `n` best of them for the words of `text`."""
        keywords, of, total = self._view.keywords, len(self.ids), self.total
        if of * of > 1.2 * n * total:  # asking for more than is needed costs less than naming them
            reach = int(1.2 * n * total / of) + 20
            found = keywords.query(text, reach)
            kept = [row for row in found if row[0] in self.ids][:n]
            if len(kept) == n or len(found) < reach:
                return kept
        scored = [row for row in keywords.scores(text, self._order).items() if row[1] > 0]
        return sorted(scored, key=lambda row: -row[1])[:n]


class _Remembered:
    """The filters of one base, for what was asked of its latest state."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.state: tuple[int, ...] = ()
        self.known: OrderedDict[Any, Allowed] = OrderedDict()


def allowed(view: View, where: Filter) -> Allowed:
    """What `where` leaves of the state that the view shows now."""
    remembered: _Remembered = view.first.kept_for("filters", _Remembered)
    with remembered.guard:
        state = view.manifest.state()
        if state != remembered.state:
            remembered.state, remembered.known = state, OrderedDict()
        key = view.groups, where.key
        found = remembered.known.get(key)
        if found is None:
            found = remembered.known[key] = Allowed(
                view, view.manifest.fitting(where), view.manifest.counts()[1]
            )
        remembered.known.move_to_end(key)
        while len(remembered.known) > _REMEMBERED:
            remembered.known.popitem(last=False)
        spare = sum(one.kept for one in remembered.known.values()) - _VECTORS
        for one in list(remembered.known.values())[:-1]:
            if spare <= 0:
                break
            spare -= one.kept
            one.forget()
        return found
