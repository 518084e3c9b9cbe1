"""Small sound documents made by hand, for tests of what reads them: DOCX, PPTX, XLSX, PDF, mail, zip.

Needs no package that writes such files. Each function returns bytes; `packed` is what damage is done to.
"""

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from email.message import EmailMessage
from xml.sax.saxutils import escape

Block = str | tuple[int, str] | Sequence[Sequence[str]]
"""A paragraph, a heading with its level, or the rows of a table."""

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_SCHEMAS = "http://schemas.openxmlformats.org"
_W = f'xmlns:w="{_SCHEMAS}/wordprocessingml/2006/main"'
_R = f'xmlns:r="{_SCHEMAS}/officeDocument/2006/relationships"'
_A = f'xmlns:a="{_SCHEMAS}/drawingml/2006/main" xmlns:p="{_SCHEMAS}/presentationml/2006/main" {_R}'
_S = f'xmlns="{_SCHEMAS}/spreadsheetml/2006/main" {_R}'
_KINDS = f"{_SCHEMAS}/officeDocument/2006/relationships"
_PACKAGE = f"{_SCHEMAS}/package/2006"


def packed(members: Mapping[str, bytes | str], *, stored: bool = False) -> bytes:
    """A zip of these members, in this order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(zipfile.ZipInfo(name), content, made.compression)
    return buffer.getvalue()


def docx(blocks: Iterable[Block], *, inside: str = "") -> bytes:
    """A DOCX of these blocks; `inside` is put at the end of its body as it is."""
    body = "".join(map(_word, blocks)) + inside
    return packed(docx_members(f"{_HEAD}<w:document {_W}><w:body>{body}</w:body></w:document>"))


def docx_members(document: str) -> dict[str, bytes | str]:
    """The members of a DOCX around `word/document.xml`."""
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="H{level}"><w:name w:val="heading {level}"/></w:style>'
        for level in range(1, 7)
    )
    return {
        "[Content_Types].xml": f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types"/>',
        "word/document.xml": document,
        "word/styles.xml": f"{_HEAD}<w:styles {_W}>{styles}</w:styles>",
    }


def _word(block: Block) -> str:
    if isinstance(block, str):
        return f'<w:p><w:r><w:t xml:space="preserve">{escape(block)}</w:t></w:r></w:p>'
    if isinstance(block, tuple) and len(block) == 2 and isinstance(block[0], int):
        style = f'<w:pPr><w:pStyle w:val="H{block[0]}"/></w:pPr>'
        return f"<w:p>{style}<w:r><w:t>{escape(str(block[1]))}</w:t></w:r></w:p>"
    rows = "".join(
        f"<w:tr>{''.join(f'<w:tc>{_word(cell)}</w:tc>' for cell in row)}</w:tr>"
        for row in block
        if not isinstance(row, int)
    )
    return f"<w:tbl>{rows}</w:tbl>"


def pptx(slides: Sequence[tuple[str, Sequence[str]]], *, hidden: Sequence[int] = ()) -> bytes:
    """A PPTX: each slide has a title and lines; `hidden` slides count from 0."""
    count = range(1, len(slides) + 1)
    ids = "".join(f'<p:sldId id="{255 + n}" r:id="rId{n}"/>' for n in count)
    size = '<p:sldSz cx="9144000" cy="6858000"/>'
    members: dict[str, bytes | str] = {
        "[Content_Types].xml": f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types"/>',
        "ppt/presentation.xml": f"{_HEAD}<p:presentation {_A}><p:sldIdLst>{ids}</p:sldIdLst>{size}"
        "</p:presentation>",
        "ppt/_rels/presentation.xml.rels": _relations(
            [(f"rId{n}", "slide", f"slides/slide{n}.xml") for n in count]
        ),
    }
    for n, (title, lines) in enumerate(slides, 1):
        show = ' show="0"' if n - 1 in hidden else ""
        shapes = _shape([title], '<p:ph type="title"/>', 0) + _shape(lines, "", 1)
        members[f"ppt/slides/slide{n}.xml"] = (
            f"{_HEAD}<p:sld {_A}{show}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
        )
    return packed(members)


def _shape(lines: Sequence[str], place: str, row: int) -> str:
    paragraphs = "".join(f"<a:p><a:r><a:t>{escape(line)}</a:t></a:r></a:p>" for line in lines)
    where = f'<a:off x="914400" y="{685800 + 1371600 * row}"/><a:ext cx="4572000" cy="1371600"/>'
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="{row + 2}" name=""/><p:cNvSpPr/><p:nvPr>{place}</p:nvPr></p:nvSpPr>'
        f"<p:spPr><a:xfrm>{where}</a:xfrm></p:spPr><p:txBody><a:bodyPr/>{paragraphs}</p:txBody></p:sp>"
    )


def xlsx(sheets: Mapping[str, Sequence[Sequence[str]]], *, hidden: Sequence[str] = ()) -> bytes:
    """An XLSX: each sheet by its name, its rows as texts."""
    return packed(xlsx_members(sheets, hidden=hidden))


def xlsx_members(
    sheets: Mapping[str, Sequence[Sequence[str]]], *, hidden: Sequence[str] = ()
) -> dict[str, bytes | str]:
    """The members of such a workbook; its texts stand in `xl/sharedStrings.xml`."""
    texts: dict[str, int] = {}
    pages: dict[str, bytes | str] = {}
    for n, rows in enumerate(sheets.values(), 1):
        lines: list[str] = []
        for r, row in enumerate(rows, 1):
            cells = "".join(
                f'<c r="{chr(65 + c)}{r}" t="s"><v>{texts.setdefault(cell, len(texts))}</v></c>'
                for c, cell in enumerate(row)
            )
            lines.append(f'<row r="{r}">{cells}</row>')
        pages[f"xl/worksheets/sheet{n}.xml"] = (
            f"{_HEAD}<worksheet {_S}><sheetData>{''.join(lines)}</sheetData></worksheet>"
        )
    names = "".join(
        f'<sheet name="{escape(name)}" sheetId="{n}" r:id="rId{n}"{_state(name, hidden)}/>'
        for n, name in enumerate(sheets, 1)
    )
    strings = "".join(f"<si><t>{escape(text)}</t></si>" for text in texts)
    main = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = [("/xl/workbook.xml", "sheet.main"), ("/xl/sharedStrings.xml", "sharedStrings")]
    parts += [(f"/{page}", "worksheet") for page in pages]
    kinds = "".join(f'<Override PartName="{part}" ContentType="{main}.{kind}+xml"/>' for part, kind in parts)
    default = (
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    )
    links = [(f"rId{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)]
    links.append((f"rId{len(sheets) + 1}", "sharedStrings", "sharedStrings.xml"))
    return {
        "[Content_Types].xml": f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">{default}{kinds}</Types>',
        "_rels/.rels": _relations([("rId1", "officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f"{_HEAD}<workbook {_S}><sheets>{names}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": _relations(links),
        "xl/sharedStrings.xml": f"{_HEAD}<sst {_S}>{strings}</sst>",
        **pages,
    }


def _state(name: str, hidden: Sequence[str]) -> str:
    return ' state="hidden"' if name in hidden else ""


def _relations(links: Iterable[tuple[str, str, str]]) -> str:
    inside = "".join(
        f'<Relationship Id="{key}" Type="{_KINDS}/{kind}" Target="{target}"/>' for key, kind, target in links
    )
    return f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{inside}</Relationships>'


def pdf(pages: Sequence[Sequence[str]]) -> bytes:
    """A PDF: each page has these lines. Text only, ASCII, not packed."""
    first = 4
    kids = " ".join(f"{first + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, lines in enumerate(pages):
        shown = " ".join(f"({_plain(line)}) Tj T*" for line in lines)
        content = f"BT /F1 11 Tf 14 TL 60 780 Td {shown} ET"
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {first + 2 * n + 1} 0 R >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    made, places = bytearray(b"%PDF-1.4\n"), list[int]()
    for n, text in enumerate(objects, 1):
        places.append(len(made))
        made += f"{n} 0 obj\n{text}\nendobj\n".encode("latin-1", "replace")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n"
    size = f"<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(made)}\n%%EOF\n"
    return bytes(made) + (end + size).encode()


def _plain(line: str) -> str:
    return line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def mail(subject: str, text: str, attached: Mapping[str, bytes] | None = None, *, html: str = "") -> bytes:
    """A mail with a text, the same as HTML where that is given, and attachments by name."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, "ada@example.com", "bob@example.com"
    message["Date"] = "Mon, 02 Mar 2026 09:00:00 +0000"
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    for name, content in (attached or {}).items():
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return bytes(message)
