"""The reading order of a page: lines with boxes to paragraphs, column by column. Knows no file format.

Boxes have their origin at the top left, in any unit. A gutter is a vertical strip that few lines cross, with
lines of some width on both sides; lines that cross it stand before or after both columns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median


@dataclass(frozen=True, slots=True)
class Line:
    """A piece of a line: text without a gap wide enough to be a gutter."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    """Font size, or the height where that is not known."""

    @property
    def middle(self) -> float:
        """The vertical middle."""
        return (self.top + self.bottom) / 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines that belong together, joined; `size` is their font size."""

    text: str
    size: float
    lines: int = 1
    box: tuple[float, float, float, float] | None = None
    """Left, top, right, bottom, in the unit of the lines."""


def read_in_order(lines: Iterable[Line]) -> list[Paragraph]:
    """The paragraphs of a page in the order a person reads them."""
    paragraphs: list[Paragraph] = []
    for region in _regions([line for line in lines if line.text.strip()]):
        paragraphs.extend(_paragraphs(_rows(region)))
    return paragraphs


def _regions(lines: list[Line], depth: int = 0) -> list[list[Line]]:
    """The lines in groups: what crosses a gutter, the left column, the right one, and so on downwards."""
    gutter = _gutter(lines) if depth < 4 else None
    if gutter is None:
        return [sorted(lines, key=lambda line: (line.middle, line.left))] if lines else []
    crossing = sorted(
        (line for line in lines if line.left < gutter < line.right), key=lambda line: line.middle
    )
    rest = [line for line in lines if not line.left < gutter < line.right]
    groups: list[list[Line]] = []
    for border in [*crossing, None]:
        above = [line for line in rest if border is None or line.middle < border.middle]
        rest = [line for line in rest if border is not None and line.middle >= border.middle]
        for side in (
            [line for line in above if line.right <= gutter],
            [line for line in above if line.left >= gutter],
        ):
            groups.extend(_regions(side, depth + 1))
        if border is not None:
            if groups and groups[-1] and groups[-1][-1] in crossing:
                groups[-1].append(border)
            else:
                groups.append([border])
    return groups


def _gutter(lines: Sequence[Line]) -> float | None:
    """Where the columns part, or None. Columns hold prose: at least 4 lines each, most of them wide."""
    if len(lines) < 8:
        return None
    left, right = min(line.left for line in lines), max(line.right for line in lines)
    width = right - left
    best: tuple[float, float] | None = None
    for candidate in {line.left - 1e-3 for line in lines}:
        if not left + 0.15 * width < candidate < left + 0.85 * width:
            continue
        before = [line for line in lines if line.right <= candidate]
        after = [line for line in lines if line.left >= candidate]
        crossing = len(lines) - len(before) - len(after)
        if min(len(before), len(after)) < 4 or crossing > 0.34 * len(lines):
            continue
        edge = max(line.right for line in before)
        if not _prose(before, candidate - left) or not _prose(after, right - candidate):
            continue
        value = len(before) + len(after) - 2 * crossing + (candidate - edge) / width
        if best is None or value > best[0]:
            best = (value, (edge + candidate) / 2 if edge < candidate else candidate)
    return best[1] if best else None


def _prose(lines: Sequence[Line], room: float) -> bool:
    """Whether a column is filled as text is; the cells of a table are narrow, or short."""
    wide = sum(line.right - line.left > 0.55 * room for line in lines)
    words = median(len(line.text.split()) for line in lines)
    return wide >= 0.5 * len(lines) and words >= 3


def _rows(lines: Sequence[Line]) -> list[Line]:
    """Pieces on one level become one line; where the next or last line has several too, they are cells."""
    rows: list[list[Line]] = []
    for line in lines:
        if rows and abs(line.middle - rows[-1][0].middle) < 0.45 * max(line.size, rows[-1][0].size):
            rows[-1].append(line)
        else:
            rows.append([line])
    several = [False, *(len(row) > 1 for row in rows), False]
    return [
        _joined(sorted(row, key=lambda line: line.left), several[index] or several[index + 2])
        for index, row in enumerate(rows)
    ]


def _joined(row: Sequence[Line], cells: bool) -> Line:
    if len(row) == 1:
        return row[0]
    texts = [line.text.strip() for line in row]
    return Line(
        "| " + " | ".join(texts) + " |" if cells else " ".join(texts),
        row[0].left,
        min(line.top for line in row),
        row[-1].right,
        max(line.bottom for line in row),
        max(line.size for line in row),
    )


def _paragraphs(lines: Sequence[Line]) -> list[Paragraph]:
    gaps = [after.top - before.top for before, after in pairwise(lines)]
    leading = median([gap for gap in gaps if gap > 0] or [0])
    found: list[Paragraph] = []
    before: Line | None = None
    for line in lines:
        text = line.text.strip()
        if before is not None and not _parts(before, line, leading):
            last = found[-1]
            box = _around(last.box, line)
            found[-1] = Paragraph(_continued(last.text, text), last.size, last.lines + 1, box)
        else:
            found.append(Paragraph(text, line.size, box=_around(None, line)))
        before = line
    return found


def _around(box: tuple[float, float, float, float] | None, line: Line) -> tuple[float, float, float, float]:
    if box is None:
        return (line.left, line.top, line.right, line.bottom)
    return (
        min(box[0], line.left), min(box[1], line.top), max(box[2], line.right), max(box[3], line.bottom)
    )  # fmt: skip


def _parts(before: Line, line: Line, leading: float) -> bool:
    """Whether a new paragraph begins with `line`."""
    step = line.top - before.top
    apart = step > 1.35 * min(leading, 1.6 * max(line.size, before.size)) + 0.5 or step < 0
    return apart or abs(line.size - before.size) > 0.08 * max(line.size, before.size)


def _continued(text: str, line: str) -> str:
    """The next line joined: words cut by a hyphen become whole, items and rows keep their own line."""
    if line.startswith(("|", "•", "- ", "– ", "* ", "▪", "◦")) or _numbered(line):  # noqa: RUF001 (bullets)
        return f"{text}\n{line}"
    if text.startswith("|") and text.endswith("|"):
        return f"{text}\n{line}"
    if text.endswith(("-", "\u00ad", "\u2010")) and line[:1].islower() and text[-2:-1].isalpha():
        return text[:-1] + line
    return f"{text} {line}"


def _numbered(line: str) -> bool:
    mark, _, rest = line.partition(" ")
    return bool(rest) and len(mark) <= 4 and mark[:-1].isdigit() and mark[-1:] in ".)"
