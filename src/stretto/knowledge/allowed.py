"""The passages that access lists and a filter leave, worked out for each state of a base and then remembered.

With the ids known, both legs keep to the same passages. Few of them are compared one by one, exactly; with
many, an index is asked for more than is needed and the others are dropped. After a write only the vectors of
what is new are read again.
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
_IDS = 300_000
"""Ids of all that is remembered together: 50 MB."""
_VECTORS = 20_000
"""Vectors of all remembered filters together: 30 MB at 384 dimensions."""


class Allowed:
    """The ids that are left of `total`, and their vectors where they are few.

    Args:
        view: Where they are.
        prints: Their fingerprints by id.
        total: How many the indexes hold.
        before: The same for the state before, whose vectors are taken over.
    """

    def __init__(
        self, view: View, prints: dict[str, str], total: int, before: "Allowed | None" = None
    ) -> None:
        self._view, self.total = view, total
        self.ids = prints if len(prints) <= max(FEW, SHARE * total) else dict.fromkeys(prints, "")
        self._before = before if before is not None and before.kept else None
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
            found = self._known()
            table = np.stack(list(found.values())) if found else np.zeros((0, 1), np.float32)
            table = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
            self._rows = list(found), {key: row for row, key in enumerate(found)}, table
        return self._rows

    def _known(self) -> "dict[str, NDArray[np.float32]]":
        """Their vectors, of the state before where they are the same."""
        found: dict[str, NDArray[np.float32]] = {}
        before, self._before = self._before, None
        if before is not None:
            ids, _, table = before._loaded()
            same = (at for at, key in enumerate(ids) if self.ids.get(key) == before.ids[key])
            found = {ids[at]: table[at] for at in same}
        return found | self._view.vectors.vectors([key for key in self.ids if key not in found])

    def said(self, text: str, n: int) -> list[tuple[str, float]]:
        """The `n` best of them for the words of `text`."""
        keywords, of, total = self._view.keywords, len(self.ids), self.total
        if of * of > 1.2 * n * total:  # asking for more than is needed costs less than naming them
            reach = int(1.2 * n * total / of) + 20
            found = keywords.query(text, reach)
            kept = [row for row in found if row[0] in self.ids][:n]
            if len(kept) == n or len(found) < reach:
                return kept
        scored = [row for row in keywords.scores(text, list(self.ids)).items() if row[1] > 0]
        return sorted(scored, key=lambda row: -row[1])[:n]


class _Remembered:
    """What was allowed lately in one base."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.known: OrderedDict[Any, tuple[tuple[int, ...], Allowed]] = OrderedDict()


def allowed(view: View, where: Filter | None) -> Allowed:
    """What access lists and `where` leave of the state that the view shows now."""
    remembered: _Remembered = view.first.kept_for("allowed", _Remembered)
    with remembered.guard:
        state, key = view.manifest.state(), (view.groups, view.generations, where and where.key)
        known = remembered.known.get(key)
        if known is None or known[0] != state:
            before = known[1] if known else None
            found = Allowed(view, view.manifest.fitting(where), view.manifest.total(), before)
            known = remembered.known[key] = state, found
        remembered.known.move_to_end(key)
        sizes = [len(one.ids) for _, one in remembered.known.values()]
        while len(sizes) > 1 and (len(sizes) > _REMEMBERED or sum(sizes) > _IDS):
            remembered.known.popitem(last=False)
            del sizes[0]
        others = [one for _, one in remembered.known.values()][:-1]
        spare = len(known[1].ids) * known[1].exact + sum(one.kept for one in others) - _VECTORS
        for one in others:
            if spare <= 0:
                break
            spare -= one.kept
            one.forget()
        return known[1]
