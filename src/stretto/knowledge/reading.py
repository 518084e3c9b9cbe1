"""What an item holds before it is read as a document: its version, and how the process that reads it gets it.

A file's bytes stay on disk; only their hash is taken here. Knows no format.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stretto.errors import MediaNotFound, MediaTooLarge
from stretto.knowledge.chunkers.identity import RECIPE
from stretto.knowledge.conversion import SMALL
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.frames import Read
from stretto.knowledge.loaders.registry import media_type_of
from stretto.knowledge.opened import off_loop
from stretto.knowledge.sources import Item
from stretto.media.limits import MediaLimits

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Content:
    """An item's bytes, by their sha256, and the order to read them."""

    version: str
    order: Read
    extra: bytes = b""
    """What else a document that was handed over consists of."""

    def fingerprint(self, version: str = "") -> str:
        """Changes when the document has to be read again."""
        parts = (RECIPE, version or self.version, self.order.media_type or "")
        return hashlib.sha256(b"\x00".join([*(part.encode() for part in parts), self.extra])).hexdigest()


async def content_of(item: Item, limits: IngestLimits) -> Content:
    """What `item` holds.

    Raises:
        MediaNotFound: There is no such file or URL.
        MediaTooLarge: It has more bytes than allowed.
        UnsafeAddress: A URL that must not be reached.
    """
    if item.document is not None:
        given = item.document
        data = given.text.encode("utf-8", "replace")
        extra = msgspec.json.encode((given.title, given.metadata, given.media_type))
        order = Read(item.name, given.media_type, limits, data=data)
        return Content(hashlib.sha256(data).hexdigest(), order, extra)
    if item.url is not None:
        from stretto.media.fetch import fetch, last_name  # noqa: PLC0415 (the network client loads with the first URL)

        fetched = await fetch(item.url, MediaLimits(bytes=limits.bytes, allow=limits.allow))
        kind = fetched.media_type.partition(";")[0].strip().lower()
        if kind == "text/plain":  # which many servers say of whatever is text
            kind = media_type_of(last_name(fetched.url)) or kind
        order = Read(item.name, kind, limits, data=fetched.data)
        return Content(hashlib.sha256(fetched.data).hexdigest(), order)
    return await off_loop(_file, item, limits)


def _file(item: Item, limits: IngestLimits) -> Content:
    if item.path is None:
        raise MediaNotFound(f"`{item.source}` is not a file")
    try:
        if not item.path.is_file():
            raise MediaNotFound(f"`{item.source}` is not a regular file")
        size = item.path.stat().st_size
        if size > limits.bytes:
            raise MediaTooLarge(f"`{item.source}` has {size:,} bytes; the limit is {limits.bytes:,}")
        return _hashed(item.path, item.name, limits, keep=size <= SMALL)
    except OSError as error:
        raise MediaNotFound(f"`{item.source}` cannot be read: {error.strerror or error}") from error


def _hashed(path: Path, name: str, limits: IngestLimits, *, keep: bool) -> Content:
    """A short file's bytes are kept: they go to whoever reads them as they were hashed."""
    digest, kept = hashlib.sha256(), b""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            kept = piece if keep and not kept else b""
            keep = bool(kept)
    where = "" if keep else str(path)
    return Content(digest.hexdigest(), Read(name, media_type_of(path.name), limits, path=where, data=kept))
