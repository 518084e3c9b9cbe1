"""PDF: text page by page in reading order, tables as tables; pages without text are read by OCR.

PDFium is not safe in several threads: one page is read at a time, in this process.
"""

import ctypes
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pypdfium2  # pyright: ignore[reportMissingTypeStubs]
import pypdfium2.raw  # pyright: ignore[reportMissingTypeStubs]

from stretto._internal.pdfium import pdfium_lock
from stretto.errors import DamagedMedia, MediaTooLarge, MissingExtra, UnsupportedMedia
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.assembly import markdown_rows
from stretto.knowledge.loaders.layout import Line, Paragraph, read_in_order
from stretto.knowledge.loaders.pdf_damage import is_damaged, mended
from stretto.knowledge.loaders.pdf_tables import FoundTable, Tables
from stretto.knowledge.loaders.protocol import Heading, Loaded, PageSpan, Region, more_time
from stretto.knowledge.loaders.text import title_from

raw: Any = pypdfium2.raw
_DPI = 200
_HYPHENS = (0x2, 0xFFFE)
"""What PDFium gives for a hyphen at the end of a line."""
_OCR_HEADING = -1.0
"""Stands for the font size of a heading that OCR read."""
_TABLE, _MARK = -2.0, "\x00table "
"""The same for a table; what stands for it while the page's lines are put into order."""
_MORE = 100
"""Pages after which the time for a document begins anew."""
_FEW = 8
"""With fewer characters than this a page counts as one without text."""


@dataclass
class _Page:
    paragraphs: list[Paragraph]
    size: tuple[float, float] = (1.0, 1.0)
    """Width and height, in the unit of the paragraphs' boxes."""
    ocr: bool = False
    unread: bool = False


