import pytest

from stretto.knowledge.sentences import sentence_spans


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One here. Two there! Three?", ["One here.", "Two there!", "Three?"]),
        ("Mr. Smith paid 3.50 euros. He left.", ["Mr. Smith paid 3.50 euros.", "He left."]),
        ("Call Dr. No, e.g. today. Then go.", ["Call Dr. No, e.g. today.", "Then go."]),
        ("A line\nthat goes on. Next.", ["A line\nthat goes on.", "Next."]),
        ("- first\n- second\n\nAfter", ["- first", "- second", "After"]),
        ("# Title\nText.", ["# Title", "Text."]),
        ("| a | b |\n| c | d |", ["| a | b |", "| c | d |"]),
        ("\u4e00\u3002\u4e8c\u3002", ["\u4e00\u3002", "\u4e8c\u3002"]),
        ("  \n ", []),
    ],
)
def test_sentences_are_found(text, expected):
    assert [text[start:end] for start, end in sentence_spans(text)] == expected
