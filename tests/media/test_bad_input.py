"""Bad input by class: exactly our error, which names the source and says what is allowed."""

import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from tests.media import makers

from stretto.errors import (
    DamagedMedia,
    MediaError,
    MediaNotFound,
    MediaTooLarge,
    UnsafeAddress,
    UnsupportedMedia,
)
from stretto.media.intake import take_in
from stretto.media.limits import MediaLimits
from stretto.media.store import DirectoryStore
from stretto.messages import Audio, File, Image, Message, ToolResult

SMALL = MediaLimits(bytes=200_000, frames=10, pages=3, seconds=2)
ALL = (
    "allowed are pictures (PNG, JPEG, GIF, WebP, BMP, TIFF), recordings (WAV, MP3, Ogg, FLAC, M4A) "
    "and documents (PDF and UTF-8 text"
)


def zipped() -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "hello")
    return out.getvalue()


def locked_pdf() -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    out = BytesIO()
    canvas = Canvas(out, encrypt="secret")
    canvas.drawString(100, 100, "hello")
    canvas.save()
    return out.getvalue()


def progressive(scans: int) -> bytes:
    plain = makers.picture("JPEG")
    return plain[:-2] + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" * scans + b"\xff\xd9"


PNG, JPEG, SVG = makers.picture(), makers.picture("JPEG"), b"<svg xmlns='http://www.w3.org/2000/svg'></svg>"

