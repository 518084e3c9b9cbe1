import math

from hypothesis import given
from hypothesis import strategies as st

from stretto.models.local.reading_order import arrange, bounds, tilt

HEIGHT = 20


def line(x: float, y: float, width: float, height: float = HEIGHT):
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def turned(shape, degrees: float):
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [(x * cos - y * sin, x * sin + y * cos) for x, y in shape]


def flat(blocks):
    return [n for block in blocks for row in block for n in row]


def column(x: float, top: float, count: int, width: float = 300):
    return [line(x, top + 30 * n, width - 7 * (n % 3)) for n in range(count)]


RECEIPT = [
    line(100, 0, 200),
    *[each for n in range(4) for each in (line(0, 60 + 30 * n, 150 + 9 * n), line(330, 62 + 30 * n, 50))],
]


def test_two_columns_of_prose_are_read_one_after_the_other():
    shapes = [each for pair in zip(column(0, 0, 6), column(340, 3, 6), strict=True) for each in pair]
    assert flat(arrange(shapes)) == [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]


def test_three_columns_too():
    shapes = column(680, 0, 5) + column(0, 0, 5) + column(340, 0, 5)
    assert flat(arrange(shapes)) == [*range(5, 15), *range(5)]


def test_a_title_comes_first_and_a_line_across_parts_the_columns_into_bands():
    shapes = [
        line(50, 0, 550, 30),
        *column(0, 60, 4),
        *column(340, 60, 4),
        line(0, 190, 640),
        *column(0, 230, 4),
        *column(340, 230, 4),
    ]
    assert flat(arrange(shapes)) == list(range(18))


def test_a_table_below_columns_is_read_row_by_row():
    table = [line(x, 300 + 40 * n, width) for n in range(3) for x, width in ((0, 60), (180, 160), (560, 60))]
    shapes = [*column(0, 0, 6), *column(340, 0, 6), *table]
    assert flat(arrange(shapes)) == list(range(len(shapes)))


def test_a_receipt_is_read_row_by_row():
    assert arrange(RECEIPT) == [[[0]], [[1, 2], [3, 4], [5, 6], [7, 8]]]


def test_a_receipt_at_an_angle_is_read_like_a_straight_one():
    for degrees in (-12, -5, 5, 12):
        shapes = [turned(shape, degrees) for shape in RECEIPT]
        assert arrange(shapes) == arrange(RECEIPT)
        assert math.isclose(math.degrees(tilt(shapes)), degrees, abs_tol=0.1)


def test_columns_at_an_angle_are_still_columns():
    shapes = [turned(shape, 4) for shape in column(0, 0, 6) + column(340, 0, 6)]
    assert flat(arrange(shapes)) == list(range(12))


def test_an_empty_strip_parts_paragraphs():
    shapes = [*column(0, 0, 3), *column(0, 140, 2)]
    assert arrange(shapes) == [[[0], [1], [2]], [[3], [4]]]


def test_a_row_is_read_from_left_to_right_whatever_the_order_of_finding():
    assert arrange([line(300, 4, 80), line(0, 0, 80), line(150, 2, 80)]) == [[[1, 2, 0]]]


def test_nothing_found_is_nothing_to_arrange():
    assert arrange([]) == []


def test_bounds_are_upright():
    assert bounds([(0, 5), (10, 0), (12, 4), (2, 9)]) == (0, 0, 12, 9)


SHAPES = st.lists(
    st.builds(line, *[st.integers(0, 900) for _ in range(2)], st.integers(1, 500), st.integers(1, 60)),
    max_size=40,
)


@given(SHAPES)
def test_every_line_is_read_exactly_once(shapes):
    assert sorted(flat(arrange(shapes))) == list(range(len(shapes)))
