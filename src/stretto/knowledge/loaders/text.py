"""Plain text and Markdown. Decodes bytes strictly enough that a binary file is never taken for text."""

import re
from pathlib import PurePath
from typing import Any, NamedTuple, cast

import yaml

from stretto.errors import UnsupportedMedia
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.assembly import visible
from stretto.knowledge.loaders.protocol import Heading, Loaded

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_FRONT = re.compile(r"\A---[ \t]*\n(.{0,10000}?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r" {0,3}(=+|-{3,})[ \t]*$")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
"""A character of UTF-8 that is not ASCII."""


class Decoded(NamedTuple):
    """Text, the encoding it was read in, and what was lost of it."""

    text: str
    encoding: str
    warnings: tuple[str, ...] = ()


def decode(data: bytes, name: str, declared: str = "") -> Decoded:
    """The text of `data`: by its mark, UTF-8, `declared`, or windows-1252.

    A few broken bytes in what is otherwise UTF-8, and a few zero bytes, cost a warning and not the text.

    Raises:
        UnsupportedMedia: The bytes are not text.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], name, (encoding,))
    if data.startswith(b"%PDF-"):
        raise UnsupportedMedia(f"`{name}` is a PDF, whatever its name says; give it the ending .pdf")
    if encoding := _wide(data):
        return _decoded(data, name, (encoding,))
    zeros = data.count(b"\x00")
    if zeros > len(data) // 50:
        raise UnsupportedMedia(
            f"`{name}` is not text: it holds zero bytes; save it as UTF-8, or give it its true ending"
        )
    found = _decoded(data.replace(b"\x00", b"") if zeros else data, name, ("utf-8", declared, "cp1252"))
    if not zeros:
        return found
    return found._replace(warnings=(*found.warnings, f"{zeros:,} zero bytes were left out"))


def _wide(data: bytes) -> str:
    """The kind of UTF-16 that a text without a mark is in, told by where its zero bytes stand; else empty."""
    head = data[:4096]
    if len(head) < 32 or head.count(b"\x00") < len(head) // 4:
        return ""
    even, odd = head[::2].count(0), head[1::2].count(0)
    return "utf-16-le" if even == 0 else "utf-16-be" if odd == 0 else ""


def _decoded(data: bytes, name: str, encodings: tuple[str, ...]) -> Decoded:
    for encoding in filter(None, encodings):
        try:
            text, broken = data.decode(encoding), 0
        except LookupError:
            continue
        except UnicodeDecodeError:
            text = data.decode(encoding, "replace")
            broken = text.count("\ufffd")
            if not _mostly(encoding, data, broken):
                continue
        if len(_CONTROLS.findall(text[:100_000])) > len(text[:100_000]) // 200:
            break
        lost = (f"{broken:,} places that are not {encoding} were replaced",) if broken else ()
        return Decoded(visible(text.replace("\r\n", "\n").replace("\r", "\n")), encoding, lost)
    raise UnsupportedMedia(f"`{name}` is not text in any encoding we read; save it as UTF-8")


def _mostly(encoding: str, data: bytes, broken: int) -> bool:
    """Whether bytes are text in `encoding` with a few broken places."""
    if encoding.startswith("utf-16"):
        return broken <= len(data) // 50
    if encoding != "utf-8" or broken > len(data) // 50:
        return False
    return len(_SEQUENCE.findall(data[:1_000_000])) > broken


def title_from(name: str) -> str:
    """A readable title out of a file's name: `parental_leave.md` gives `parental leave`."""
    return re.sub(r"[_\-]+", " ", PurePath(name).stem).strip() or name


def load_text(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """Plain text: no headings are looked for."""
    found = decode(data, name)
    return Loaded(
        found.text, title_from(name), "text/plain", metadata=noted(found.encoding), warnings=found.warnings
    )


def load_markdown(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """Markdown: headings of both forms; the front matter's plain values become metadata."""
    text, encoding, warnings = decode(data, name)
    metadata, text = front_matter(text)
    headings = tuple(markdown_headings(text))
    title = metadata.pop("title", None) or next(
        (heading.text for heading in sorted(headings, key=lambda heading: heading.level)), title_from(name)
    )
    return Loaded(
        text,
        str(title),
        "text/markdown",
        headings,
        metadata=metadata | noted(encoding),
        warnings=warnings,
    )


def noted(encoding: str) -> dict[str, Any]:
    """The metadata that names an encoding other than UTF-8."""
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