# name of the file, its content, the part that is made of it, the class, what the message says besides
FILES: list[tuple[str, bytes | Callable[[], bytes], type, type[MediaError], str]] = [
    ("cut.png", PNG[: len(PNG) // 2], Image, DamagedMedia, "damaged or cut off"),
    ("cut.jpg", makers.picture("JPEG", (400, 300))[:700], Image, DamagedMedia, "damaged or cut off"),
    ("cut.webp", makers.picture("WEBP", (200, 200))[:60], Image, DamagedMedia, "damaged or cut off"),
    ("cut.gif", makers.picture("GIF", (200, 200), "L")[:60], Image, DamagedMedia, "damaged or cut off"),
    ("cut.bmp", makers.picture("BMP", (200, 200))[:2000], Image, DamagedMedia, "damaged or cut off"),
    ("cut.tiff", makers.picture("TIFF", (200, 200))[:2000], Image, DamagedMedia, "damaged or cut off"),
    ("head.png", PNG[:8], Image, DamagedMedia, "damaged or cut off"),
    ("flipped.png", PNG[:40] + bytes(255 - b for b in PNG[40:80]) + PNG[80:], Image, DamagedMedia, "damaged"),
    ("bomb.png", makers.bomb, Image, MediaTooLarge, "9000 x 9000 pixels; allowed are 50000000"),
    ("huge.png", lambda: makers.bomb(200_000, held=1), Image, MediaTooLarge, "allowed are 50000000"),
    (
        "noise.png",
        bytes(range(128, 256)),
        Image,
        UnsupportedMedia,
        "image/png, and its content is of no known kind",
    ),
    ("zip.png", zipped, Image, UnsupportedMedia, "its content is application/zip"),
    ("jpeg.png", JPEG, Image, UnsupportedMedia, "its content is image/jpeg; give it its true type"),
    ("png.pdf", PNG, File, UnsupportedMedia, "its content is image/png"),
    ("text.png", b"hello", Image, UnsupportedMedia, "its content is text/plain"),
    ("png.txt", PNG, File, UnsupportedMedia, "says that it is text/plain, and its content is image/png"),
    ("program", b"\x7fELF" + bytes(100), File, UnsupportedMedia, ALL),
    ("letter.docx", zipped, File, UnsupportedMedia, ALL),
    ("drawing.svg", SVG, Image, UnsupportedMedia, ALL),
    ("drawing", b"<?xml version='1.0'?><!-- x --><svg/>", File, UnsupportedMedia, ALL),
    ("drawing.xml", SVG, File, UnsupportedMedia, "its content is image/svg+xml"),
    ("phone.heic", b"\0\0\0\x18ftypheic" + bytes(100), Image, UnsupportedMedia, ALL),
    ("film.m4a", makers.m4a(handler=b"vide"), Audio, UnsupportedMedia, "its content is video/mp4"),
    ("empty.png", b"", Image, DamagedMedia, "is empty"),
    ("long.gif", makers.animation(11), Image, MediaTooLarge, "allowed are 10"),
    ("long.webp", makers.animation(11, "WEBP"), Image, MediaTooLarge, "allowed are 10"),
    ("long.png", makers.animation(11, "PNG"), Image, MediaTooLarge, "allowed are 10"),
    ("long.tiff", makers.animation(12, "TIFF"), Image, MediaTooLarge, "allowed are 10"),
    ("scans.jpg", progressive(101), Image, MediaTooLarge, "more than 100 scans"),
    ("big.bmp", makers.picture("BMP", (300, 300)), Image, MediaTooLarge, "allowed are 200000"),
    ("paper.pdf", makers.pdf(1), Image, UnsupportedMedia, "send this as File(...)"),
    (
        "note.md",
        b"# hello",
        Audio,
        UnsupportedMedia,
        "allowed are WAV, MP3, Ogg, FLAC, M4A; send this as File",
    ),
    ("four.pdf", makers.pdf(4), File, MediaTooLarge, "4 pages; allowed are 3"),
    ("bad.pdf", b"%PDF-1.7\nnothing", File, DamagedMedia, "cannot be opened as a PDF"),
    ("locked.pdf", locked_pdf, File, UnsupportedMedia, "locked by a password"),
    ("latin.txt", "caf\xe9".encode("latin-1"), File, DamagedMedia, "is not UTF-8 text; save it as UTF-8"),
    ("wide.md", "hello".encode("utf-16"), File, DamagedMedia, "is not UTF-8 text"),
    ("cut.wav", makers.wav()[:-100], Audio, DamagedMedia, "damaged or cut off"),
    ("cut.m4a", makers.m4a()[:-4], Audio, DamagedMedia, "damaged or cut off"),
    ("cut.flac", makers.flac()[:20], Audio, DamagedMedia, "damaged or cut off"),
    ("cut.ogg", makers.ogg(48_000, makers.OPUS)[:-5], Audio, DamagedMedia, "damaged or cut off"),
    ("one.mp3", makers.mp3(1), Audio, DamagedMedia, "damaged or cut off"),
    ("long.mp3", makers.mp3(200), Audio, MediaTooLarge, "5 seconds long; allowed are 2"),
]


async def refused(part: Image | Audio | File, limits: MediaLimits, store: DirectoryStore) -> MediaError:
    with pytest.raises(MediaError) as error:
        await take_in(Message.user(part), store, limits)
    assert not store.path.exists(), "nothing of it is kept"
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None, (
        "no foreign traceback is shown"
    )
    assert "\n" not in str(error.value)
    return error.value


@pytest.mark.parametrize(("name", "content", "part", "kind", "said"), FILES, ids=[row[0] for row in FILES])
async def test_a_bad_file_is_told_by_class(
    tmp_path: Path,
    store: DirectoryStore,
    name: str,
    content: bytes | Callable[[], bytes],
    part: type,
    kind: type,
    said: str,
):
    path = tmp_path / name
    path.write_bytes(content() if callable(content) else content)
    error = await refused(part(path), SMALL, store)
    assert type(error) is kind, error
    assert str(path) in str(error)
    assert said in str(error)


URLS = [
    "http://127.0.0.1/x",
    "http://127.1/x",
    "http://0x7f000001/x",
    "http://2130706433/x",
    "http://0177.0.0.1/x",
    "http://localhost/x",
    "http://[::1]/x",
    "http://[::ffff:127.0.0.1]/x",
    "http://[::ffff:10.0.0.1]/x",
    "http://[64:ff9b::7f00:1]/x",
    "http://[2002:7f00:1::]/x",
    "http://10.1.2.3/x",
    "http://192.168.0.1/x",
    "http://169.254.169.254/latest/meta-data",
    "http://100.64.0.1/x",
    "http://0.0.0.0/x",
    "http://0/x",
    "http://224.0.0.1/x",
    "http://255.255.255.255/x",
    "http://[fe80::1]/x",
    "http://[fc00::1]/x",
    "http://[ff02::1]/x",
    "http://①②⑦.0.0.1/x",
    "https://user:hunter22@example.org/x",
    "file:///etc/passwd",
    "ftp://example.org/x",
    "gopher://127.0.0.1/x",
]


@pytest.mark.parametrize("url", URLS)
async def test_a_url_that_leads_inside_is_refused(store: DirectoryStore, url: str):
    error = await refused(Image(url), SMALL, store)
    assert type(error) is UnsafeAddress, error
    assert "only" in str(error)
    assert "allowed" in str(error)
    assert "hunter22" not in str(error)


@pytest.mark.parametrize(
    ("source", "kind", "said"),
    [
        ("nowhere.png", MediaNotFound, "check the path"),
        ("~nobody-of-this-name/x.png", MediaNotFound, "check the path"),
        ("a\0b.png", MediaNotFound, "check the path"),
        ("x" * 5000, MediaNotFound, "check the path"),
        (".", UnsupportedMedia, "give the path of a file"),
        ("/dev/zero", UnsupportedMedia, "give the path of a file"),
        ("", UnsupportedMedia, "give the path of a file"),
        ("http://", MediaNotFound, "names no host"),
        ("http://nowhere.invalid/x.png", MediaNotFound, "is not known"),
        ("http://example.org:99999/x.png", MediaNotFound, "is no URL"),
        ("data:image/png;base64,????", DamagedMedia, "not valid base64; allowed are A-Z"),
        ("data:image/png;base64,iVBORw0", DamagedMedia, "not valid base64"),
        ("data:image/png,abc", DamagedMedia, "write data:<type>/<subtype>;base64,<content>"),
        ("data:;base64,AAAA", DamagedMedia, "write data:<type>/<subtype>;base64,<content>"),
        ("data:image/png;base64,", DamagedMedia, "is empty"),
        ("data:image/png;base64,aGVsbG8=", UnsupportedMedia, "its content is text/plain"),
        ("data:image/png;base64," + "A" * 300_000, MediaTooLarge, "allowed are 200000"),
        ("media:abc", MediaNotFound, "check the path"),
    ],
)
async def test_a_source_without_content_is_told_by_class(
    store: DirectoryStore, source: str, kind: type, said: str
):
    error = await refused(Image(source), SMALL, store)
    assert type(error) is kind, error
    assert said in str(error)


async def test_a_pipe_is_refused_without_waiting(tmp_path: Path, store: DirectoryStore):
    os.mkfifo(tmp_path / "pipe.png")
    error = await refused(Image(tmp_path / "pipe.png"), SMALL, store)
    assert type(error) is UnsupportedMedia


async def test_a_file_that_may_not_be_read_is_told(
    tmp_path: Path, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "private.png"
    path.write_bytes(PNG)
    path.chmod(0)
    if os.geteuid() == 0:  # root may read everything: let the system say what it would say to others

        def refuse(*_: object) -> int:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr("stretto.media.sources.os.open", refuse)
    error = await refused(Image(path), SMALL, store)
    assert type(error) is MediaNotFound
    assert f"`{path}` cannot be read: Permission denied" in str(error)


async def test_paths_can_be_forbidden(tmp_path: Path, store: DirectoryStore):
    (tmp_path / "a.png").write_bytes(PNG)
    error = await refused(Image(tmp_path / "a.png"), replace(SMALL, local_files=False), store)
    assert type(error) is UnsupportedMedia
    assert "paths are not allowed here" in str(error)


async def test_the_file_name_and_type_of_an_upload_must_fit_its_content(store: DirectoryStore):
    for part in (
        Image.from_bytes(PNG, "image/png", name="photo.jpg"),
        Image.from_bytes(PNG, "image/jpeg"),
        File.from_bytes(PNG, "application/pdf", name="bill.pdf"),
    ):
        assert type(await refused(part, SMALL, store)) is UnsupportedMedia


async def test_bad_media_inside_a_tool_result_is_refused_too(store: DirectoryStore):
    with pytest.raises(DamagedMedia):
        await take_in(Message.tool(ToolResult("a", (Image.from_bytes(PNG[:50], "image/png"),))), store)
