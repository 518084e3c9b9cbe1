"""HTML: what a reader of the page sees, as Markdown. Scripts, navigation and hidden parts are dropped.

Works without recursion, so that deep nesting costs nothing but time.
"""

import re
from collections.abc import Iterator, Set
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from stretto.errors import DamagedMedia
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.assembly import visible
from stretto.knowledge.loaders.html_styles import hidden_nodes, hides
from stretto.knowledge.loaders.protocol import Heading, Loaded
from stretto.knowledge.loaders.text import decode, noted, title_from

_DROPPED = frozenset(
    re.findall(
        r"\S+",
        "-comment !doctype audio button canvas dialog embed head iframe input map math nav noscript object "
        "script select style svg template textarea video",
    )
)
_BLOCKS = frozenset(
    re.findall(
        r"\S+",
        "address article aside blockquote body caption dd details div dl dt fieldset figcaption figure "
        "footer form header hr html main ol p section summary table tbody tfoot thead tr ul",
    )
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_:-]{2,40})", re.IGNORECASE)
_NESTING = re.compile(r"<(/?)(div|span|table|section|ul|ol|b|i|a|em|font|strong)\b", re.I)
_DEEPEST = 3000
_WIDEST_CELL = 400
"""Characters of a cell from which a table is taken for page layout."""


