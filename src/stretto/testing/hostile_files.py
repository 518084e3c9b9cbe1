"""Files that harm whoever reads them carelessly: bombs, escapes, nesting, disguises, floods. Seeded.

`hostile_files(count)` gives them one by one, every third one damaged and still readable. Sizes go by the
default `IngestLimits`. `python -m stretto.testing.hostile_files FOLDER COUNT` writes them.
"""

import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from stretto.errors import DamagedMedia, MediaTooLarge, UnsupportedMedia
from stretto.testing.damaged_files import RECIPES as DAMAGED
from stretto.testing.damaged_files import HostileFile, lines, words
from stretto.testing.office_files import docx, docx_members, packed, pdf, xlsx_members

_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
_ENTITIES = f'<!DOCTYPE lolz [<!ENTITY l0 "lol">{_LAUGHS}]>'


def zip_bomb(random: Random) -> HostileFile:
    """A member that unpacks to a thousand times its size, under the name of what people send."""
    name = random.choice(("bomb.zip", "bomb.docx", "bomb.xlsx"))
    inside = {"bomb.zip": "a.txt", "bomb.docx": "word/document.xml", "bomb.xlsx": "xl/workbook.xml"}[name]
    return HostileFile(
        name, packed({inside: "0" * random.randint(20_000_000, 60_000_000)}), error=MediaTooLarge
    )


def bomb_of_bombs(random: Random) -> HostileFile:
    """Bombs inside archives inside archives."""
    data = packed({"a.txt": "0" * 20_000_000})
    for _ in range(random.randint(1, 6)):
        data = packed({f"{n}.zip": data for n in range(random.randint(1, 4))}, stored=True)
    return HostileFile("nested.zip", data, error=MediaTooLarge)


def overlapping_members(random: Random) -> HostileFile:
    """A directory with many names for one and the same packed bytes."""
    size = random.randint(2_000_000, 8_000_000)
    data = packed({"a.txt": "0" * size})
    place = data.index(b"PK\x01\x02")
    entry = data[place : data.index(b"PK\x05\x06")]
    count = 300_000_000 // size + 1
    many = b"".join(entry.replace(b"a.txt", f"{n:05}".encode()) for n in range(count))
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, len(many), place, 0)
    return HostileFile("overlap.zip", data[:place] + many + end, error=MediaTooLarge)


def too_many_members(random: Random) -> HostileFile:
    """More files than anyone packs by hand."""
    count = random.randint(2_001, 4_000)
    return HostileFile("many.zip", packed({f"{n}.txt": "x" for n in range(count)}), error=MediaTooLarge)


def endless_nesting(random: Random) -> HostileFile:
    """Archives inside each other, or a mail with more parts than a newsletter."""
    if random.random() < 0.5:
        return HostileFile("parts.eml", _many_parts(random), error=MediaTooLarge)
    data = packed({"words.md": "words"})
    for _ in range(random.randint(4, 12)):
        data = packed({"inner.zip": data})
    return HostileFile("deep.zip", data, error=MediaTooLarge)


def _many_parts(random: Random) -> bytes:
    head = b'From: a@b.c\nContent-Type: multipart/mixed; boundary="b"\n\n'
    return head + b"--b\nContent-Type: text/plain\n\nx\n" * random.randint(2_100, 3_000) + b"--b--\n"


def escapes(random: Random) -> HostileFile:
    """Members whose names lead out of the folder that they would be unpacked to."""
    names = ["../../etc/cron.md", "/etc/passwd.txt", "C:\\Windows\\a.txt", "a/../../b.md", "..\\..\\c.txt"]
    chosen = random.sample(names, random.randint(1, len(names)))
    return HostileFile("escape.zip", packed(dict.fromkeys(chosen, "evil")), error=UnsupportedMedia)


def entities(random: Random) -> HostileFile:
    """Entities that expand to a billion words, or read a file of the machine."""
    outside = '<!DOCTYPE x [<!ENTITY l9 SYSTEM "file:///etc/passwd">]>'
    xml = f'{random.choice((_ENTITIES, outside))}<w:document xmlns:w="w"><w:t>&l9;</w:t></w:document>'
    if random.random() < 0.5:
        return HostileFile("laughs.docx", packed(docx_members(xml)), error=UnsupportedMedia)
    members = xlsx_members({"Sheet": [["a", "b"], ["1", "2"]]})
    return HostileFile(
        "laughs.xlsx", packed({**members, "xl/sharedStrings.xml": xml}), error=UnsupportedMedia
    )


def pixel_bomb(random: Random) -> HostileFile:
    """A picture of a few bytes that says it is as large as a field."""
    width, height = random.randint(20_000, 100_000), random.randint(20_000, 100_000)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(100_000))
    return HostileFile(
        "field.png",
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""),
        error=MediaTooLarge,
    )


