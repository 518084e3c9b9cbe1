"""Puts a document's text together piece by piece and notes where each piece stands. Knows no file format."""

import re
from collections.abc import Iterable, Sequence

from stretto.errors import MediaTooLarge
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.protocol import Heading, Loaded, PageSpan, Region

Box = tuple[float, float, float, float]

_WIDEST_HEADER = 320
"""A longer table header would not be repeated by the chunker: each row is then written as `name: value`."""
_WIDEST_CELL = 600
_WARNINGS = 20


class Assembly:
    """Text under construction. `name` is what errors call the document."""

    def __init__(self, name: str, limits: IngestLimits) -> None:
        self._name, self._most = name, limits.characters
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._pages: list[PageSpan] = []
        self._regions: list[Region] = []
        self._warnings: list[str] = []
        self._page: tuple[int, int, str] | None = None

    def __len__(self) -> int:
        return self._length

    def warn(self, sentence: str) -> None:
        """Notes what was lost; of many equal ones the first few stay."""
        if sentence not in self._warnings and len(self._warnings) < _WARNINGS:
            self._warnings.append(sentence)

    def page(self, number: int, name: str = "") -> None:
        """What follows stands on this page, slide or sheet."""
        self._end_page()
        self._page = (self._length, number, name)

    def heading(self, text: str, level: int, *, box: Box | None = None) -> None:
        """A heading of `level` from 1."""
        text = " ".join(text.split())
        if text:
            shown = f"{'#' * min(level, 6)} {text}"
            start = self._add(shown, "\n\n", box)
            self._headings.append(Heading(start, start + len(shown), min(level, 6), text))

    def text(self, text: str, *, follows: bool = False, box: Box | None = None) -> None:
        """A paragraph; one that `follows` stands on the next line, as items of a list do."""
        text = text.strip("\n").rstrip()
        if text.strip():
            self._add(text, "\n" if follows else "\n\n", box)

    def code(self, text: str, *, box: Box | None = None) -> None:
        """A fenced block."""
        fence = "````" if "```" in text else "```"
        self._add(f"{fence}\n{text.strip(chr(10))}\n{fence}", "\n\n", box)

    def table(self, rows: Iterable[Sequence[str]], *, box: Box | None = None) -> None:
        """A table whose first row is its header, as Markdown; very wide ones row by row, with names."""
        iterator = iter(rows)
        header = [_cell(cell) for cell in next(iterator, ())]
        alone = any(header)
        if not alone:
            header = [f"column {number}" for number in range(1, len(header) + 1)]
        named = sum(map(len, header)) + 9 * len(header) > _WIDEST_HEADER
        begun = False
        for row in iterator:
            cells = [_cell(cell) for cell in row]
            if not any(cells):
                continue
            alone = False
            if named or any(len(cell) > _WIDEST_CELL for cell in cells):
                pairs = zip(header + [""] * (len(cells) - len(header)), cells, strict=False)
                self.text("\n".join(f"{key}: {value}" if key else value for key, value in pairs if value))
                begun = False
                continue
            if not begun:
                self._add(f"{_row(header)}\n|{' --- |' * len(header)}", "\n\n", box)
                begun = True
            self._add(_row(cells + [""] * (len(header) - len(cells))), "\n", box)
        if alone:
            self._add(_row(header), "\n\n", box)

    def include(self, loaded: Loaded, *, level: int) -> None:
        """Another document's text with its pages and regions, its headings `level` deeper."""
        self._end_page()
        start = self._add(loaded.text, "\n\n", None)
        for found in loaded.headings:
            self._headings.append(
                Heading(start + found.start, start + found.end, min(found.level + level, 6), found.text)
            )
        self._pages += [
            PageSpan(start + span.start, start + span.end, span.number, span.name) for span in loaded.pages
        ]
        self._regions += [
            Region(start + region.start, start + region.end, region.box) for region in loaded.regions
        ]
        for warning in loaded.warnings:
            self.warn(warning)

    def loaded(self, title: str, media_type: str, **metadata: object) -> Loaded:
        """The document. Its title is `title`, else its outermost first heading."""
        self._end_page()
        first = next((each.text for each in sorted(self._headings, key=lambda each: each.level)), "")
        return Loaded(
            "".join(self._parts),
            title or first,
            media_type,
            tuple(self._headings),
            tuple(self._pages),
            {key: value for key, value in metadata.items() if value not in (None, "", [])},
            tuple(self._regions),
            tuple(self._warnings),
        )

    def _add(self, text: str, gap: str, box: Box | None) -> int:
        """Appends text behind a gap, where there is text before; returns where it begins."""
        if self._length:
            self._parts.append(gap)
            self._length += len(gap)
        start = self._length
        self._parts.append(text)
        self._length += len(text)
        if self._length > self._most:
            raise MediaTooLarge(f"`{self._name}` holds more than {self._most:,} characters of text")
        if box is not None:
            self._regions.append(Region(start, self._length, box))
        return start

    def _end_page(self) -> None:
        if self._page is not None:
            start, number, name = self._page
            if start:
                start += 2  # the gap before the page's first text
            if self._length > start:
                self._pages.append(PageSpan(start, self._length, number, name))
        self._page = None


def markdown_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table; the first row is its header."""
    width = max(map(len, rows), default=0)
    lines = [_row([_cell(cell) for cell in row] + [""] * (width - len(row))) for row in rows]
    lines.insert(1, f"|{' --- |' * width}")
    return lines


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_INVISIBLE = re.compile("[\u200b\u2060-\u2064\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")


def visible(text: str) -> str:
    """The text without characters that show nothing, which hide words from people but not from a model.

    Joiners stay, since several scripts need them.
    """
    return text if text.isascii() else _INVISIBLE.sub("", text)
