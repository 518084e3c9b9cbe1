"""Which loader reads which kind of file. The loaders' modules are imported when first used."""

from importlib import import_module
from pathlib import PurePath

from stretto.errors import DamagedMedia, MediaTooLarge, UnsupportedMedia
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.protocol import Loaded, Loader

LOADERS: dict[str, str] = {
    "text/markdown": "stretto.knowledge.loaders.text:load_markdown",
    "text/plain": "stretto.knowledge.loaders.text:load_text",
    "text/html": "stretto.knowledge.loaders.html:load_html",
    "application/xhtml+xml": "stretto.knowledge.loaders.html:load_html",
    "application/pdf": "stretto.knowledge.loaders.pdf:load_pdf",
    "image/png": "stretto.knowledge.loaders.picture:load_picture",
    "image/jpeg": "stretto.knowledge.loaders.picture:load_picture",
    "image/webp": "stretto.knowledge.loaders.picture:load_picture",
}
"""Media type to `module:function`."""

SUFFIXES: dict[str, str] = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".text": "text/plain",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}
"""File suffix, in lower case, to media type."""


def media_type_of(name: str) -> str | None:
    """The media type that `name`'s suffix stands for, or None where no loader reads it."""
    return SUFFIXES.get(PurePath(name).suffix.lower())


def load(data: bytes, name: str, media_type: str | None, limits: IngestLimits) -> Loaded:
    """The document in `data`.

    Raises:
        UnsupportedMedia: No loader reads this kind.
        MediaTooLarge: It is over one of the limits.
        DamagedMedia: It cannot be read as what it says it is, or holds no text.
    """
    kind = media_type if media_type in LOADERS else media_type_of(name)
    if kind is None:
        known = " ".join(sorted(SUFFIXES))
        raise UnsupportedMedia(f"`{name}` is of a kind that is not read; readable are {known}")
    if len(data) > limits.bytes:
        raise MediaTooLarge(f"`{name}` has {len(data):,} bytes; the limit is {limits.bytes:,}")
    if not data.strip():
        raise DamagedMedia(f"`{name}` is empty; put text into it, or leave it out")
    module, _, function = LOADERS[kind].partition(":")
    loader: Loader = getattr(import_module(module), function)
    loaded = loader(data, name, limits)
    if len(loaded.text) > limits.characters:
        raise MediaTooLarge(
            f"`{name}` has {len(loaded.text):,} characters of text; the limit is {limits.characters:,}"
        )
    if not loaded.text.strip():
        raise DamagedMedia(f"`{name}` holds no text; add a version with text, or leave it out")
    return loaded
