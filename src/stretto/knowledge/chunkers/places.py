"""Where on its page a passage stands, and on which sheet. Knows no ids."""

from bisect import bisect_right
from typing import Any

from stretto.knowledge.chunkers.passages import Passage
from stretto.knowledge.loaders.protocol import Loaded


class Places:
    """Looks up the places of one document's passages."""

    def __init__(self, loaded: Loaded) -> None:
        self._regions = loaded.regions
        self._starts = [region.start for region in loaded.regions]
        self._names = {span.number: span.name for span in loaded.pages if span.name}

    def of(self, passage: Passage) -> dict[str, Any]:
        """`region`: what encloses all parts of the passage whose place is known. `sheet`: a sheet's name."""
        noted: dict[str, Any] = {}
        boxes: list[tuple[float, float, float, float]] = []
        index = max(0, bisect_right(self._starts, passage.start) - 1)
        while index < len(self._regions) and self._starts[index] < passage.end:
            if self._regions[index].end > passage.start:
                boxes.append(self._regions[index].box)
            index += 1
        if boxes:
            left, top, right, bottom = zip(*boxes, strict=True)
            noted["region"] = [min(left), min(top), max(right), max(bottom)]
        if passage.page is not None and passage.page in self._names:
            noted["sheet"] = self._names[passage.page]
        return noted
