"""Puts the lines found in a picture into the order in which people read them. Pure geometry, no pictures.

Columns of prose are read one after the other; tables, receipts and forms are read row by row. A gutter parts
columns only if lines fill the space on both sides of it: a column of prices does not. Lines that cross a
gutter (titles) part the page into bands.
"""

import math
from collections.abc import Sequence
from statistics import median

Point = tuple[float, float]
Corners = Sequence[Point]
"""Top left, top right, bottom right, bottom left, as the text runs."""
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1."""

COLUMN_LINES = 3
"""A column has at least so many lines."""
WIDE = 6.0
"""Width over height from which a line can be prose."""
CROSSING = 0.35
"""At most this share of the lines may cross a gutter."""


def tilt(shapes: Sequence[Corners]) -> float:
    """The angle in radians that the lines have in common, clockwise; 0 where they are few or short."""
    angles = [
        math.atan2(right[1] - left[1], right[0] - left[0])
        for left, right, _, low in shapes
        if math.dist(left, right) > 3 * math.dist(left, low)
    ]
    return median(angles) if len(angles) >= COLUMN_LINES else 0.0


def bounds(shape: Corners, turn: float = 0.0) -> Box:
    """The upright box around four corners, after turning them back by `turn` radians."""
    cos, sin = math.cos(turn), math.sin(turn)
    xs = [x * cos + y * sin for x, y in shape]
    ys = [y * cos - x * sin for x, y in shape]
    return min(xs), min(ys), max(xs), max(ys)


def arrange(shapes: Sequence[Corners]) -> list[list[list[int]]]:
    """Blocks of rows of indices into `shapes`: blocks as read, rows downwards, each left to right."""
    turn = tilt(shapes)
    upright = [_flat(shape, turn) for shape in shapes]
    found = _blocks(list(range(len(shapes))), upright)
    return [part for block in found for part in _paragraphs(block, upright)]


def _flat(shape: Corners, turn: float) -> Box:
    """The line's box with the height of its text: a line tilted by itself is not taken for a tall one."""
    x0, y0, x1, y1 = bounds(shape, turn)
    height = math.dist(shape[0], shape[3])
    middle = (y0 + y1) / 2
    return (
        (x0, middle - height / 2, x1, middle + height / 2) if height < y1 - y0 < x1 - x0 else (x0, y0, x1, y1)
    )


def _blocks(lines: list[int], boxes: Sequence[Box]) -> list[list[list[int]]]:
    """Blocks of rows. Bands that share a gutter are columns together; the page as a whole is tried last."""
    if not lines:
        return []
    bands = _bands(lines, boxes)
    gutters = [_gutter(band, boxes) for band in bands]
    if not any(gutter is not None for gutter in gutters):
        whole = _gutter(lines, boxes)  # lines so far apart that each is a band
        return [_rows(lines, boxes)] if whole is None else _columns(lines, boxes, whole)
    found: list[list[list[int]]] = []
    at = 0
    while at < len(bands):
        gutter, end = gutters[at], at + 1
        if gutter is None:
            found.append(_rows(bands[at], boxes))
        else:
            end = _end_of_columns(bands, gutters, at, boxes)
            found.extend(_columns([line for band in bands[at:end] for line in band], boxes, gutter))
        at = end
    return found


def _end_of_columns(
    bands: list[list[int]], gutters: list[float | None], at: int, boxes: Sequence[Box]
) -> int:
    """Where the bands end that go on with the columns of the band `at`."""
    gutter = gutters[at] or 0.0
    usual = median(_width(boxes[line]) for line in bands[at])
    end = at + 1
    for later in range(end, len(bands)):
        if _sides(bands[later], boxes, gutter)[2]:
            break
        other = gutters[later]
        same = other is not None and abs(other - gutter) < WIDE * _height(boxes[bands[later][0]])
        if same or median(_width(boxes[line]) for line in bands[later]) >= 0.6 * usual:
            end = later + 1
    return end


def _columns(lines: list[int], boxes: Sequence[Box], gutter: float) -> list[list[list[int]]]:
    """Left column, right column, and what crosses the gutter, from band to band."""
    left, right, crossing = _sides(lines, boxes, gutter)
    found: list[list[list[int]]] = []
    across: list[int] = []
    above = -math.inf
    for line in [*sorted(crossing, key=lambda n: _middle(boxes[n])), None]:
        below = math.inf if line is None else _middle(boxes[line])
        sides = [[n for n in side if above <= _middle(boxes[n]) < below] for side in (left, right)]
        if any(sides) or line is None:
            found.extend([_rows(across, boxes)] if across else [])
            across = []
        for side in sides:
            found.extend(_blocks(side, boxes))
        across.extend([] if line is None else [line])
        above = below
    return found


