"""The tables of a PDF's pages, by pdfplumber, where that is installed. Knows no reading order.

It is slow, so a page is looked at only when it has lines drawn on it, and only for so long in all.
"""

import io
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

_SECONDS = 20.0
"""For all pages of a document."""
_FEWEST_LINES = 4
"""Drawn lines or boxes of a page that may hold a table."""


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table: its rows, and where it stands, in points from the top left."""

    rows: tuple[tuple[str, ...], ...]
    left: float
    top: float
    right: float
    bottom: float

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies inside."""
        return self.left <= x <= self.right and self.top <= y <= self.bottom


class Tables:
    """Finds the tables of one document's pages. `late` says that time ran out before the last page."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._document: Any = None
        self._spent = 0.0
        self.late = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._document:
            self._document.close()

    def of(self, index: int, drawn: int) -> list[FoundTable]:
        """The tables of page `index` from 0, which has so many `drawn` lines and boxes."""
        if drawn < _FEWEST_LINES or self._document is False:
            return []
        if self._spent > _SECONDS:
            self.late = True
            return []
        started = time.monotonic()
        try:
            if self._document is None:
                self._document = _opened(self._data)
            return _tables(self._document.pages[index]) if self._document else []
        except Exception:  # a second parser that fails at a page must not cost what the first one read
            return []
        finally:
            self._spent += time.monotonic() - started


def _opened(data: bytes) -> Any:
    """The document, or False where the package is not installed."""
    try:
        import pdfplumber  # noqa: PLC0415 (an optional package, and a slow import)
    except ImportError:
        return False
    return pdfplumber.open(io.BytesIO(data))


def _tables(page: Any) -> list[FoundTable]:
    found: list[FoundTable] = []
    for table in page.find_tables():
        rows = tuple(tuple(" ".join((cell or "").split()) for cell in row) for row in table.extract())
        width = max(map(len, rows), default=0)
        filled = sum(bool(cell) for row in rows for cell in row)
        if len(rows) > 1 and width > 1 and 2 * filled >= len(rows) * width:
            left, top, right, bottom = table.bbox
            found.append(FoundTable(rows, left, top, right, bottom))
    page.close()
    return found