def load_html(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """The visible text of a page, with headings, lists and tables as Markdown."""
    declared = _CHARSET.search(data[:4096])
    text, encoding, warnings = decode(data, name, declared.group(1).decode("ascii") if declared else "")
    _check_depth(text, name)
    tree: Any = LexborHTMLParser(text)
    page = _Page(hidden_nodes(tree))
    if tree.body is not None:
        page.read(tree.body)
    body, headings = page.text()
    first = next((heading.text for heading in sorted(headings, key=lambda heading: heading.level)), "")
    named = tree.css_first("title")
    title = first or (_collapsed(named.text() or "") if named is not None else "") or title_from(name)
    return Loaded(body, title, "text/html", headings, metadata=noted(encoding), warnings=warnings)


def _check_depth(text: str, name: str) -> None:
    """Refuses nesting that only an attack has: the parser's time grows with its square."""
    depth = 0
    for closing, _ in _NESTING.findall(text):
        depth = max(0, depth - 1) if closing else depth + 1
        if depth > _DEEPEST:
            raise DamagedMedia(
                f"`{name}` nests more than {_DEEPEST:,} elements into each other; save a simpler page"
            )


class _Page:
    """Takes a tree apart into blocks: `(text, heading level or 0, whether it follows closely)`."""

    def __init__(self, hidden: Set[int]) -> None:
        self._hidden = hidden
        self._blocks: list[tuple[str, int, bool]] = []
        self._words: list[str] = []
        self._lists: list[int] = []  # the next number of each open list, 0 where it has bullets
        self._mark = ""
        self._pre = 0

    def read(self, body: Any) -> None:
        table = 0  # the table that was taken as rows already, while we are inside it
        for node, entering in _walk(body, self._hidden):
            tag = node.tag
            if table:
                table = 0 if not entering and node.mem_id == table else table
            elif tag == "-text":
                if entering:
                    self._words.append(visible(node.text_content or ""))
            elif tag == "table" and entering and (rows := _rows(node, self._hidden)):
                self._end()
                self._blocks.append(("\n".join(rows), 0, False))
                table = node.mem_id
            elif entering:
                self._enter(tag, node)
            else:
                self._leave(tag)
        self._end()

    def _enter(self, tag: str, node: Any) -> None:
        if tag == "br":
            self._words.append("\n" if self._pre else " ")
        elif tag == "img":
            if alt := _collapsed(node.attributes.get("alt") or ""):
                self._words.append(f" {alt} ")
        elif tag in ("td", "th"):
            self._words.append(" ")
        elif tag in _BLOCKS or tag in _HEADINGS or tag in ("li", "pre"):
            self._end()
        if tag in ("ul", "ol"):
            self._lists.append(1 if tag == "ol" else 0)
        elif tag == "li":
            number = self._lists[-1] if self._lists else 0
            self._mark = "  " * max(0, len(self._lists) - 1) + (f"{number}. " if number else "- ")
            if number:
                self._lists[-1] += 1
        elif tag == "pre":
            self._pre += 1

    def _leave(self, tag: str) -> None:
        if tag in _HEADINGS:
            self._end(_HEADINGS[tag])
        elif tag == "pre":
            self._end_code()
        elif tag in _BLOCKS or tag == "li":
            self._end()
        if tag in ("ul", "ol") and self._lists:
            self._lists.pop()

    def _end(self, level: int = 0) -> None:
        if self._pre:
            return
        text = _collapsed("".join(self._words))
        self._words.clear()
        if not text:
            return
        item, self._mark = self._mark, ""
        follows = (
            bool(item)
            and bool(self._blocks)
            and self._blocks[-1][0].lstrip().startswith(("- ", *"123456789"))
        )
        self._blocks.append((item + text, 0 if item else level, follows))

    def _end_code(self) -> None:
        text = "".join(self._words).strip("\n")
        self._words.clear()
        self._pre = max(0, self._pre - 1)
        if text.strip():
            fence = "````" if "```" in text else "```"
            self._blocks.append((f"{fence}\n{text}\n{fence}", 0, False))

    def text(self) -> tuple[str, tuple[Heading, ...]]:
        """The whole text, and where its headings are."""
        parts: list[str] = []
        headings: list[Heading] = []
        offset = 0
        for text, level, follows in self._blocks:
            gap = "" if not parts else "\n" if follows else "\n\n"
            shown = f"{'#' * level} {text}" if level else text
            offset += len(gap)
            if level:
                headings.append(Heading(offset, offset + len(shown), level, text))
            parts += [gap, shown]
            offset += len(shown)
        return "".join(parts), tuple(headings)


def _walk(root: Any, hidden: Set[int]) -> Iterator[tuple[Any, bool]]:
    """Each visible node in order, on entering and on leaving."""
    stack: list[tuple[Any, bool]] = [(root, True)]
    while stack:
        node, entering = stack.pop()
        if not entering:
            yield node, False
            continue
        if node.mem_id in hidden or _is_dropped(node):
            continue
        stack.append((node, False))
        yield node, True
        if node.tag == "-text":
            continue
        children: list[tuple[Any, bool]] = []
        child = node.first_child
        while child is not None:
            children.append((child, True))
            child = child.next
        stack.extend(reversed(children))


def _is_dropped(node: Any) -> bool:
    tag = node.tag
    if tag == "-text":
        return False
    if tag in _DROPPED:
        return True
    if tag == "footer" and node.parent is not None and node.parent.tag == "body":
        return True
    attributes = node.attributes
    if not attributes:
        return False
    return (
        "hidden" in attributes
        or (attributes.get("aria-hidden") or "").lower() == "true"
        or (attributes.get("role") or "").lower() in ("navigation", "search", "menu", "menubar")
        or hides(attributes.get("style") or "")
    )


def _rows(table: Any, hidden: Set[int]) -> list[str]:
    """The table as Markdown lines; nothing where it only lays out the page."""
    if (table.attributes.get("role") or "") in ("presentation", "none"):
        return []
    caption, rows = "", list[list[str]]()
    words: list[str] = []
    for node, entering in _walk(table, hidden):
        tag = node.tag
        if entering and tag == "-text":
            words.append(visible(node.text_content or ""))
        elif entering and (tag in _HEADINGS or (tag == "table" and rows)):
            return []
        elif entering and tag == "tr":
            rows.append([])
            words.clear()
        elif entering and (tag in _BLOCKS or tag in ("br", "li")):
            words.append(" ")
        elif not entering and tag in ("td", "th") and rows:
            rows[-1].append(_collapsed("".join(words)).replace("|", "\\|"))
            words.clear()
        elif not entering and tag == "caption":
            caption = _collapsed("".join(words))
            words.clear()
    rows = [row for row in rows if any(row)]
    width = max((len(row) for row in rows), default=0)
    if width < 2 or len(rows) < 2 or any(len(cell) > _WIDEST_CELL for row in rows for cell in row):
        return []
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * width)
    return [*([caption, ""] if caption else []), *lines]


def _collapsed(text: str) -> str:
    return " ".join(text.split())
