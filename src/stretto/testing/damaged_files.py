"""Documents that are damaged and still readable, each with the words that can be read in it. Seeded.

What can be read is worked out here, from how the damage was done, and not by any loader.
"""

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from stretto.errors import StrettoError
from stretto.testing.office_files import docx_members, mail, packed, pdf, pptx, xlsx_members

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class HostileFile:
    """A file and what must become of it."""

    name: str
    data: bytes
    words: tuple[str, ...] = ()
    """What can be read in it; each stands nowhere else."""
    error: type[StrettoError] | None = None
    """What a file of which nothing can be read has to end in."""


def words(random: Random, count: int) -> list[str]:
    """Words that are each like no other."""
    return [f"{''.join(random.choices(_LETTERS, k=5))}{number}x" for number in range(count)]


def lines(found: list[str], per: int = 4) -> list[str]:
    """The words in sentences."""
    return [f"Here stand {' and '.join(found[n : n + per])}." for n in range(0, len(found), per)]


def broken_utf8(random: Random) -> HostileFile:
    """A text with bytes that no UTF-8 holds."""
    found = words(random, 400)
    parts = [line.encode() for line in lines(found, 1)]
    for place in random.sample(range(len(parts)), 12):
        parts[place] = (
            "Zürich é ".encode() + random.choice((b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f")) + parts[place]
        )
    return HostileFile("broken.txt", "Ünïcödé text for all. ".encode() * 8 + b"\n".join(parts), tuple(found))


def zero_bytes(random: Random) -> HostileFile:
    """A text with zero bytes between its lines."""
    found = words(random, 300)
    text = "\n".join(lines(found)).encode()
    for _ in range(random.randint(1, 20)):
        place = text.index(b"\n", random.randrange(len(text) - 100))
        text = text[:place] + b"\x00" + text[place:]
    return HostileFile("zeros.md", text, tuple(found))


def unmarked_utf16(random: Random) -> HostileFile:
    """UTF-16 that says nowhere that it is."""
    found = words(random, 200)
    encoding = random.choice(("utf-16-le", "utf-16-be"))
    return HostileFile("wide.txt", "\n".join(lines(found)).encode(encoding), tuple(found))


def wrong_encoding(random: Random) -> HostileFile:
    """A page that declares an encoding it is not in."""
    found = words(random, 100)
    body = "".join(f"<p>{line} é ü</p>" for line in lines(found))
    head = random.choice(("utf-8", "no-such-thing", "ascii"))
    return HostileFile("page.html", f'<meta charset="{head}">{body}'.encode("cp1252"), tuple(found))


def unclosed_html(random: Random) -> HostileFile:
    """A page whose elements are never closed, or closed by others, and that breaks off."""
    found = words(random, 200)
    tags = ("<div><p>", "</b><td>", "<ul><li>", "<table><tr><td>", "</div></span>", "<h2><b>")
    body = "".join(f"{random.choice(tags)}{line} " for line in lines(found))
    return HostileFile("page.html", (body + "<p class='").encode(), tuple(found))


def cut_docx(random: Random) -> HostileFile:
    """A DOCX that breaks off inside its text."""
    found = words(random, 1600)
    body = "".join(f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" for line in lines(found))
    xml = f'<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>'
    whole = packed(docx_members(xml), stored=random.random() < 0.3)
    start = whole.index(b"word/document.xml") + len("word/document.xml")
    cut = start + int((whole.index(b"word/styles.xml") - start) * random.uniform(0.3, 0.9))
    return HostileFile("cut.docx", whole[:cut], _readable(whole[start:cut], found))


_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def _readable(raw: bytes, found: list[str]) -> tuple[str, ...]:
    """Which of the words stand whole in a piece of a zip, packed or not."""
    if b"<w:document" not in raw:
        raw = zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw)
    text = raw.rpartition(b"</w:t>")[0].decode("utf-8", "ignore")
    return tuple(word for word in found if word in text)


def lost_directory(random: Random) -> HostileFile:
    """An office document or zip without the directory at its end."""
    found = words(random, 200)
    rows = lines(found)
    kind = random.choice(("docx", "pptx", "xlsx", "zip"))
    if kind == "docx":
        body = "".join(f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" for line in rows)
        data = packed(docx_members(f'<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>'))
    elif kind == "pptx":
        data = pptx([(f"Slide {n}", rows[n : n + 5]) for n in range(0, len(rows), 5)])
    elif kind == "xlsx":
        data = packed(xlsx_members({"Sheet": [["word"], *([row] for row in rows)]}))
    else:
        data = packed({f"{n}.txt": row for n, row in enumerate(rows)})
    return HostileFile(f"lost.{kind}", data[: data.index(b"PK\x01\x02")], tuple(found))


def damaged_member(random: Random) -> HostileFile:
    """A zip of which one member is damaged."""
    found = words(random, 400)
    members = {f"{n}.md": " ".join(found[n : n + 20]) for n in range(0, len(found), 20)}
    hit = random.randrange(len(members)) * 20
    data = bytearray(packed(members))
    start = data.index(f"{hit}.md".encode()) + len(f"{hit}.md")
    data[start : start + 20] = random.randbytes(20)
    return HostileFile("one_bad.zip", bytes(data), tuple(found[:hit] + found[hit + 20 :]))


def cut_pdf(random: Random) -> HostileFile:
    """A PDF that breaks off behind some of its pages, or whose table points nowhere."""
    found = words(random, 240)
    pages = [lines(found[n : n + 40]) for n in range(0, len(found), 40)]
    data = pdf(pages)
    if random.random() < 0.5:
        place = data.rindex(b"startxref")
        return HostileFile("table.pdf", data[:place] + b"startxref\n999999\n%%EOF", tuple(found))
    keep = random.randint(2, len(pages))
    cut = [place for place in range(len(data)) if data.startswith(b"endstream\nendobj\n", place)][keep - 1]
    return HostileFile("cut.pdf", data[: cut + 17], tuple(found[: 40 * keep]))


def ragged_csv(random: Random) -> HostileFile:
    """A CSV with rows of many lengths, a quote that is never closed, and zero bytes."""
    found = words(random, 300)
    rows = ["first,second,third"]
    place = 0
    while place < len(found):
        width = random.randint(1, 6)
        rows.append(",".join(found[place : place + width]))
        place += width
    rows[random.randrange(len(rows) // 2, len(rows))] += ',"'
    text = "\r\n".join(rows).encode()
    return HostileFile("ragged.csv", text[:500] + b"\x00" + text[500:], tuple(found))


def broken_json(random: Random) -> HostileFile:
    """JSON that breaks off, or JSON Lines of which some lines are broken."""
    found = words(random, 200)
    if random.random() < 0.5:
        text = '{"words": [' + ", ".join(f'"{word}"' for word in found)
        return HostileFile("cut.json", text.encode(), tuple(found))
    broken = set(random.sample(range(200), 10))
    text = "\n".join(f'{{"word": "{word}"' + ("" if n in broken else "}") for n, word in enumerate(found))
    return HostileFile("lines.jsonl", text.encode(), tuple(found))


def damaged_mail(random: Random) -> HostileFile:
    """A mail that breaks off, without its last border, or with an attachment that cannot be read."""
    found = words(random, 120)
    data = mail("A subject", "\n".join(lines(found)), {"bad.docx": random.randbytes(400)})
    if random.random() < 0.5:
        return HostileFile("mail.eml", data, tuple(found))
    place = data.index(b"bad.docx")
    return HostileFile("mail.eml", data[: place + random.randint(20, 200)], tuple(found))


def damaged_sheet(random: Random) -> HostileFile:
    """A workbook whose sheet breaks off, or whose frame is missing."""
    found = words(random, 200)
    members = xlsx_members({"Sheet": [["word"], *([word] for word in found)]})
    if random.random() < 0.5:
        del members["xl/workbook.xml"]
        return HostileFile("frame.xlsx", packed(members), tuple(found))
    sheet = str(members["xl/worksheets/sheet1.xml"])
    keep = random.randint(50, 199)
    members["xl/worksheets/sheet1.xml"] = sheet[: sheet.index(f'<row r="{keep + 2}">') + 9]
    return HostileFile("cut.xlsx", packed(members), tuple(found[:keep]))


def broken_xml(random: Random) -> HostileFile:
    """A DOCX whose XML is not well formed: a tag left open, a lone ampersand, a control character."""
    found = words(random, 300)
    parts = [f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" for line in lines(found, 2)]
    for place in random.sample(range(10, len(parts)), 3):
        parts[place] = (
            random.choice(("<w:p><w:r><w:t>& alone</w:t></w:r></w:p>", "<w:p>\x0b", "<w:p><w:r>"))
            + parts[place]
        )
    xml = f'<w:document xmlns:w="{_WORD}"><w:body>{"".join(parts)}</w:body></w:document>'
    return HostileFile("xml.docx", packed(docx_members(xml)), tuple(found))


def mixed_mail(random: Random) -> HostileFile:
    """A mail in a charset that nobody knows, packed in base64 with noise between."""
    found = words(random, 120)
    packed_text = base64.encodebytes("\n".join(lines(found)).encode()).decode()
    head = 'From: a@b.c\nSubject: =?x-none?q?odd?=\nContent-Type: text/plain; charset="x-none"\n'
    return HostileFile(
        "odd.eml", f"{head}Content-Transfer-Encoding: base64\n\n{packed_text}".encode(), tuple(found)
    )


RECIPES: tuple[Callable[[Random], HostileFile], ...] = (
    broken_utf8, zero_bytes, unmarked_utf16, wrong_encoding, unclosed_html, cut_docx, lost_directory,
    damaged_member, cut_pdf, ragged_csv, broken_json, damaged_mail, damaged_sheet, broken_xml, mixed_mail,
)  # fmt: skip
"""Each makes one file from a random source."""
