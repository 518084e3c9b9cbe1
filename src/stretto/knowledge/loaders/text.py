"""Plain text and Markdown. Decodes bytes strictly enough that a binary file is never taken for text."""

import re
from pathlib import PurePath
from typing import Any, cast

import yaml

from stretto.errors import UnsupportedMedia
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.protocol import Heading, Loaded

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_FRONT = re.compile(r"\A---[ \t]*\n(.{0,10000}?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r" {0,3}(=+|-{3,})[ \t]*$")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def decode(data: bytes, name: str, declared: str = "") -> tuple[str, str]:
    """The text of `data` and the encoding it was read in: by its mark, UTF-8, `declared`, or windows-1252.

    Raises:
        UnsupportedMedia: The bytes are not text.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], name, (encoding,))
    if data.startswith(b"%PDF-"):
        raise UnsupportedMedia(f"`{name}` is a PDF, whatever its name says; give it the ending .pdf")
    if b"\x00" in data:
        raise UnsupportedMedia(
            f"`{name}` is not text: it holds zero bytes; save it as UTF-8, or give it its true ending"
        )
    return _decoded(data, name, ("utf-8", declared or "cp1252", "cp1252"))


def _decoded(data: bytes, name: str, encodings: tuple[str, ...]) -> tuple[str, str]:
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        if len(_CONTROLS.findall(text[:100_000])) > len(text[:100_000]) // 200:
            break
        return text.replace("\r\n", "\n").replace("\r", "\n"), encoding
    raise UnsupportedMedia(f"`{name}` is not text in any encoding we read; save it as UTF-8")


def title_from(name: str) -> str:
    """A readable title out of a file's name: `parental_leave.md` gives `parental leave`."""
    return re.sub(r"[_\-]+", " ", PurePath(name).stem).strip() or name


def load_text(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """Plain text: no headings are looked for."""
    text, encoding = decode(data, name)
    return Loaded(text, title_from(name), "text/plain", metadata=_noted(encoding))


def load_markdown(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """Markdown: headings of both forms; the front matter's plain values become metadata."""
    text, encoding = decode(data, name)
    metadata, text = front_matter(text)
    headings = tuple(markdown_headings(text))
    title = metadata.pop("title", None) or next(
        (heading.text for heading in sorted(headings, key=lambda heading: heading.level)), title_from(name)
    )
    return Loaded(text, str(title), "text/markdown", headings, metadata=metadata | _noted(encoding))


def _noted(encoding: str) -> dict[str, Any]:
    return {} if encoding == "utf-8" else {"encoding": encoding}


def front_matter(text: str) -> tuple[dict[str, Any], str]:
    """The plain values of a YAML head, and the text after it; what is not such a head stays text."""
    found = _FRONT.match(text)
    if not found:
        return {}, text
    try:
        values: Any = yaml.safe_load(found.group(1))
    except (yaml.YAMLError, ValueError):
        return {}, text
    if not isinstance(values, dict):
        return {}, text
    plain = {
        str(key): value if isinstance(value, str | int | float | bool) else str(value)
        for key, value in cast("dict[Any, Any]", values).items()
        if value is not None and not isinstance(value, dict | list | set)
    }
    return plain, text[found.end() :]


def markdown_headings(text: str) -> list[Heading]:
    """The headings of a Markdown text, outside of code fences."""
    headings: list[Heading] = []
    fence, offset, before = "", 0, (0, "")
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if fence:
            if found and found.group(1).startswith(fence):
                fence = ""
            before = (offset, "")
        elif found:
            fence, before = found.group(1), (offset, "")
        elif atx := _ATX.match(line):
            if atx.group(2):
                headings.append(Heading(offset, offset + len(line), len(atx.group(1)), _plain(atx.group(2))))
            before = (offset, "")
        elif (under := _UNDERLINE.match(line)) and _may_be_heading(before[1]):
            level = 1 if under.group(1)[0] == "=" else 2
            headings.append(Heading(before[0], offset + len(line), level, _plain(before[1])))
            before = (offset, "")
        else:
            # Only a paragraph's first line can be a heading by underline here; longer ones stay text.
            before = (offset, "" if before[1] else line)
        offset += len(line) + 1
    return headings


def _may_be_heading(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith(("|", ">", "- ", "* ", "+ "))


def _plain(text: str) -> str:
    """A heading's words without emphasis, code marks and link targets."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text.strip())
    return re.sub(r"[*`]+|(?<!\w)_+|_+(?!\w)", "", text).strip()