def _bands(lines: list[int], boxes: Sequence[Box]) -> list[list[int]]:
    """The lines, parted where an empty strip runs across all of them."""
    strip = 0.8 * median(_height(boxes[line]) for line in lines)
    found: list[list[int]] = []
    low = -math.inf
    for line in sorted(lines, key=lambda n: boxes[n][1]):
        if boxes[line][1] - low > strip:
            found.append([])
        found[-1].append(line)
        low = max(low, boxes[line][3])
    return found


def _gutter(lines: list[int], boxes: Sequence[Box]) -> float | None:
    """Where the gutter lies that the fewest lines cross, or None."""
    best: tuple[int, float] | None = None
    for x in sorted({boxes[line][0] for line in lines}) if len(lines) >= 2 * COLUMN_LINES else []:
        left, right, crossing = _sides(lines, boxes, x)
        if len(crossing) > CROSSING * len(lines) or (best and len(crossing) >= best[0]):
            continue
        if _is_column(left, boxes) and _is_column(right, boxes) and _side_by_side(left, right, boxes):
            best = len(crossing), x
    return best[1] if best else None


def _sides(lines: list[int], boxes: Sequence[Box], gutter: float) -> tuple[list[int], list[int], list[int]]:
    """The lines left of, right of and across a gutter."""
    slack = median(_height(boxes[line]) for line in lines) / 2
    left = [line for line in lines if boxes[line][2] <= gutter + slack]
    right = [line for line in lines if boxes[line][0] >= gutter - slack and line not in left]
    return left, right, [line for line in lines if line not in left and line not in right]


def _is_column(lines: list[int], boxes: Sequence[Box]) -> bool:
    """Whether these are lines of prose that fill their space."""
    if len(lines) < COLUMN_LINES:
        return False
    widths = [_width(boxes[line]) for line in lines]
    wide = sum(_width(boxes[line]) >= WIDE * _height(boxes[line]) for line in lines)
    return wide >= 0.6 * len(lines) and median(widths) >= 0.7 * max(widths)


def _side_by_side(left: list[int], right: list[int], boxes: Sequence[Box]) -> bool:
    spans = [(min(boxes[n][1] for n in side), max(boxes[n][3] for n in side)) for side in (left, right)]
    shared = min(spans[0][1], spans[1][1]) - max(spans[0][0], spans[1][0])
    return shared >= 0.5 * min(low - high for high, low in spans)


def _rows(lines: list[int], boxes: Sequence[Box]) -> list[list[int]]:
    """Lines whose middles lie within half a line of each other are one row."""
    rows: list[list[int]] = []
    for line in sorted(lines, key=lambda n: _middle(boxes[n])):
        if rows:
            last = boxes[rows[-1][-1]]
            near = abs(_middle(boxes[line]) - _middle(last)) < 0.5 * min(_height(boxes[line]), _height(last))
            if near and all(_apart(boxes[line], boxes[other]) for other in rows[-1]):
                rows[-1].append(line)
                continue
        rows.append([line])
    return [sorted(row, key=lambda n: boxes[n][0]) for row in rows]


def _paragraphs(rows: list[list[int]], boxes: Sequence[Box]) -> list[list[list[int]]]:
    """The rows of a block, parted where more than a line is left empty."""
    found: list[list[list[int]]] = []
    low = -math.inf
    height = median(_height(boxes[line]) for row in rows for line in row)
    for row in rows:
        if min(boxes[line][1] for line in row) - low > 1.2 * height:
            found.append([])
        found[-1].append(row)
        low = max(boxes[line][3] for line in row)
    return found


def _apart(one: Box, other: Box) -> bool:
    return min(one[2], other[2]) - max(one[0], other[0]) < 0.5 * min(_width(one), _width(other))


def _width(box: Box) -> float:
    return box[2] - box[0]


def _height(box: Box) -> float:
    return box[3] - box[1]


def _middle(box: Box) -> float:
    return (box[1] + box[3]) / 2
