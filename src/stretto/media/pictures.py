"""Opens pictures with care: size before content, first frame only, upright. Knows no message and no store.

Everything here is CPU-bound: call it off the event loop.
"""

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageFile, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from stretto.errors import DamagedMedia, MediaError, MediaTooLarge, UnsupportedMedia
from stretto.media.kinds import ALLOWED, kind_of
from stretto.media.limits import DEFAULT_LIMITS, MediaLimits
from stretto.media.tokens import fitted
from stretto.settings import MediaRules

MAX_SCANS = 100
"""Of a progressive JPEG: each costs a pass over all pixels, and a small file may ask for thousands."""
MAX_SENT = 1_500_000
"""Bytes above which a picture without loss is sent as JPEG."""

# The classes themselves, not Image.open: that warns about size on its own terms and tries other formats.
_FORMATS: dict[str, Any] = {
    "image/png": PngImageFile,
    "image/jpeg": JpegImageFile,
    "image/gif": GifImageFile,
    "image/webp": WebPImageFile,
    "image/bmp": BmpImageFile,
    "image/tiff": TiffImageFile,
}
_HARMLESS = frozenset(
    (
        *("dpi", "gamma", "jfif", "jfif_version", "jfif_unit", "jfif_density", "progressive", "progression"),
        *("adobe", "adobe_transform", "icc_profile", "srgb", "chromaticity", "interlace", "transparency"),
        *("background", "duration", "loop", "version", "extension", "timestamp", "aspect", "default_image"),
    )
)
"""What a picture's head may say without telling anything about who made it, and where."""


def open_picture(
    data: bytes, limits: MediaLimits = DEFAULT_LIMITS, *, label: str = "the picture"
) -> Image.Image:
    """The picture, decoded, upright, in mode L, RGB or RGBA; of an animation the first frame.

    Raises:
        UnsupportedMedia: The content is no picture of an accepted kind.
        MediaTooLarge: More bytes, pixels, frames or scans than allowed; told before decoding.
        DamagedMedia: It cannot be decoded.
    """
    return _upright(_decoded(data, limits, label).image)


@dataclass(frozen=True)
class ForModel:
    """A picture as a model gets it. Sizes are pixels."""

    data: bytes
    media_type: str
    width: int
    height: int


def for_model(
    data: bytes,
    max_side: int,
    limits: MediaLimits = DEFAULT_LIMITS,
    *,
    max_short: int = 0,
    max_pixels: int = 0,
    label: str = "the picture",
) -> ForModel:
    """The picture with no side over `max_side`, upright and without metadata.

    `max_short` bounds the shorter side and `max_pixels` width times height, where they are not 0.

    A PNG, JPEG, GIF or WebP that is so already passes as it is. Else pictures without loss (PNG, GIF, BMP,
    TIFF) and those with transparency become PNG, the others, and PNGs over `MAX_SENT` bytes, JPEG.

    Raises:
        MediaError: As `open_picture`.
    """
    kind = kind_of(data)
    opened = _decoded(data, limits, label, fit=max_side)
    source = opened.image
    bare = opened.frames == 1 and _HARMLESS.issuperset(source.info)
    rules = MediaRules(max_side=max_side, max_short=max_short, max_pixels=max_pixels)
    side = max(fitted(*opened.size, rules))
    if bare and kind not in ("image/bmp", "image/tiff") and max(opened.size) <= side:
        return ForModel(data, kind, *opened.size)
    profile: bytes | None = source.info.get("icc_profile")
    image = _upright(source)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    if image.mode != "RGB":
        profile = None
    if image.mode == "RGBA" or kind not in ("image/jpeg", "image/webp"):
        encoded = _saved(image, "PNG", icc_profile=profile)
        if len(encoded) <= MAX_SENT:
            return ForModel(encoded, "image/png", *image.size)
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    encoded = _saved(image, "JPEG", quality=90, icc_profile=profile)
    return ForModel(encoded, "image/jpeg", *image.size)


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.info = {}
    image.save(out, form, **options)
    return out.getvalue()


