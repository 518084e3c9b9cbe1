"""The blocks of a document: headings, paragraphs, tables, code. Knows nothing of a chunk's size."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from stretto.knowledge.loaders.protocol import Loaded

Kind = Literal["heading", "text", "table", "code"]
"""heading: one heading; text: a paragraph or list; table: rows of a Markdown table; code: a fenced block."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ROW = re.compile(r"[ \t]*\|.*\|[ \t]*$")


@dataclass(frozen=True, slots=True)
class Block:
    """A block from `start` to `end`, without white space around it."""

    start: int
    end: int
    kind: Kind
    page: int | None = None
    level: int = 0
    heading: str = ""


def find_blocks(loaded: Loaded) -> list[Block]:
    """The blocks in order. Together they hold every character of the text that is not white space."""
    text = loaded.text
    is_code = loaded.media_type == "text/x-code"
    headings = {heading.start: heading for heading in loaded.headings}
    page_starts = [span.start for span in loaded.pages]
    borders = set(page_starts)
    blocks: list[Block] = []
    start, kind, fence = 0, "", ""

    def close(end: int) -> None:
        nonlocal kind
        left, right = _trimmed(text, start, end)
        if left < right and kind:
            blocks.append(Block(left, right, kind, _page(loaded, page_starts, left)))  # pyright: ignore[reportArgumentType]
        kind = ""

    offset = 0
    while offset < len(text):
        stop = text.find("\n", offset)
        stop = len(text) if stop < 0 else stop
        line = text[offset:stop]
        if offset in borders:
            close(offset)
            fence = ""
        if offset in headings:
            close(offset)
            found = headings[offset]
            blocks.append(
                Block(
                    offset, found.end, "heading", _page(loaded, page_starts, offset), found.level, found.text
                )
            )
            offset = found.end + (1 if text[found.end : found.end + 1] == "\n" else 0)
            continue
        if is_code:
            new, ends = "code" if line.strip() else "", False
        else:
            new, fence, ends = _kind_of(line, kind, fence)
        if new != kind:
            close(offset)
            start, kind = offset, new
        offset = min(stop + 1, len(text))
        if ends:
            close(offset)
    close(len(text))
    return blocks


def _kind_of(line: str, kind: str, fence: str) -> tuple[str, str, bool]:
    """The kind of block the line belongs to ("" if none), the open fence, and whether the block ends here."""
    mark = _FENCE.match(line)
    if fence:
        closed = mark is not None and mark.group(1).startswith(fence)
        return "code", "" if closed else fence, closed
    if mark:
        return "code", mark.group(1), False
    if not line.strip():
        return "", "", False
    return ("table" if _ROW.match(line) else "text"), "", False


def _page(loaded: Loaded, starts: list[int], offset: int) -> int | None:
    index = bisect_right(starts, offset) - 1
    return loaded.pages[index].number if index >= 0 and offset < loaded.pages[index].end else None


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
