"""Numbers over labels become pairs; what is no chart gives none."""

from stretto.models.local.columns import columns
from stretto.models.local.ocr import Line


def cell(text: str, x: float, y: float) -> Line:
    return Line(text, (x - 20, y, x + 20, y + 20), 0.99)


DAYS = [cell("Mon", 100, 500), cell("Tue", 200, 500), cell("Wed", 300, 502), cell("Thu", 400, 499)]


def test_the_values_over_bars_belong_to_the_labels_below_them() -> None:
    values = [cell("42", 103, 300), cell("57", 198, 250), cell("1,164", 305, 90), cell("9.5 %", 399, 400)]
    axis = [cell("50", 20, 300), cell("100", 20, 200)]
    title = cell("Visitors of the museum", 250, 20)
    assert columns([title, *axis, *values, *DAYS]) == [
        ("Mon", "42"), ("Tue", "57"), ("Wed", "1,164"), ("Thu", "9.5 %"),
    ]  # fmt: skip


def test_a_value_that_was_not_read_leaves_its_label_out() -> None:
    values = [cell("42", 103, 300), cell("57", 198, 250), cell("91", 399, 400)]
    assert columns([*values, *DAYS]) == [("Mon", "42"), ("Tue", "57"), ("Thu", "91")]


def test_two_numbers_over_one_label_are_not_guessed_at() -> None:
    values = [cell(str(n), x, y) for n, (x, y) in enumerate([(100, 300), (100, 200), (200, 250), (300, 90)])]
    assert columns([*values, *DAYS]) == []


def test_plain_text_has_no_columns() -> None:
    assert columns([cell("Receipt", 100, 20), cell("Total", 100, 50), cell("12.00", 300, 50)]) == []
    assert columns([]) == []
