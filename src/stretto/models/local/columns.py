"""Numbers that stand over or under a row of labels, as in a chart, paired with their labels.

Pure geometry on lines that were read: knows no picture and no reader.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from stretto.models.local.ocr import Line

_NUMBER = re.compile(r"[-+]?[\d.,:]*\d[\d.,:]*\s?[%€$]?")
_LABEL = re.compile(r"[^\W\d_][\w .\-]{0,14}")
FEWEST = 3
"""Labels in a row from which they are taken for the labels of columns."""


def columns(lines: Sequence[Line]) -> list[tuple[str, str]]:
    """(label, number) of each column, left to right; empty where there is no such row or it is not clear."""
    for row in _label_rows(lines):
        numbers = [line for line in lines if _NUMBER.fullmatch(line.text.strip())]
        width = min(_middle(right) - _middle(left) for left, right in pairwise(row))
        pairs = [(label, [found for found in numbers if _over(label, found, width)]) for label in row]
        if sum(len(found) == 1 for _, found in pairs) >= FEWEST and all(
            len(found) <= 1 for _, found in pairs
        ):
            return [(label.text.strip(), found[0].text.strip()) for label, found in pairs if found]
    return []


def _label_rows(lines: Sequence[Line]) -> list[list[Line]]:
    labels = sorted((line for line in lines if _LABEL.fullmatch(line.text.strip())), key=_middle)
    rows: list[list[Line]] = []
    for label in labels:
        row = next((row for row in rows if _same_height(row[-1], label)), None)
        if row is None:
            rows.append([label])
        else:
            row.append(label)
    return sorted((row for row in rows if len(row) >= FEWEST), key=len, reverse=True)


def _middle(line: Line) -> float:
    return (line.box[0] + line.box[2]) / 2


def _same_height(one: Line, other: Line) -> bool:
    overlap = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
    return overlap > 0.5 * min(one.box[3] - one.box[1], other.box[3] - other.box[1])


def _over(label: Line, number: Line, width: float) -> bool:
    return abs(_middle(label) - _middle(number)) < width / 3