def flood(random: Random) -> HostileFile:
    """A file with far more text than a document has."""
    line = ",".join(words(random, 5)).encode() + b"\n"
    name = random.choice(("flood.csv", "flood.txt", "flood.jsonl", "flood.html", "flood.md"))
    return HostileFile(name, line * (9_000_000 // len(line)), error=MediaTooLarge)


def too_many_pages(random: Random) -> HostileFile:
    """A PDF of more pages than a book."""
    return HostileFile("book.pdf", pdf([["x"]] * random.randint(1_001, 1_300)), error=MediaTooLarge)


def deep_data(random: Random) -> HostileFile:
    """Brackets or elements inside each other, without an end."""
    depth = random.randint(5_000, 200_000)
    data, name = random.choice(((b"[", "deep.json"), (b'{"a":', "deep.json"), (b"<div>", "deep.html")))
    return HostileFile(name, data * depth + b"x", error=DamagedMedia)


def disguised(random: Random) -> HostileFile:
    """Content under the ending of another kind."""
    noise = random.randbytes(random.randint(600, 4_000))
    contents = (
        b"\x7fELF\x02\x01" + noise,
        b"MZ\x90\x00" + noise,
        bytes(200) + noise,
        b"\xd0\xcf\x11\xe0" + noise,
    )
    suffix = random.choice(["docx", "xlsx", "pptx", "pdf", "zip", "md", "txt", "csv", "html", "json", "py"])
    return HostileFile(f"report.{suffix}", random.choice(contents), error=UnsupportedMedia)


def empty(random: Random) -> HostileFile:
    """Nothing, white space, or a frame with nothing in it."""
    name, data = random.choice((
        ("a.md", b""), ("a.txt", b" \n\t "), ("a.html", b"<script>x()</script>"), ("a.docx", b""),
        ("a.pdf", pdf([[]])), ("a.docx", docx([])), ("a.csv", b"\n\n"), ("a.json", b""), ("a.eml", b""),
    ))  # fmt: skip
    return HostileFile(name, data, error=DamagedMedia)


def cut_to_the_bone(random: Random) -> HostileFile:
    """A file that breaks off before anything that could be read."""
    whole = pdf([lines(words(random, 40))])
    picture = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00"
    office = docx(lines(words(random, 40)))
    name, data = random.choice((
        ("cut.pdf", whole[: random.randint(20, 60)]),
        ("cut.png", picture + random.randbytes(3)),
        ("cut.docx", office[: office.index(b"word/document.xml") - 30]),
        ("cut.eml", b"no head of any mail"),
    ))  # fmt: skip
    return HostileFile(name, data, error=DamagedMedia)


def locked(random: Random) -> HostileFile:
    """An archive that asks for a password."""
    name = random.choice(("locked.zip", "locked.docx"))
    members: dict[str, bytes | str] = {"a.md": "secret"} if name.endswith("zip") else docx_members("<w/>")
    data = bytearray(packed(members))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(mark)
        while place >= 0:
            data[place + at] |= 1
            place = data.find(mark, place + 4)
    return HostileFile(name, bytes(data), error=UnsupportedMedia)


def nothing_known(random: Random) -> HostileFile:
    """An archive of programs and other things that are no documents."""
    members = {f"{n}.{random.choice(('exe', 'dll', 'so', 'iso'))}": random.randbytes(50) for n in range(5)}
    return HostileFile("programs.zip", packed(members), error=UnsupportedMedia)


HOSTILE: tuple[Callable[[Random], HostileFile], ...] = (
    zip_bomb, bomb_of_bombs, overlapping_members, too_many_members, endless_nesting, escapes, entities,
    pixel_bomb, flood, too_many_pages, deep_data, disguised, empty, cut_to_the_bone, locked, nothing_known,
)  # fmt: skip
"""Each makes one file of which nothing is to be kept."""


def hostile_files(count: int = 2_000, *, seed: int = 0) -> Iterator[HostileFile]:
    """`count` files, made one by one: every third is damaged and readable, the others end in an error.

    Args:
        count: How many.
        seed: Another one makes other files of the same kinds.
    """
    for number in range(count):
        recipes, place = (DAMAGED, number // 3) if number % 3 == 0 else (HOSTILE, number - number // 3 - 1)
        made = recipes[place % len(recipes)](Random(f"{seed}:{number}"))
        yield HostileFile(f"{number:05}_{made.name}", made.data, made.words, made.error)


def main() -> None:
    """Writes the files into a folder."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for file in hostile_files(count):
        (folder / file.name).write_bytes(file.data)


if __name__ == "__main__":
    main()
