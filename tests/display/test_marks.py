"""Marks stand behind what they support, each number once a place, whatever order they come in."""

import pytest

from stretto.display import with_marks


@pytest.mark.parametrize(
    ("places", "shown"),
    [
        ([], "One. Two."),
        ([(4, 1)], "One. [1] Two."),
        ([(9, 1), (4, 2)], "One. [2] Two. [1]"),
        ([(4, 2), (4, 1), (4, 2)], "One. [1] [2] Two."),
        ([(0, 3)], " [3]One. Two."),
    ],
)
def test_marks_stand_where_they_belong(places: list[tuple[int, int]], shown: str) -> None:
    assert with_marks("One. Two.", places) == shown


def test_offsets_count_code_points() -> None:
    assert with_marks("Soup 🍲. Ende.", [(7, 1)]) == "Soup 🍲. [1] Ende."
