"""Sentences and rows of hits, and how they are told."""

from stretto.documents import Chunk, Document, Hit
from stretto.knowledge.spans import headed, in_words, is_header, spans_of
from stretto.knowledge.words import content

TABLE = "| Job | Price | |\n|---|---|---|\n| Wash | 28 euros | by hand |\n| Bell | 6 euros | |"


def hit(text: str, *headings: str, repeated: int = 0) -> Hit:
    chunk = Chunk("c", "d.md", text, 0, len(text), headings=headings, metadata={"repeated": repeated})
    return Hit(Document("d.md", title="Prices"), chunk, 1.0)


def test_each_sentence_stands_alone_and_with_the_next_and_headings_are_none() -> None:
    text = "# Prices\nA bell costs 6 euros. A wash costs 28 euros."
    spans = spans_of([hit(text)])
    assert [text[span.start : span.end] for span in spans if not span.double] == [
        "A bell costs 6 euros.",
        "A wash costs 28 euros.",
    ]
    assert [text[span.start : span.end] for span in spans if span.double] == [
        "A bell costs 6 euros. A wash costs 28 euros."
    ]
    assert all(span.near == content("Prices") for span in spans)


def test_a_row_is_told_with_the_names_of_its_columns() -> None:
    row = TABLE.index("| Wash")
    assert in_words(TABLE, row, TABLE.index("\n", row)) == "Job: Wash; Price: 28 euros; by hand"
    assert in_words(TABLE, row, len(TABLE)) == (
        "Job: Wash; Price: 28 euros; by hand. Job: Bell; Price: 6 euros"
    )


def test_a_row_without_its_header_is_told_cell_by_cell() -> None:
    assert in_words("| Wash | 28 euros |", 0, 19) == "Wash, 28 euros"
    assert in_words("text\n\n| Wash | 28 euros |", 6, 25) == "Wash, 28 euros"


def test_only_the_row_above_the_line_of_dashes_is_a_header() -> None:
    assert is_header(TABLE, TABLE.index("\n"))
    assert not is_header(TABLE, TABLE.index("\n", TABLE.index("| Wash")))
    assert not is_header("A sentence. Another.", 11)


def test_a_sentence_is_put_below_its_title_and_headings_each_once() -> None:
    text = "It takes\n5 days."
    assert headed(hit(text, "Prices", "Keys"), 0, len(text)) == "Prices Keys: It takes 5 days."
