"""XLSX: each sheet as tables, with the values last computed. Formulas, macros and hidden sheets stay out."""

import io
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from itertools import chain, takewhile
from typing import Any

from openpyxl import load_workbook

from stretto.errors import DamagedMedia
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.archive import Archive
from stretto.knowledge.loaders.assembly import Assembly, visible
from stretto.knowledge.loaders.office import parsed, properties, refuse_entities
from stretto.knowledge.loaders.protocol import Loaded
from stretto.knowledge.loaders.registry import XLSX
from stretto.knowledge.loaders.text import title_from

_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_COLUMNS = 1_000
_FAILURES = (
    KeyError, ValueError, TypeError, AttributeError, IndexError, OSError, zipfile.BadZipFile, SyntaxError
)  # fmt: skip
"""What the library raises at damaged files; a broken XML is a SyntaxError."""


def load_xlsx(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """The sheets as pages, each under its name; rows that an empty row parts are tables of their own.

    Raises:
        DamagedMedia: No cell can be read.
        UnsupportedMedia: It is no XLSX, is locked, or declares entities.
        MediaTooLarge: It unpacks to more than allowed.
    """
    archive = Archive(data, name, limits)
    if not any(part.startswith("xl/") for part in archive.members):
        raise archive.without("XLSX")
    _check(archive, name)
    assembly = Assembly(name, limits)
    try:
        _write_sheets(archive.rebuilt() if archive.damaged or archive.warnings else data, assembly, limits)
    except _FAILURES:
        assembly.warn("the sheets are damaged; the texts of the cells are kept without their rows")
        _write_strings(archive, name, assembly)
    for warning in archive.warnings:
        assembly.warn(warning)
    return assembly.loaded(properties(archive, name) or title_from(name), XLSX)


def _check(archive: Archive, name: str) -> None:
    """Unpacks every part once, within the limits, and refuses entities."""
    for part in archive.members:
        if not part.endswith((".xml", ".rels")):
            continue
        try:
            content = archive.read(part)
        except DamagedMedia as error:
            archive.warnings.append(str(error))
            continue
        refuse_entities(content, name)


def _write_sheets(data: bytes, assembly: Assembly, limits: IngestLimits) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of features that are not read anyway
        book: Any = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        try:
            hidden = 0
            for number, sheet in enumerate(book.worksheets[: limits.pages], 1):
                if sheet.sheet_state != "visible":
                    hidden += 1
                    continue
                assembly.page(number, sheet.title)
                assembly.heading(visible(sheet.title), 1)
                try:
                    _write_sheet(sheet, assembly)
                except _FAILURES:
                    assembly.warn(f"the sheet `{sheet.title}` is damaged; what could be read of it is kept")
            if hidden:
                assembly.warn(f"{hidden:,} hidden sheets are left out")
        finally:
            book.close()


def _write_sheet(sheet: Any, assembly: Assembly) -> None:
    sheet.reset_dimensions()  # what the file claims may be a million rows
    rows = _rows(sheet)
    while (first := next(rows, None)) is not None:
        if not first:
            continue
        assembly.table(chain([first], takewhile(bool, rows)))


def _rows(sheet: Any) -> Iterator[list[str]]:
    """The rows as texts, without empty cells at the end; an empty list where a row is empty."""
    for row in sheet.iter_rows(values_only=True):
        cells = [_shown(value) for value in row[:_COLUMNS]]
        while cells and not cells[-1].strip():
            cells.pop()
        yield cells


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.15g}"
        case datetime() if value.time() == time(0):
            return value.date().isoformat()
        case datetime() | date() | time():
            return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
        case _:
            return visible(str(value))


def _write_strings(archive: Archive, name: str, assembly: Assembly) -> None:
    """Every text of the workbook, where the sheets that put it into rows cannot be read."""
    found = False
    for part in sorted(archive.members):
        if part != "xl/sharedStrings.xml" and not part.startswith("xl/worksheets/"):
            continue
        try:
            root = parsed(archive, part, name)
        except DamagedMedia:
            continue
        for item in root.iter(f"{_S}si", f"{_S}is"):
            text = "".join(node.text or "" for node in item.iter(f"{_S}t"))
            if text.strip():
                found = True
                assembly.text(f"- {visible(' '.join(text.split()))}", follows=True)
    if not found:
        raise DamagedMedia(f"`{name}` is damaged: no cell in it can be read")
