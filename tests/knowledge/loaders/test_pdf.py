import io
import sys

import pypdfium2
import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from stretto.errors import DamagedMedia, MediaTooLarge, MissingExtra, UnsupportedMedia
from stretto.knowledge import KnowledgeBase
from stretto.knowledge.chunkers.identity import prepare
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.registry import load
from stretto.testing.embedder import HashingEmbedder
from stretto.testing.office_files import pdf as papers

LEFT = [f"left column sentence number {n} stands here." for n in range(12)]
RIGHT = [f"right column sentence number {n} stands here." for n in range(12)]


def pdf(draw, **options):
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, **options)
    draw(canvas)
    canvas.save()
    return buffer.getvalue()


def read(data, name="paper.pdf", limits=None):
    return load(data, name, None, limits or IngestLimits())


def two_columns(canvas, *, by_row=False):
    canvas.setFont("Helvetica-Bold", 20)
    canvas.drawString(60, 780, "A title across both columns of the page")
    canvas.setFont("Helvetica", 10)
    cells = [(60, n, text) for n, text in enumerate(LEFT)] + [(310, n, text) for n, text in enumerate(RIGHT)]
    for x, n, text in sorted(cells, key=lambda cell: cell[1] if by_row else cell[0]):
        canvas.drawString(x, 740 - 13 * n, text)


@pytest.mark.parametrize("by_row", [False, True])
def test_columns_are_read_one_after_the_other_however_the_file_orders_them(by_row):
    loaded = read(pdf(lambda canvas: two_columns(canvas, by_row=by_row)))
    found = [loaded.text.index(line) for line in [*LEFT, *RIGHT]]
    assert found == sorted(found)
    assert loaded.title == "A title across both columns of the page"
    assert [(heading.level, heading.text) for heading in loaded.headings] == [(1, loaded.title)]


def test_pages_headings_paragraphs_and_hyphens():
    def draw(canvas):
        for number in (1, 2):
            canvas.setFont("Helvetica-Bold", 16)
            canvas.drawString(60, 780, f"Chapter {number}")
            canvas.setFont("Helvetica", 11)
            canvas.drawString(60, 750, "The first paragraph goes on over the war-")
            canvas.drawString(60, 736, "ranty and ends on this line.")
            canvas.drawString(60, 700, f"The second paragraph of page {number}.")
            canvas.showPage()

    loaded = read(pdf(draw))
    assert [heading.text for heading in loaded.headings] == ["Chapter 1", "Chapter 2"]
    assert (
        "goes on over the warranty and ends on this line.\n\nThe second paragraph of page 1." in loaded.text
    )
    assert [span.number for span in loaded.pages] == [1, 2]
    second = loaded.pages[1]
    assert loaded.text[second.start : second.end].startswith("Chapter 2\n\nThe first paragraph")


def test_rows_of_a_table_stay_together():
    def draw(canvas):
        for n in range(6):
            canvas.drawString(60, 700 - 16 * n, f"Bike {n}")
            canvas.drawString(300, 700 - 16 * n, f"{n}0 euros")

    assert "| Bike 3 | 30 euros |\n| Bike 4 | 40 euros |" in read(pdf(draw)).text


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"%PDF-1.7\n" + b"garbage" * 40, DamagedMedia),
        (b"not a pdf at all", UnsupportedMedia),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), UnsupportedMedia),
        (b"", DamagedMedia),
        (pdf(lambda canvas: canvas.showPage()), DamagedMedia),
        (
            pdf(lambda canvas: canvas.drawString(60, 700, "secret words here"), encrypt="password"),
            UnsupportedMedia,
        ),
        (pdf(lambda canvas: two_columns(canvas))[:400], DamagedMedia),
    ],
)
def test_bad_files_fail_by_class(data, error):
    with pytest.raises(error, match=r"paper\.pdf"):
        read(data)


def test_pages_are_bounded():
    data = pdf(
        lambda canvas: [(canvas.drawString(60, 700, "words stand here"), canvas.showPage()) for _ in range(5)]
    )
    with pytest.raises(MediaTooLarge, match="5 pages; the limit is 4"):
        read(data, limits=IngestLimits(pages=4))


