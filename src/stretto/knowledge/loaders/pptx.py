"""PPTX: slide by slide: title, text, tables, the speaker's notes, and where on the slide each stands."""

import re
from collections.abc import Iterator
from typing import Any

from stretto.errors import DamagedMedia
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.archive import Archive
from stretto.knowledge.loaders.assembly import Assembly, Box, visible
from stretto.knowledge.loaders.office import RELATION, parsed, properties, relations, walk
from stretto.knowledge.loaders.protocol import Loaded
from stretto.knowledge.loaders.registry import PPTX
from stretto.knowledge.loaders.text import title_from

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_NUMBER = re.compile(r"ppt/slides/slide(\d+)\.xml")
_SIZE = (9_144_000, 6_858_000)
"""Width and height of a slide that names none, in EMU (914,400 an inch)."""


def load_pptx(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """The slides in their order, as pages. Hidden slides are left out, with a warning.

    Raises:
        DamagedMedia: No slide can be found.
        UnsupportedMedia: It is no PPTX, is locked, or declares entities.
        MediaTooLarge: It unpacks to more than allowed, or has more slides.
    """
    archive = Archive(data, name, limits)
    slides, size = _slides(archive, name)
    assembly = Assembly(name, limits)
    hidden = 0
    for number, part in enumerate(slides[: limits.pages], 1):
        try:
            slide = parsed(archive, part, name)
        except DamagedMedia as error:
            assembly.warn(f"slide {number} is left out: {error}")
            continue
        if slide.get("show") == "0":
            hidden += 1
            continue
        assembly.page(number)
        _write(slide, assembly, size)
        for kind, target in relations(archive, part, name).values():
            if kind == "notesSlide" and target in archive.members:
                _write_notes(archive, target, name, assembly)
    if hidden:
        assembly.warn(f"{hidden:,} hidden slides are left out")
    if len(slides) > limits.pages:
        assembly.warn(f"slides behind number {limits.pages:,} are left out")
    for warning in archive.warnings:
        assembly.warn(warning)
    loaded = assembly.loaded(properties(archive, name), PPTX, slides=len(slides))
    return loaded if loaded.title else assembly.loaded(title_from(name), PPTX, slides=len(slides))


def _slides(archive: Archive, name: str) -> tuple[list[str], tuple[int, int]]:
    """The parts of the slides in order, and the size of a slide."""
    numbered = sorted((int(found[1]), part) for part in archive.members if (found := _NUMBER.fullmatch(part)))
    by_name = [part for _, part in numbered]
    if not by_name:
        raise archive.without("PPTX")
    try:
        root = parsed(archive, "ppt/presentation.xml", name)
    except DamagedMedia:
        return by_name, _SIZE
    size = root.find(f"{_P}sldSz")
    targets = relations(archive, "ppt/presentation.xml", name)
    ids = [entry.get(RELATION, "") for entry in root.iter(f"{_P}sldId")]
    ordered = [targets[key][1] for key in ids if key in targets and targets[key][1] in archive.members]
    width, height = (_number(size, "cx"), _number(size, "cy")) if size is not None else (0, 0)
    return (ordered if ordered and not archive.damaged else by_name), (width or _SIZE[0], height or _SIZE[1])


def _number(node: Any, key: str) -> int:
    text = node.get(key, "")
    return int(text) if re.fullmatch(r"-?\d{1,12}", text) else 0


def _write(slide: Any, assembly: Assembly, size: tuple[int, int]) -> None:
    shapes = [shape for shape in walk(slide, _skipped) if shape.tag in (f"{_P}sp", f"{_P}graphicFrame")]
    shapes.sort(key=lambda shape: not _is_title(shape))  # the title first, the others as the file has them
    for shape in shapes:
        if shape.tag == f"{_P}graphicFrame":
            for table in shape.iter(f"{_A}tbl"):
                assembly.table(_rows(table), box=_box(shape, size))
            continue
        lines = list(_lines(shape))
        if _is_title(shape):
            assembly.heading(" ".join(lines), 1, box=_box(shape, size))
        else:
            assembly.text("\n".join(lines), box=_box(shape, size))


def _write_notes(archive: Archive, part: str, name: str, assembly: Assembly) -> None:
    try:
        root = parsed(archive, part, name)
    except DamagedMedia:
        return
    for shape in root.iter(f"{_P}sp"):
        place = shape.find(f".//{_P}ph")
        if place is not None and place.get("type") == "body" and (lines := list(_lines(shape))):
            assembly.text("Notes: " + "\n".join(lines))


def _skipped(node: Any) -> bool:
    if node.tag == _FALLBACK:
        return True
    described = node.find(f"./*/{_P}cNvPr") if node.tag in (f"{_P}sp", f"{_P}graphicFrame") else None
    return described is not None and described.get("hidden") in ("1", "true")


def _is_title(shape: Any) -> bool:
    place = shape.find(f".//{_P}nvPr/{_P}ph")
    return place is not None and place.get("type") in ("title", "ctrTitle")


def _lines(shape: Any) -> Iterator[str]:
    for paragraph in shape.iter(f"{_A}p"):
        words: list[str] = []
        for node in paragraph.iter(f"{_A}t", f"{_A}br"):
            words.append((node.text or "") if node.tag == f"{_A}t" else " ")
        text = visible("".join(words)).strip()
        if text:
            described = paragraph.find(f"{_A}pPr")
            level = _number(described, "lvl") if described is not None else 0
            yield f"{'  ' * min(level, 8)}- {text}" if level else text


def _rows(table: Any) -> Iterator[list[str]]:
    for row in table.iter(f"{_A}tr"):
        yield [" ".join(_lines(cell)) for cell in row.iter(f"{_A}tc")]


def _box(shape: Any, size: tuple[int, int]) -> Box | None:
    """Where the shape stands, where it says so itself (a placeholder may leave it to its layout)."""
    offset, extent = shape.find(f".//{_A}off"), shape.find(f".//{_A}ext[@cx]")
    if shape.tag == f"{_P}graphicFrame":
        place = shape.find(f"{_P}xfrm")
        offset, extent = (None, None) if place is None else (place.find(f"{_A}off"), place.find(f"{_A}ext"))
    grouped = shape.getparent() is not None and shape.getparent().tag == f"{_P}grpSp"
    if offset is None or extent is None or grouped:
        return None
    left, top = _number(offset, "x") / size[0], _number(offset, "y") / size[1]
    right, bottom = left + _number(extent, "cx") / size[0], top + _number(extent, "cy") / size[1]
    left, top, right, bottom = (round(min(max(edge, 0.0), 1.0), 4) for edge in (left, top, right, bottom))
    return (left, top, right, bottom) if left < right and top < bottom else None
