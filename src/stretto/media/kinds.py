"""What a content is, told by its first bytes, and whether that fits what it claims to be.

Knows neither files nor URLs; decodes nothing.
"""

import re
from pathlib import PurePosixPath
from typing import Literal

from stretto.errors import DamagedMedia, UnsupportedMedia

Family = Literal["picture", "recording", "document"]

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff")
RECORDINGS = ("audio/wav", "audio/mpeg", "audio/ogg", "audio/flac", "audio/mp4")
TEXTS = (
    "text/plain",
    "text/markdown",
    "text/html",
    "text/csv",
    "application/json",
    "application/yaml",
    "application/xml",
)

ALLOWED: dict[Family, str] = {
    "picture": "PNG, JPEG, GIF, WebP, BMP, TIFF",
    "recording": "WAV, MP3, Ogg, FLAC, M4A",
    "document": "PDF and UTF-8 text (plain, Markdown, HTML, CSV, JSON, YAML, XML)",
}

_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!", "application/vnd.rar"),
    (b"\x7fELF", "application/x-executable"),
    (b"MZ", "application/x-executable"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"\0\0\x01\0", "image/x-icon"),
    (b"\xd0\xcf\x11\xe0", "application/x-ole-storage"),
    (b"SQLite format 3\0", "application/vnd.sqlite3"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_EXTENSIONS = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "jpe": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "svg": "image/svg+xml",
    "heic": "image/heic",
    "avif": "image/avif",
    "pdf": "application/pdf",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "oga": "audio/ogg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "mp4": "audio/mp4",
    "txt": "text/plain",
    "text": "text/plain",
    "log": "text/plain",
    "md": "text/markdown",
    "markdown": "text/markdown",
    "html": "text/html",
    "htm": "text/html",
    "csv": "text/csv",
    "json": "application/json",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "xml": "application/xml",
    "zip": "application/zip",
    "docx": "application/zip",
    "xlsx": "application/zip",
    "pptx": "application/zip",
}
_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "application/x-pdf": "application/pdf",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "audio/opus": "audio/ogg",
    "application/ogg": "audio/ogg",
    "audio/x-flac": "audio/flac",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "text/x-markdown": "text/markdown",
    "text/json": "application/json",
    "text/yaml": "application/yaml",
    "text/xml": "application/xml",
    "application/octet-stream": "",
    "binary/octet-stream": "",
}


def kind_of(data: bytes) -> str:
    """The media type by content; `text/plain` or `text/html` for UTF-8 text; empty when it is not known."""
    if data[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(data[8:12], "")
    if data[4:8] == b"ftyp":
        return _iso_kind(data)
    if data.startswith(b"%PDF-") or (b"%PDF-" in data[:1024] and not _text(data)):
        return "application/pdf"
    for prefix, kind in _PREFIXES:
        if data.startswith(prefix) and not (prefix.isalnum() and _text(data)):
            return kind
    if len(data) > 3 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2 and data[2] & 0xF0 != 0xF0:
        return "audio/mpeg"  # a frame of layer III
    return _text(data)


def claimed_kind(declared: str, name: str) -> str:
    """What a content claims to be: its declared type, else what its name's ending stands for; else empty."""
    plain = declared.partition(";")[0].strip().lower()
    plain = _ALIASES.get(plain, plain)
    return plain or _EXTENSIONS.get(PurePosixPath(name).suffix[1:].lower(), "")


def check_kind(data: bytes, *, declared: tuple[str, ...], name: str, label: str) -> tuple[str, Family]:
    """The media type of a content that is accepted, and its family.

    Args:
        data: The content.
        declared: The types it was sent as; empty texts claim nothing.
        name: Its file name, or an empty text.
        label: What an error calls it.

    Raises:
        UnsupportedMedia: Its kind is not accepted, or it is not what its type or its name's ending says.
        DamagedMedia: It is empty, or a text that is not UTF-8.
    """
    if not data:
        raise DamagedMedia(f"{label} is empty")
    found = kind_of(data)
    claims = [*filter(None, (*(claimed_kind(each, "") for each in declared), claimed_kind("", name)))]
    for claim in claims:
        if _is_text(claim) and not found:
            raise DamagedMedia(f"{label} is not UTF-8 text; save it as UTF-8")
        if claim != found and not (_is_text(claim) and _is_text(found)):
            raise UnsupportedMedia(
                f"{label} says that it is {claim}, and its content is {found or 'of no known kind'}; "
                "give it its true type and ending"
            )
    kind = claims[0] if claims and _is_text(found) else found
    if kind in PICTURES:
        return kind, "picture"
    if kind in RECORDINGS:
        return kind, "recording"
    if kind == "application/pdf" or _is_text(kind):
        return kind, "document"
    raise UnsupportedMedia(
        f"{label} is {kind or 'of no known kind'}; allowed are pictures ({ALLOWED['picture']}), "
        f"recordings ({ALLOWED['recording']}) and documents ({ALLOWED['document']})"
    )


def _is_text(kind: str) -> bool:
    return kind.startswith("text/") or kind in TEXTS


def _text(data: bytes) -> str:
    if b"\0" in data[:4096]:
        return ""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return ""
    head = text[:4096].lstrip().lower()
    if "\0" in text or any(ord(mark) < 9 for mark in head):
        return ""
    if "<svg" in head and head.startswith(("<svg", "<?xml", "<!--", "<!doctype svg")):
        return "image/svg+xml"
    return "text/html" if head.startswith(("<!doctype html", "<html")) else "text/plain"


def _iso_kind(data: bytes) -> str:
    brand = data[8:12]
    if brand in (b"heic", b"heix", b"mif1", b"msf1", b"heim", b"hevc"):
        return "image/heic"
    if brand in (b"avif", b"avis"):
        return "image/avif"
    return "video/mp4" if re.search(rb"hdlr.{8}vide", data, re.DOTALL) else "audio/mp4"
