"""DOCX: headings by style, lists, tables, notes. Hidden text and what a review deleted stay out.

Read from the XML itself: python-docx leaves out insertions under review and keeps hidden text, and kreuzberg
keeps it too, in ten times the room.
"""

import re
from collections.abc import Iterator
from typing import Any

from stretto.errors import DamagedMedia
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.archive import Archive
from stretto.knowledge.loaders.assembly import Assembly, visible
from stretto.knowledge.loaders.office import parsed, properties, walk
from stretto.knowledge.loaders.protocol import Loaded
from stretto.knowledge.loaders.registry import DOCX
from stretto.knowledge.loaders.text import title_from

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_GONE = frozenset(
    [f"{_W}{tag}" for tag in ("del", "moveFrom", "instrText", "delText", "rPr", "pPr", "tblPr", "tcPr")]
    + [_FALLBACK]
)
_HEADING = re.compile(r"(?:heading|überschrift|titre|título|titolo|kop|rubrik)\s*([1-9])", re.IGNORECASE)
_PAGE = f"{_W}lastRenderedPageBreak"


def load_docx(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """The document as its reader sees it; `page` is where Word broke the pages when it last saved the file.

    Raises:
        DamagedMedia: Its text cannot be found.
        UnsupportedMedia: It is no DOCX, is locked, or declares entities.
        MediaTooLarge: It unpacks to more than allowed.
    """
    archive = Archive(data, name, limits)
    if "word/document.xml" not in archive.members:
        raise archive.without("DOCX")
    root = parsed(archive, "word/document.xml", name)
    body = root.find(f"{_W}body")
    assembly = Assembly(name, limits)
    writer = _Writer(assembly, _levels(archive, name), paged=next(root.iter(_PAGE), None) is not None)
    for block in _blocks(root if body is None else body):
        writer.take(block)
    for part in ("word/footnotes.xml", "word/endnotes.xml"):
        if part in archive.members:
            for block in _blocks_of_notes(archive, part, name):
                writer.take(block)
    for warning in archive.warnings:
        assembly.warn(warning)
    title = properties(archive, name)
    loaded = assembly.loaded(title, DOCX)
    return loaded if loaded.title else assembly.loaded(title_from(name), DOCX)


def _blocks(parent: Any) -> Iterator[Any]:
    """Paragraphs and tables in order, out of whatever wraps them."""
    stack = [*reversed(parent)]
    while stack:
        node = stack.pop()
        if node.tag in (f"{_W}p", f"{_W}tbl"):
            yield node
        elif isinstance(node.tag, str) and node.tag not in _GONE:
            stack.extend(reversed(node))


def _blocks_of_notes(archive: Archive, part: str, name: str) -> Iterator[Any]:
    try:
        root = parsed(archive, part, name)
    except DamagedMedia:
        return
    for note in root:
        if note.get(f"{_W}type") not in ("separator", "continuationSeparator"):
            yield from _blocks(note)


def _levels(archive: Archive, name: str) -> dict[str, int]:
    """The styles that are headings, each with its level."""
    if "word/styles.xml" not in archive.members:
        return {}
    try:
        root = parsed(archive, "word/styles.xml", name)
    except DamagedMedia:
        return {}
    levels: dict[str, int] = {}
    for style in root.iter(f"{_W}style"):
        key, called = style.get(f"{_W}styleId", ""), _value(style.find(f"{_W}name"))
        outline = _value(style.find(f"{_W}pPr/{_W}outlineLvl"))
        if found := _HEADING.match(called):
            levels[key] = int(found[1])
        elif called.lower() == "title":
            levels[key] = 1
        elif outline.isdecimal() and int(outline) < 9:
            levels[key] = int(outline) + 1
    return levels


def _value(node: Any) -> str:
    return "" if node is None else node.get(f"{_W}val", "")


class _Writer:
    def __init__(self, assembly: Assembly, levels: dict[str, int], *, paged: bool) -> None:
        self._assembly, self._levels = assembly, levels
        self._page = 1 if paged else 0
        self._in_list = False
        if paged:
            assembly.page(1)

    def take(self, block: Any) -> None:
        """One paragraph or table."""
        breaks = sum(1 for _ in block.iter(_PAGE)) if self._page else 0
        text = "" if block.tag != f"{_W}p" else _text(block)
        early = bool(breaks) and (not text or _begins_with_break(block))
        if early:
            self._turn(breaks)
        if block.tag == f"{_W}tbl":
            self._assembly.table(_rows(block))
            self._in_list = False
        elif text:
            self._write(block, text)
        if breaks and not early:
            self._turn(breaks)

    def _turn(self, pages: int) -> None:
        self._page += pages
        self._assembly.page(self._page)

    def _write(self, paragraph: Any, text: str) -> None:
        style = _value(paragraph.find(f"{_W}pPr/{_W}pStyle"))
        outline = _value(paragraph.find(f"{_W}pPr/{_W}outlineLvl"))
        found = _HEADING.match(style)
        level = self._levels.get(style) or (int(found[1]) if found else 0)
        if outline.isdecimal() and int(outline) < 9:
            level = int(outline) + 1
        numbered = paragraph.find(f"{_W}pPr/{_W}numPr")
        if level and len(text) <= 300:
            self._assembly.heading(text, level)
            self._in_list = False
        elif numbered is not None or style.lower().startswith("list"):
            depth = _value(paragraph.find(f"{_W}pPr/{_W}numPr/{_W}ilvl"))
            indent = "  " * min(int(depth), 8) if depth.isdecimal() else ""
            self._assembly.text(f"{indent}- {text}", follows=self._in_list)
            self._in_list = True
        else:
            self._assembly.text(text)
            self._in_list = False


def _begins_with_break(paragraph: Any) -> bool:
    for node in walk(paragraph, lambda node: node.tag in _GONE):
        if node.tag == _PAGE:
            return True
        if node.tag == f"{_W}t" and (node.text or "").strip():
            return False
    return False


def _hidden(node: Any) -> bool:
    if node.tag in _GONE:
        return True
    if node.tag != f"{_W}r":
        return False
    mark = node.find(f"{_W}rPr/{_W}vanish")
    return mark is not None and mark.get(f"{_W}val", "true") not in ("0", "false")


def _text(paragraph: Any) -> str:
    words: list[str] = []
    for node in walk(paragraph, _hidden):
        tag = node.tag
        if tag == f"{_W}t":
            words.append(node.text or "")
        elif tag == f"{_W}tab":
            words.append(" ")
        elif tag in (f"{_W}br", f"{_W}cr"):
            words.append("\n")
        elif tag == f"{_W}noBreakHyphen":
            words.append("-")
        elif tag == f"{_W}p" and words:
            words.append(" ")
    return visible("".join(words)).strip()


def _rows(table: Any) -> Iterator[list[str]]:
    for row in table.iter(f"{_W}tr"):
        if row.getparent() is not table and next(row.iterancestors(f"{_W}tbl")) is not table:
            continue  # a row of a table inside a cell: its text stands in that cell
        cells: list[str] = []
        for cell in row.iter(f"{_W}tc"):
            if next(cell.iterancestors(f"{_W}tr")) is not row:
                continue
            span = _value(cell.find(f"{_W}tcPr/{_W}gridSpan"))
            cells.append(_text(cell))
            cells += [""] * (min(int(span), 64) - 1 if span.isdecimal() else 0)
        yield cells
