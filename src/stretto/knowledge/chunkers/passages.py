"""Packs blocks into passages. Borders follow headings, pages and paragraphs, so that a change stays local.

A passage begins at every heading and page. Between them, paragraphs are joined until there is enough;
some paragraphs, chosen by their own text, begin a new passage wherever they stand, so that borders after an
insertion meet the old ones again after a few passages. Knows no ids and no stores.
"""

import re
import zlib
from dataclasses import dataclass, replace

from stretto.knowledge.chunkers.blocks import Block, find_blocks
from stretto.knowledge.loaders.protocol import Loaded
from stretto.knowledge.sentences import sentence_spans

_DELIMITER = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")


@dataclass(frozen=True, slots=True)
class PassageSizes:
    """How long passages are, in characters. 1,000 characters of English are about 220 MiniLM tokens."""

    small: int = 160
    """Shorter passages are joined to a neighbour of the same section where that is possible."""
    enough: int = 520
    """From here on a passage takes no further paragraph."""
    target: int = 700
    """Longer paragraphs are cut into pieces of about this size, between sentences."""
    most: int = 1000
    """No passage is longer, apart from a repeated table header."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage: `head` (a repeated table header, mostly empty) and the text from `start` to `end`."""

    start: int
    end: int
    page: int | None = None
    headings: tuple[str, ...] = ()
    head: str = ""
    closed: bool = False
    """Holds a table's rows or a piece of a long paragraph: nothing is joined to it."""


def find_passages(loaded: Loaded, sizes: PassageSizes | None = None) -> list[Passage]:
    """The passages in order. Together they hold every character of the text that is not white space."""
    packer = _Packer(loaded.text, sizes or PassageSizes())
    for block in find_blocks(loaded):
        packer.take(block)
    packer.close()
    return packer.done


class _Packer:
    """Takes blocks one by one; `done` holds the passages."""

    def __init__(self, text: str, sizes: PassageSizes) -> None:
        self.text, self.sizes = text, sizes
        self.done: list[Passage] = []
        self._path: list[tuple[int, str]] = []
        self._open: Passage | None = None
        self._bare = False  # the open passage holds only headings so far
        self._fresh = True  # no passage of this section is done yet

    def take(self, block: Block) -> None:
        if self._open and block.page != self._open.page:
            self.close()
            self._fresh = True
        if block.kind == "heading":
            self._take_heading(block)
        elif block.end - block.start > self.sizes.most:
            self._take_long(block)
        else:
            self._take_short(block)

    def _take_heading(self, block: Block) -> None:
        if self._open and not self._bare:
            self.close()
        self._fresh = True
        while self._path and self._path[-1][0] >= block.level:
            self._path.pop()
        self._path.append((block.level, block.heading))
        if self._open and block.end - self._open.start > self.sizes.most:
            self.close()
        if self._open:
            self._open = replace(self._open, end=block.end, headings=self._headings())
        else:
            self._begin(block.start, block.end, block.page)
            self._bare = True

    def _take_short(self, block: Block) -> None:
        if self._open:
            size = self._open.end - self._open.start
            full = block.end - self._open.start > self.sizes.most
            wanted = size >= self.sizes.enough or (size >= self.sizes.small and self._begins_anew(block))
            if full or (wanted and not self._bare):
                self.close()
        if self._open:
            self._open = replace(self._open, end=block.end)
        else:
            self._begin(block.start, block.end, block.page)
        self._bare = False

    def _take_long(self, block: Block) -> None:
        head, pieces = self._pieces(block)
        for number, (start, end) in enumerate(pieces):
            if self._open:
                size = self._open.end - self._open.start
                joins = self._bare or (not self._open.closed and size < self.sizes.small)
                if not joins or end - self._open.start > self.sizes.most:
                    self.close()
            if self._open:
                self._open = replace(self._open, end=end, closed=True)
            else:
                self._begin(start, end, block.page)
                self._open = replace(self._opened(), closed=True, head=head if number else "")
            self._bare = False
            self.close()

    def _opened(self) -> Passage:
        if self._open is None:
            raise RuntimeError("no passage is open")  # cannot happen: called right after _begin
        return self._open

    def _begin(self, start: int, end: int, page: int | None) -> None:
        self._open = Passage(start, end, page, self._headings())

    def _headings(self) -> tuple[str, ...]:
        return tuple(text for _, text in self._path if text)

    def _begins_anew(self, block: Block) -> bool:
        return zlib.crc32(" ".join(self.text[block.start : block.end].split()).encode()) % 4 == 0

    def close(self) -> None:
        """Ends the open passage; a very short one at the end of its section joins the one before."""
        passage, self._open = self._open, None
        if passage is None:
            return
        bare, self._bare = self._bare, False
        last = self.done[-1] if self.done else None
        if (
            last is not None
            and not (self._fresh or bare or last.closed or passage.closed)
            and passage.end - passage.start < self.sizes.small
            and passage.end - last.start <= self.sizes.most
            and (last.page, last.headings) == (passage.page, passage.headings)
        ):
            self.done[-1] = replace(last, end=passage.end)
        else:
            self.done.append(passage)
        self._fresh = False

    def _pieces(self, block: Block) -> tuple[str, list[tuple[int, int]]]:
        """The header to repeat, and the spans of a long block's pieces."""
        if block.kind == "text":
            units = sentence_spans(self.text, block.start, block.end)
        else:
            units = _line_spans(self.text, block.start, block.end)
        head = ""
        if block.kind == "table" and len(units) > 2 and _DELIMITER.match(self.text[slice(*units[1])]):
            head = self.text[units[0][0] : units[1][1]] + "\n"
            if len(head) > self.sizes.target // 2:
                head = ""
        room = self.sizes.target - len(head)
        cut = [piece for unit in units for piece in _cut(self.text, unit, self.sizes.most - len(head))]
        total = block.end - block.start
        wish = total / max(1, round(total / room))  # equal pieces instead of a short rest
        return head, _grouped(cut, wish, self.sizes.most - len(head))


def _grouped(units: list[tuple[int, int]], wish: float, most: int) -> list[tuple[int, int]]:
    groups: list[tuple[int, int]] = []
    for start, end in units:
        if groups:
            first, last = groups[-1]
            # A unit joins when that brings the group nearer to the wished size than stopping here.
            if end - first <= most and abs(end - first - wish) <= abs(last - first - wish):
                groups[-1] = (first, end)
                continue
        groups.append((start, end))
    return groups


def _line_spans(text: str, start: int, end: int) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    offset = start
    while offset < end:
        stop = text.find("\n", offset, end)
        stop = end if stop < 0 else stop
        if text[offset:stop].strip():
            spans.append((offset, stop))
        offset = stop + 1
    return spans


def _cut(text: str, span: tuple[int, int], most: int) -> list[tuple[int, int]]:
    """The span in parts of at most `most` characters, cut at white space where there is some."""
    start, end = span
    parts: list[tuple[int, int]] = []
    while end - start > most:
        at = max(text.rfind(" ", start + 1, start + most), text.rfind("\n", start + 1, start + most))
        at = at if at > start else start + most
        if text[start:at].strip():
            parts.append((start, at))
        start = at
        while start < end and text[start].isspace():
            start += 1
    if start < end:
        parts.append((start, end))
    return parts
