"""Puts the numbers of citations behind the parts of an answer that they support."""

from collections.abc import Iterable


def with_marks(answer: str, places: Iterable[tuple[int, int]]) -> str:
    """The answer with ` [number]` at each place.

    Args:
        answer: The text.
        places: (offset in code points behind which the mark stands, number) in any order.
    """
    marks: dict[int, list[int]] = {}
    for offset, number in places:
        numbers = marks.setdefault(offset, [])
        if number not in numbers:
            numbers.append(number)
    pieces: list[str] = []
    done = 0
    for offset in sorted(marks):
        pieces.append(answer[done:offset])
        pieces += [f" [{number}]" for number in sorted(marks[offset])]
        done = offset
    return "".join([*pieces, answer[done:]])
