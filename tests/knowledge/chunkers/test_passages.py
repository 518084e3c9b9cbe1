from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.errors import StrettoError
from stretto.knowledge.chunkers.identity import chunk_id, prepare
from stretto.knowledge.chunkers.passages import PassageSizes, find_passages
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.protocol import Loaded, PageSpan
from stretto.knowledge.loaders.text import load_markdown

MOST = PassageSizes().most
TABLE = "| a | b |\n|---|---|\n"
PARTS = st.sampled_from(
    [
        *["# A", "## B c", "### Deep", "Title\n=====", "", "  ", "a\tb", "Short.", "~~~", "```\ncode\n```"],
        *["One sentence. Two here. " * 5, "word " * 300, "x" * 2500, "- item one\n- item two"],
        *[TABLE + "| x | 12 |\n" * 120, TABLE + "| x | 12 |"],
    ]
)


def markdown(text):
    return load_markdown(text.encode("utf-8", "replace"), "x.md", IngestLimits())


@settings(max_examples=150, deadline=None)
@given(st.lists(PARTS | st.text(max_size=40), max_size=20).map("\n".join))
def test_offsets_give_the_chunks_text_and_nothing_is_lost_or_told_twice(text):
    try:
        loaded = markdown(text)
    except StrettoError:
        return
    covered, last = [], 0
    for part in prepare("d", loaded):
        chunk = part.chunk
        assert chunk.text[chunk.metadata.get("repeated", 0) :] == loaded.text[chunk.start : chunk.end]
        assert last <= chunk.start < chunk.end
        assert len(chunk.text) <= MOST
        covered.append(loaded.text[last : chunk.start])
        last = chunk.end
    assert not "".join([*covered, loaded.text[last:]]).strip()


def test_each_section_is_a_chunk_with_its_path():
    loaded = markdown(
        "# Shop\n\n## Returns\n\nThirty days.\n\n### Refunds\n\nFive days.\n\n## Prices\n\nLow.\n"
    )
    assert [part.chunk.headings for part in prepare("d", loaded)] == [
        ("Shop", "Returns"),
        ("Shop", "Returns", "Refunds"),
        ("Shop", "Prices"),
    ]
    assert prepare("d", loaded)[1].indexed == "Shop\nReturns > Refunds\n### Refunds\n\nFive days."


def test_a_long_table_repeats_its_header_and_keeps_its_rows_whole():
    rows = [f"| Bike {n} | {n} euros |" for n in range(100)]
    parts = prepare("d", markdown("# Prices\n\n| Name | Price |\n| --- | --- |\n" + "\n".join(rows)))
    assert len(parts) > 2
    for part in parts[1:]:
        assert part.chunk.text.startswith("| Name | Price |\n| --- | --- |\n| Bike ")
        assert part.chunk.metadata["repeated"] == len("| Name | Price |\n| --- | --- |\n")
        assert part.chunk.text.endswith(" euros |")
    assert sum(part.chunk.text.count("| Bike ") for part in parts) == 100


def test_a_long_paragraph_is_cut_between_sentences_in_pieces_of_like_size():
    text = " ".join(f"Sentence {n} says something about a matter of some weight." for n in range(60))
    pieces = [part.chunk.text for part in prepare("d", markdown(text))]
    assert all(piece.endswith("weight.") for piece in pieces)
    assert max(map(len, pieces)) - min(map(len, pieces)) < 200


def test_no_passage_crosses_a_page():
    text = "First page.\n\nSecond page."
    loaded = Loaded(text, "t", "application/pdf", pages=(PageSpan(0, 13, 1), PageSpan(13, 25, 2)))
    assert [(text[p.start : p.end], p.page) for p in find_passages(loaded)] == [
        ("First page.", 1),
        ("Second page.", 2),
    ]


def test_equal_texts_are_counted_and_white_space_does_not_matter():
    assert chunk_id("d", "a  b\n", 0) == chunk_id("d", "a b", 0)
    assert len({chunk_id("d", "a b", 0), chunk_id("d", "a b", 1), chunk_id("e", "a b", 0)}) == 3
    parts = prepare("d", markdown("# A\n\nSame words.\n\n# A\n\nSame words.\n"))
    assert len({part.chunk.id for part in parts}) == 2
