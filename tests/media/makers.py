"""Content for the media tests, made by code."""

import io
import struct
import wave
import zlib
from typing import Any

import pypdfium2
from PIL import Image


def picture(form: str = "PNG", size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: Any) -> bytes:
    """A picture whose left half is red (or dark)."""
    image = Image.new(mode, size)
    image.paste({"RGB": (255, 0, 0), "RGBA": (255, 0, 0, 255)}.get(mode, 1), (0, 0, size[0] // 2, size[1]))
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def turned(orientation: int, **gps: Any) -> bytes:
    """A JPEG with an EXIF orientation and a position."""
    exif = Image.Exif()
    exif[274] = orientation
    exif.get_ifd(0x8825)[1] = "N"
    exif[0x010F] = "Camera of Ann"
    return picture("JPEG", exif=exif, quality=95)


def animation(frames: int, form: str = "GIF", size: tuple[int, int] = (8, 8)) -> bytes:
    """An animation whose frames differ."""
    images = [Image.new("L", size, number * 61 % 256) for number in range(frames)]
    out = io.BytesIO()
    images[0].save(out, form, save_all=True, append_images=images[1:])
    return out.getvalue()


def bomb(side: int = 9000, *, held: int | None = None) -> bytes:
    """A small PNG that claims side x side pixels, and holds them, or only the first `held` rows."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * ((side // 8 + 1) * (side if held is None else held)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def pdf(pages: int = 1) -> bytes:
    """A PDF of empty pages."""
    document: Any = pypdfium2.PdfDocument.new()
    for _ in range(pages):
        document.new_page(200, 200)
    out = io.BytesIO()
    document.save(out)
    document.close()
    return out.getvalue()


def wav(seconds: float = 0.5, rate: int = 8000) -> bytes:
    """Silence."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(b"\0\0" * int(seconds * rate))
    return out.getvalue()


def mp3(frames: int = 50) -> bytes:
    """Empty frames of MPEG 1 layer III at 128 kbit/s and 44.1 kHz."""
    return (b"\xff\xfb\x90\x00" + b"\0" * 413) * frames


def flac(samples: int = 88_200, rate: int = 44_100) -> bytes:
    """A head with its STREAMINFO."""
    packed = rate << 44 | 1 << 41 | 15 << 36 | samples
    return b"fLaC" + b"\x80\0\0\x22" + b"\0" * 10 + packed.to_bytes(8, "big") + b"\0" * 16


def ogg(granule: int, first: bytes) -> bytes:
    """Two pages: the codec's head and an end that tells the length."""

    def page(kind: int, position: int, body: bytes) -> bytes:
        return (
            b"OggS\0"
            + bytes([kind])
            + struct.pack("<qIIIB", position, 1, 0, 0, 1)
            + bytes([len(body)])
            + body
        )

    return page(2, 0, first) + page(4, granule, b"\0" * 20)


OPUS = b"OpusHead\x01\x01" + struct.pack("<HIhB", 312, 48_000, 0, 0)
VORBIS = b"\x01vorbis" + struct.pack("<IBIiiiBB", 0, 1, 22_050, 0, 0, 0, 0xB8, 1)


def m4a(seconds: int = 3, handler: bytes = b"soun") -> bytes:
    """The container's boxes without sound."""

    def box(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", len(body) + 8, name) + body

    mvhd = box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 1000, seconds * 1000) + b"\0" * 80)
    hdlr = box(b"hdlr", b"\0" * 8 + handler + b"\0" * 12)
    return (
        box(b"ftyp", b"M4A \0\0\0\0isom") + box(b"moov", mvhd + box(b"trak", hdlr)) + box(b"mdat", b"\0" * 9)
    )