@dataclass(frozen=True)
class _Opened:
    image: ImageFile.ImageFile
    size: tuple[int, int]
    """As stored, before a JPEG was read smaller."""
    frames: int


def _decoded(data: bytes, limits: MediaLimits, label: str, *, fit: int | None = None) -> _Opened:
    """The first frame as it is stored; a JPEG may come smaller, but not below `fit`."""
    if len(data) > limits.bytes:
        raise MediaTooLarge(f"{label} has {len(data)} bytes; allowed are {limits.bytes}")
    kind = kind_of(data)
    if kind not in _FORMATS:
        raise UnsupportedMedia(
            f"{label} is no picture but {kind or 'of no known kind'}; allowed are {ALLOWED['picture']}"
        )
    try:
        image: ImageFile.ImageFile = _FORMATS[kind](io.BytesIO(data))
        width, height = image.size
        if width * height > limits.pixels:
            raise MediaTooLarge(
                f"{label} has {width} x {height} pixels; allowed are {limits.pixels} in all: make it smaller"
            )
        if kind == "image/jpeg" and data.count(b"\xff\xda") > MAX_SCANS:
            raise MediaTooLarge(f"{label} has more than {MAX_SCANS} scans; save it as a plain JPEG")
        frames = _count_frames(image, data, kind, limits.frames)
        if frames > limits.frames:
            raise MediaTooLarge(f"{label} has more frames than are allowed; allowed are {limits.frames}")
        if fit and kind == "image/jpeg" and max(image.size) > fit:
            image.draft(None, (fit, fit))
        image.load()
    except MediaError:
        raise
    except Exception as error:
        # On bad content Pillow's decoders raise almost anything: OSError, SyntaxError, struct.error and more.
        reason = str(error).splitlines()[0] if str(error) and isinstance(error, OSError) else "bad content"
        raise DamagedMedia(f"{label} ({kind}) is damaged or cut off: {reason}; save it again") from None
    return _Opened(image, (width, height), frames)


def _count_frames(image: ImageFile.ImageFile, data: bytes, kind: str, stop: int) -> int:
    """How many frames there are, up to one more than `stop`; of a TIFF only whether there are more."""
    if kind == "image/jpeg":
        return 1
    if kind == "image/gif":
        return _gif_frames(data, stop)
    if kind == "image/tiff":
        return stop + 1 if _has_page(image, stop) else 1
    return getattr(image, "n_frames", 1)


def _has_page(image: ImageFile.ImageFile, number: int) -> bool:
    try:
        image.seek(number)
    except EOFError:
        image.seek(0)
        return False
    return True


def _gif_frames(data: bytes, stop: int) -> int:
    """Counts frames without decoding them, up to one more than `stop`."""
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    frames = 0
    while at < len(data) and data[at] != 0x3B and frames <= stop:
        if data[at] == 0x2C:
            frames += 1
            packed = data[at + 9] if at + 9 < len(data) else 0
            at += 11 + (3 << (packed & 7) + 1 if packed & 0x80 else 0)
        else:
            at += 2
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1
    return frames


def _upright(image: Image.Image) -> Image.Image:
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception:
        return _simple(image)  # its EXIF block cannot be read, and so says nothing about orientation
    return _simple(image)


def _simple(image: Image.Image) -> Image.Image:
    """The same picture in mode L, RGB or RGBA."""
    mode = image.mode
    if mode in ("L", "RGB", "RGBA") and "transparency" not in image.info:
        return image
    if mode.startswith(("I", "F")):
        return _eight_bits(image)
    if mode == "1":
        return image.convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """16 bits and more a pixel to 8: by 256 where the mode says so, else from darkest to brightest."""
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65_535.0
    else:
        extremes: Any = image.getextrema()
        low, high = float(extremes[0]), float(extremes[1])
        if image.mode == "I" and low >= 0 and high <= 65_535:
            low, high = 0.0, 65_535.0
    scale = 255.0 / (high - low) if high > low else 1.0
    return image.convert("F").point(lambda value: value * scale - low * scale).convert("L")