def load_pdf(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """The text of a PDF with its pages; headings are short paragraphs in larger type.

    Raises:
        UnsupportedMedia: It is no PDF, or is locked by a password.
        DamagedMedia: It cannot be opened.
        MediaTooLarge: It has more pages than the limit.
    """
    if b"%PDF-" not in data[:1024]:
        raise UnsupportedMedia(f"`{name}` is not a PDF, whatever its name says; give it its true ending")
    damaged = is_damaged(data)
    with pdfium_lock:
        document, data = _opened(data, name)
    try:
        count = len(document)
        if count > limits.pages:
            raise MediaTooLarge(f"`{name}` has {count:,} pages; the limit is {limits.pages:,}")
        with Tables(data) as tables:
            pages = _read_pages(document, count, name, limits, tables)
        with pdfium_lock:
            title = _title(document)
    finally:
        with pdfium_lock:
            document.close()
    loaded = _assembled(pages, title, name)
    warnings: list[str] = []
    if damaged:
        warnings.append("the end of the file is damaged; the pages that could be found are kept")
    if unread := loaded.metadata.get("unread_pages"):
        warnings.append(f"pages that could not be read: {', '.join(map(str, unread[:20]))}")
    if tables.late:
        warnings.append("it has so many tables that those of the last pages are kept as lines only")
    return replace(loaded, warnings=tuple(warnings))


def _opened(data: bytes, name: str) -> tuple[Any, bytes]:
    """The document, and the bytes it was opened from."""
    try:
        return pypdfium2.PdfDocument(data), data
    except pypdfium2.PdfiumError as error:
        with suppress(pypdfium2.PdfiumError):
            if (whole := mended(data)) is not data:
                return pypdfium2.PdfDocument(whole), whole
        if "password" in str(error).lower():
            raise UnsupportedMedia(f"`{name}` is locked by a password; save it without one") from None
        raise DamagedMedia(f"`{name}` cannot be opened as a PDF: {error} Save it again") from None


def _read_pages(document: Any, count: int, name: str, limits: IngestLimits, tables: Tables) -> list[_Page]:
    pages: list[_Page] = []
    characters, by_ocr = 0, 0
    for index in range(count):
        if index % _MORE == _MORE - 1:
            more_time.get()()
        with pdfium_lock:
            read = _read_page(document, index, limits, tables, render=by_ocr < limits.ocr_pages)
        if isinstance(read, _Page):
            pages.append(read)
        else:
            by_ocr += 1
            pages.append(_Page(_read_by_ocr(read, name), ocr=True))  # boxes are shares already
        characters += sum(len(paragraph.text) for paragraph in pages[-1].paragraphs)
        if characters > limits.characters:
            raise MediaTooLarge(f"`{name}` holds more than {limits.characters:,} characters of text")
    if not any(page.paragraphs for page in pages):
        raise DamagedMedia(
            f"`{name}` has no page with text, and none that OCR could read; add a version with text"
        )
    return pages


def _read_page(document: Any, index: int, limits: IngestLimits, tables: Tables, *, render: bool) -> Any:
    """The page, or, where it has content but no text, a picture of it."""
    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return _Page([], unread=True)
    try:
        lines = _lines(page)
        few = sum(len(line.text.strip()) for line in lines) < _FEW
        if few and raw.FPDFPage_CountObjects(page.raw) > 0:
            if render:
                return _rendered(page, limits)
            return _Page(read_in_order(lines), page.get_size(), unread=True)
        paragraphs = _with_tables(lines, tables.of(index, _drawn(page)))
        return _Page(paragraphs, page.get_size())
    except pypdfium2.PdfiumError:
        return _Page([], unread=True)
    finally:
        page.close()


def _drawn(page: Any) -> int:
    """How many lines and boxes are drawn on the page, as far as a table would need them."""
    count = 0
    for index in range(min(raw.FPDFPage_CountObjects(page.raw), 5_000)):
        shape = raw.FPDFPage_GetObject(page.raw, index)
        count += raw.FPDFPageObj_GetType(shape) == raw.FPDF_PAGEOBJ_PATH
        if count > 8:
            break
    return count


def _with_tables(lines: list[Line], tables: list[FoundTable]) -> list[Paragraph]:
    """The paragraphs in order, each table in the place of the lines inside it."""
    if not tables:
        return read_in_order(lines)
    outside = [
        line
        for line in lines
        if not any(table.holds((line.left + line.right) / 2, line.middle) for table in tables)
    ]
    marks = [
        Line(f"{_MARK}{number}", table.left, table.top, table.right, table.bottom, 1.0)
        for number, table in enumerate(tables)
    ]
    paragraphs: list[Paragraph] = []
    for paragraph in read_in_order([*outside, *marks]):
        before, mark, number = paragraph.text.partition(_MARK)
        if not mark:
            paragraphs.append(paragraph)
            continue
        number, _, after = number.partition(" ")
        for text in filter(None, (before.strip("| "), after.strip("| "))):
            paragraphs.append(Paragraph(text, paragraph.size, box=paragraph.box))
        table = tables[int(number)]
        paragraphs.append(Paragraph("\n".join(markdown_rows(table.rows)), _TABLE, box=paragraph.box))
    return paragraphs


def _rendered(page: Any, limits: IngestLimits) -> Any:
    width, height = page.get_size()
    scale = _DPI / 72
    if width * height * scale * scale > limits.pixels:
        scale = (limits.pixels / (width * height)) ** 0.5
    return page.render(scale=scale).to_pil()


def _read_by_ocr(picture: Any, name: str) -> list[Paragraph]:
    more_time.get()()
    try:
        from stretto.models.local.ocr import read_picture  # noqa: PLC0415 (OCR is an optional package)
    except ImportError:
        raise MissingExtra(f"`{name}` has a page without text, and reading it by OCR", "local") from None
    try:
        blocks = read_picture(picture).blocks(picture.size)
    finally:
        picture.close()
    return [replace(paragraph, box=box) for text, box in blocks for paragraph in _unwrapped(text)]


def _unwrapped(block: str) -> list[Paragraph]:
    """A block of OCR lines as paragraphs: a short first line without a full stop is taken for a heading."""
    first, *rest = block.split("\n")
    if not rest or "  " in block:
        return [Paragraph(block, 0.0)]
    short = len(first) < 0.6 * max(map(len, rest)) and first[-1:] not in ".,;:!?" and first[:1].isupper()
    if short and len(first.split()) <= 10:
        return [Paragraph(first, _OCR_HEADING), Paragraph(" ".join(rest), 0.0)]
    return [Paragraph(" ".join([first, *rest]), 0.0)]


def _lines(page: Any) -> list[Line]:
    """The page's lines, each cut where a gap is wide enough to part columns or cells."""
    height = page.get_height()
    textpage = page.get_textpage()
    try:
        return [line for run in _runs(textpage) for line in _pieces(textpage, run, height)]
    finally:
        textpage.close()


_Glyph = tuple[str, float, float, float, float, int]
"""Character, left, bottom, right, top, and its number on the page."""


def _runs(textpage: Any) -> Iterator[list[_Glyph]]:
    """The glyphs in the order of the file, in runs that end where the line does."""
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    run: list[_Glyph] = []
    for index in range(textpage.count_chars()):
        code = raw.FPDFText_GetUnicode(textpage.raw, index)
        if code in (0, 0xFFFF) or 0xD800 <= code < 0xE000 or code > 0x10FFFF:
            continue
        character = "-" if code in _HYPHENS else chr(code)
        if character in "\r\n":
            if run:
                yield run
            run = []
            continue
        if character.isspace() or character < " ":
            run.append((" ", 0.0, 0.0, 0.0, 0.0, -1))
            continue
        raw.FPDFText_GetCharBox(textpage.raw, index, left, right, bottom, top)
        run.append((character, left.value, bottom.value, right.value, top.value, index))
    if run:
        yield run


def _pieces(textpage: Any, run: list[_Glyph], height: float) -> Iterator[Line]:
    inked = [glyph for glyph in run if glyph[5] >= 0]
    if not inked:
        return
    size = _size(textpage, inked)
    piece: list[_Glyph] = []
    last: _Glyph | None = None
    for glyph in run:
        if glyph[5] >= 0:
            if last is not None and (
                glyph[1] - last[3] > 1.3 * size
                or glyph[1] < last[1] - size
                or abs(glyph[2] - last[2]) > 1.2 * size
            ):
                yield _line(piece, size, height)
                piece = []
            last = glyph
        piece.append(glyph)
    yield _line(piece, size, height)


def _size(textpage: Any, inked: list[_Glyph]) -> float:
    """The font size of a run as it is drawn: what the file names, scaled by its matrix."""
    index = inked[0][5]
    named = raw.FPDFText_GetFontSize(textpage.raw, index)
    matrix = raw.FS_MATRIX()
    if raw.FPDFText_GetMatrix(textpage.raw, index, ctypes.byref(matrix)):
        named *= math.hypot(matrix.c, matrix.d) or 1.0
    tall = max(glyph[4] for glyph in inked) - min(glyph[2] for glyph in inked)
    return named if 0.3 * tall <= named <= 8 * max(tall, 1.0) else max(tall, 1.0)


def _line(piece: list[_Glyph], size: float, height: float) -> Line:
    inked = [glyph for glyph in piece if glyph[5] >= 0]
    text = " ".join("".join(glyph[0] for glyph in piece).split())
    base = sorted(glyph[2] for glyph in inked)[len(inked) // 2]  # most letters stand on the line
    return Line(
        text,
        min(glyph[1] for glyph in inked),
        height - base - size,
        max(glyph[3] for glyph in inked),
        height - base,
        round(size, 1),
    )


def _title(document: Any) -> str:
    try:
        title = str(document.get_metadata_dict().get("Title", "")).strip()
    except (pypdfium2.PdfiumError, ValueError):
        return ""
    unwanted = ("untitled", "microsoft word", "(anonymous)")
    return "" if title.lower().startswith(unwanted) or "." in title[-5:] else title


def _assembled(pages: list[_Page], title: str, name: str) -> Loaded:
    levels = _heading_sizes(pages)
    parts: list[str] = []
    headings: list[Heading] = []
    spans: list[PageSpan] = []
    regions: list[Region] = []
    offset = 0
    for number, page in enumerate(pages, 1):
        start = offset
        for paragraph in page.paragraphs:
            level = levels.get(paragraph.size, 0)
            if level and _like_a_heading(paragraph):
                headings.append(Heading(offset, offset + len(paragraph.text), level, paragraph.text))
            if paragraph.box:
                box = _share(paragraph.box, page.size)
                regions.append(Region(offset, offset + len(paragraph.text), box))
            parts.append(paragraph.text)
            offset += len(paragraph.text) + 2
        if offset > start:
            spans.append(PageSpan(start, offset, number))
    first = min(headings, key=lambda heading: heading.level, default=None)
    metadata: dict[str, Any] = {"pages": len(pages)}
    if by_ocr := [number for number, page in enumerate(pages, 1) if page.ocr]:
        metadata["ocr_pages"] = by_ocr
    if unread := [number for number, page in enumerate(pages, 1) if page.unread]:
        metadata["unread_pages"] = unread
    return Loaded(
        "\n\n".join(parts),
        title or (first.text if first else title_from(name)),
        "application/pdf",
        tuple(headings),
        tuple(spans),
        metadata,
        tuple(regions),
    )


def _share(
    box: tuple[float, float, float, float], size: tuple[float, float]
) -> tuple[float, float, float, float]:
    width, height = size
    left, top, right, bottom = (
        round(min(max(edge / side, 0.0), 1.0), 4)
        for edge, side in zip(box, (width, height, width, height), strict=True)
    )
    return (left, top, right, bottom)


def _heading_sizes(pages: list[_Page]) -> dict[float, int]:
    """Font sizes that stand out above the body's, each with its level, largest first."""
    weight: dict[float, int] = {}
    for page in pages:
        for paragraph in page.paragraphs:
            weight[paragraph.size] = weight.get(paragraph.size, 0) + len(paragraph.text)
    weight.pop(_OCR_HEADING, None)
    weight.pop(_TABLE, None)
    if not weight:
        return {}
    body = max(weight, key=lambda size: weight[size])
    larger = sorted((size for size in weight if size > 1.12 * body > 0), reverse=True)
    return {_OCR_HEADING: 2} | {size: min(level, 6) for level, size in enumerate(larger, 1)}


def _like_a_heading(paragraph: Paragraph) -> bool:
    text = paragraph.text
    return paragraph.lines <= 3 and len(text) <= 150 and "\n" not in text and any(map(str.isalpha, text))
