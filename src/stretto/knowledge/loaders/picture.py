"""A picture as text: what is written on it, by OCR, and what it seems to show, by a classifier."""

from typing import Any

from stretto.errors import DamagedMedia, MissingExtra, ModelNotFound
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.assembly import Assembly, Box, visible
from stretto.knowledge.loaders.protocol import Loaded, more_time
from stretto.knowledge.loaders.text import title_from
from stretto.media.limits import MediaLimits
from stretto.media.pictures import open_picture

_SURE = 0.3
"""Labels that are less likely are not worth a word."""


def load_picture(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """The text and the labels of a picture, under a heading with its name.

    Raises:
        MediaError: It cannot be decoded, or is too large.
        MissingExtra: The package for OCR is not installed.
        DamagedMedia: Nothing can be read or told from it.
    """
    picture: Any = open_picture(
        data, MediaLimits(bytes=limits.bytes, pixels=limits.pixels), label=f"`{name}`"
    )
    with picture:
        written = _written(picture, name)
        shown = _shown(picture)
    title = title_from(name)
    assembly = Assembly(name, limits)
    assembly.heading(title, 1)
    if written:
        assembly.text("Text in the picture, read by OCR:")
    for text, box in written:
        assembly.text(visible(text), box=box)
    if shown:
        likely = ", ".join(f"{label} ({chance:.0%})" for label, chance in shown)
        assembly.text(f"What the picture seems to show, by an image classifier: {likely}.")
    if not written and not shown:
        raise DamagedMedia(
            f"`{name}` shows no text and nothing that the classifier knows; describe it in a document"
        )
    made_by = [*(["ocr"] if written else []), *(["labels"] if shown else [])]
    return assembly.loaded(title, _kind(data), made_by=made_by)


def _kind(data: bytes) -> str:
    return "image/png" if data[:4] == b"\x89PNG" else "image/webp" if data[:4] == b"RIFF" else "image/jpeg"


def _written(picture: Any, name: str) -> list[tuple[str, Box]]:
    more_time.get()()
    try:
        from stretto.models.local.ocr import read_picture  # noqa: PLC0415 (OCR is an optional package)
    except ImportError:
        raise MissingExtra(f"reading the picture `{name}`", "local") from None
    return read_picture(picture).blocks(picture.size)


def _shown(picture: Any) -> list[tuple[str, float]]:
    try:
        from stretto.models.local.labels import labels  # noqa: PLC0415 (loads onnxruntime)

        return [(label, chance) for label, chance in labels(picture, top=3) if chance >= _SURE]
    except (ImportError, ModelNotFound):
        return []  # labels are extra; the text is what a search needs
