import sys

import pytest

from stretto.errors import MediaTooLarge, MissingExtra, UnsupportedMedia
from stretto.knowledge.chunkers.identity import prepare
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.registry import load
from stretto.testing.office_files import docx, docx_members, packed, pptx, xlsx, xlsx_members

LIMITS = IngestLimits()
TABLE = [["Bike", "Price"], *([f"bike {n}", f"{n}0 euros"] for n in range(60))]


def read(data, name, limits=LIMITS):
    return load(data, name, None, limits)


def test_a_docx_has_headings_tables_and_what_its_reader_sees():
    hidden = (
        "<w:p><w:r><w:t>Seen</w:t></w:r><w:r><w:rPr><w:vanish/></w:rPr><w:t>HIDDEN</w:t></w:r>"
        "<w:ins><w:r><w:t> added</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>GONE</w:delText></w:r></w:del></w:p>"
    )
    loaded = read(docx([(1, "Returns"), "Within 30 days.", (2, "Prices"), TABLE], inside=hidden), "a.docx")
    assert loaded.title == "Returns" and loaded.warnings == ()
    assert [(h.level, h.text) for h in loaded.headings] == [(1, "Returns"), (2, "Prices")]
    assert all(loaded.text[h.start : h.end] == "#" * h.level + " " + h.text for h in loaded.headings)
    assert "Seen added" in loaded.text and "HIDDEN" not in loaded.text and "GONE" not in loaded.text


def test_every_chunk_of_a_table_repeats_its_header():
    loaded = read(docx([(1, "Prices"), TABLE]), "a.docx")
    chunks = [part.chunk for part in prepare("a.docx", loaded)]
    assert len(chunks) > 1 and all("| Bike | Price |\n| --- | --- |\n" in chunk.text for chunk in chunks)
    assert all(chunk.text.endswith(loaded.text[chunk.start : chunk.end]) for chunk in chunks)


def test_pages_of_a_docx_are_where_word_broke_them():
    turn = "<w:p><w:r><w:lastRenderedPageBreak/><w:t>Second page</w:t></w:r></w:p>"
    loaded = read(docx(["First page"], inside=turn), "a.docx")
    assert [loaded.text[span.start : span.end] for span in loaded.pages] == ["First page", "Second page"]
    assert [part.chunk.page for part in prepare("a", loaded)] == [1, 2]


def test_a_slide_is_a_page_and_says_where_its_text_stands():
    data = pptx(
        [("One", ["first line", "second line"]), ("Secret", ["unseen"]), ("Two", ["more"])], hidden=[1]
    )
    loaded = read(data, "a.pptx")
    assert "unseen" not in loaded.text and loaded.warnings == ("1 hidden slides are left out",)
    chunks = [part.chunk for part in prepare("a.pptx", loaded, version="v", taint="file")]
    assert [(chunk.page, chunk.headings) for chunk in chunks] == [(1, ("One",)), (3, ("Two",))]
    assert chunks[0].region == (0.1, 0.1, 0.6, 0.5)
    assert (chunks[0].version, chunks[0].taint) == ("v", "file")


def test_a_sheet_is_a_page_with_a_name_and_hidden_ones_stay_out():
    loaded = read(
        xlsx({"Prices": TABLE, "Notes": [["x", "y"], ["a|b", "2"]], "Key": [["k"]]}, hidden=["Key"]), "a.xlsx"
    )
    chunks = [part.chunk for part in prepare("a.xlsx", loaded)]
    assert {(chunk.page, chunk.sheet) for chunk in chunks} == {(1, "Prices"), (2, "Notes")}
    assert all("| Bike | Price |" in chunk.text for chunk in chunks if chunk.sheet == "Prices")
    assert "| a\\|b | 2 |" in loaded.text and loaded.warnings == ("1 hidden sheets are left out",)


TEXT = [f"Paragraph {n} speaks of topic{n} and of word{n * 7}." for n in range(300)]


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_a_docx_that_is_cut_off_keeps_what_came_before_the_cut(share):
    whole = docx(TEXT)
    loaded = read(whole[: int(len(whole) * share)], "a.docx")
    kept = sum(line in loaded.text for line in TEXT)
    assert kept > 0.8 * share * len(TEXT) and loaded.warnings


def test_a_workbook_without_its_directory_is_read_from_its_members():
    members = xlsx_members({"Prices": TABLE})
    whole = packed(members)
    loaded = read(whole[: whole.rindex(b"PK\x01\x02", 0, -200)], "a.xlsx")
    assert "| bike 59 | 590 euros |" in loaded.text and loaded.warnings
    del members["xl/workbook.xml"]
    loaded = read(packed(members), "a.xlsx")
    assert "- bike 59" in loaded.text and "without their rows" in " ".join(loaded.warnings)


ENTITIES = '<!DOCTYPE a [<!ENTITY b "lol"><!ENTITY c "&b;&b;">]>'


@pytest.mark.parametrize(
    ("data", "name", "error"),
    [
        (b"no zip at all", "a.docx", UnsupportedMedia),
        (packed({"other.txt": "x"}), "a.docx", UnsupportedMedia),
        (packed({"other.txt": "x"}), "a.pptx", UnsupportedMedia),
        (packed({"other.txt": "x"}), "a.xlsx", UnsupportedMedia),
        (packed(docx_members(f"{ENTITIES}<w>&c;</w>")), "a.docx", UnsupportedMedia),
        (
            packed(xlsx_members({"a": TABLE}) | {"xl/sharedStrings.xml": f"{ENTITIES}<a/>"}),
            "a.xlsx",
            UnsupportedMedia,
        ),
        (packed(docx_members("<w>" + " " * 50_000_000)), "a.docx", MediaTooLarge),
        (packed({f"{n}.xml": "x" for n in range(3000)}), "a.docx", MediaTooLarge),
    ],
)
def test_bad_office_files_fail_by_class(data, name, error):
    with pytest.raises(error):
        read(data, name)


def test_without_the_package_the_error_says_what_to_type(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("stretto.knowledge.loaders.")]:
        if name.rpartition(".")[2] in ("docx", "office"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lxml", None)
    with pytest.raises(MissingExtra, match=r'pip install "stretto\[documents\]"'):
        read(docx(["x"]), "a.docx")