def test_a_truncated_file_with_readable_pages_is_read():
    data = pdf(lambda canvas: two_columns(canvas), pageCompression=0)
    cut = data[: data.rindex(b"xref")]
    try:
        pypdfium2.PdfDocument(cut).close()
    except pypdfium2.PdfiumError:
        pytest.fail("PDFium is expected to rebuild the table of a cut file")
    assert LEFT[3] in read(cut).text


def scan():
    picture = Image.new("L", (1240, 1754), 255)
    font = ImageFont.load_default(36)
    for n, line in enumerate(
        ["Safety recall", "Stop using the battery KX24 at once.", "We replace it free of charge."]
    ):
        ImageDraw.Draw(picture).text((120, 200 + 90 * n), line, fill=0, font=font)
    buffer = io.BytesIO()
    picture.save(buffer, "PDF", resolution=150)
    return buffer.getvalue()


@pytest.mark.slow
async def test_a_scanned_page_is_read_by_ocr_and_found(tmp_path):
    pytest.importorskip("rapidocr")
    (tmp_path / "scan.pdf").write_bytes(scan())
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        report = await kb.add(tmp_path / "scan.pdf")
        assert report.failed == []
        hit = (await kb.search("battery KX24", top_k=1))[0]
    assert "Stop using the battery KX24 at once" in hit.text and hit.page == 1
    assert hit.document.metadata["ocr_pages"] == [1]


def test_without_ocr_a_scan_fails_with_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "stretto.models.local.ocr", None)
    with pytest.raises(MissingExtra, match="pip install"):
        read(scan(), "scan.pdf")


def priced(canvas):
    canvas.setFont("Helvetica", 11)
    canvas.drawString(60, 780, "Before the table stands a sentence about prices of bikes.")
    for n in range(8):
        for column, text in enumerate(
            ("Bike", "Price", "Stock") if n == 0 else (f"bike {n}", f"{n}0", f"{n}")
        ):
            canvas.drawString(65 + 120 * column, 735 - 20 * n, text)
        canvas.line(60, 750 - 20 * n, 420, 750 - 20 * n)
    canvas.line(60, 590, 420, 590)
    for column in range(4):
        canvas.line(60 + 120 * column, 750, 60 + 120 * column, 590)
    canvas.drawString(60, 550, "Behind the table the text goes on with another sentence.")


def test_a_table_with_lines_is_a_table_with_its_header():
    pytest.importorskip("pdfplumber")
    text = read(pdf(priced)).text
    assert "| Bike | Price | Stock |\n| --- | --- | --- |\n| bike 1 | 10 | 1 |" in text
    assert text.index("Before the table") < text.index("| Bike") < text.index("Behind the table")
    assert text.count("bike 3") == 1


def test_every_passage_knows_where_on_its_page_it_stands():
    def draw(canvas):
        canvas.drawString(60, 780, "Words at the top of the page stand here.")
        canvas.showPage()
        canvas.drawString(60, 100, "Words at the bottom of the page stand here.")

    chunks = [part.chunk for part in prepare("paper.pdf", read(pdf(draw)))]
    assert [chunk.page for chunk in chunks] == [1, 2]
    top, bottom = chunks[0].region, chunks[1].region
    assert top[0] == pytest.approx(60 / A4[0], abs=0.01) and top[2] < 0.6
    assert top[3] == pytest.approx(1 - 780 / A4[1], abs=0.02)
    assert top[3] < 0.1 < 0.8 < bottom[1] < bottom[3]


def test_a_file_without_its_end_is_mended_and_says_so():
    whole = papers([[f"words of page {n} stand here"] for n in range(6)])
    assert read(whole).warnings == ()
    cut = whole[: whole.index(b"words of page 4")]
    loaded = read(cut)
    assert all(f"words of page {n} stand" in loaded.text for n in range(4))
    assert len(loaded.warnings) == 2 and "pages that could not be read" in loaded.warnings[1]
    rootless = cut.replace(b"/Catalog", b"/Cataloq")
    assert "words of page 2 stand" in read(rootless).text
