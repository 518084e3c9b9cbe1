"""Where the bytes of media are kept: by their content, so each only once. Knows no picture and no message.

A reference is `media:` and the sha256 of the bytes. The bytes are kept as they came: the hash is then that
of the user's own file, equal files are one, and no quality is lost. Orientation is applied, and metadata such
as a camera's position left out, when a picture is made ready for a model (`resolve`).
"""

import asyncio
import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Protocol

from stretto._internal.private import private_folder
from stretto.errors import DamagedMedia, MediaError, MediaNotFound

_REFERENCE = re.compile(r"media:([0-9a-f]{64})")


class MediaStore(Protocol):
    """Keeps bytes under references."""

    async def put(self, data: bytes, media_type: str) -> str:
        """Keeps `data` durably and returns its reference; the same bytes give the same reference."""
        ...

    async def read(self, reference: str) -> bytes:
        """The bytes. Raises MediaNotFound, or DamagedMedia if they are not those that were put."""
        ...

    async def has(self, reference: str) -> bool:
        """Whether the bytes are here."""
        ...


def is_reference(source: str) -> bool:
    """Whether a part's source is a reference."""
    return _REFERENCE.fullmatch(source) is not None


def reference_of(data: bytes) -> str:
    """The reference of these bytes."""
    return f"media:{hashlib.sha256(data).hexdigest()}"


class DirectoryStore:
    """A `MediaStore` in a folder: one file a content, in 256 sub-folders. Many processes may share it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    async def put(self, data: bytes, media_type: str) -> str:
        """Keeps `data`; a reader sees the whole file or none. The type travels in the message, not here.

        Raises:
            MediaError: The folder cannot be written.
        """
        return await asyncio.to_thread(self._put, data)

    async def read(self, reference: str) -> bytes:
        """The bytes, checked against their hash.

        Raises:
            MediaNotFound: They are not here, or `reference` is none.
            DamagedMedia: The file was changed.
        """
        return await asyncio.to_thread(self._read, reference)

    async def has(self, reference: str) -> bool:
        """Whether the bytes are here."""
        return is_reference(reference) and await asyncio.to_thread(self._file(reference).is_file)

    def _file(self, reference: str) -> Path:
        found = _REFERENCE.fullmatch(reference)
        if not found:
            raise MediaNotFound(f"`{reference[:100]}` is no media reference: media: and 64 hex digits")
        return self.path / found[1][:2] / found[1]

    def _put(self, data: bytes) -> str:
        reference = reference_of(data)
        file = self._file(reference)
        try:
            if file.is_file() and file.read_bytes() == data:
                return reference
            private_folder(file.parent)
            handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".new-")
            try:
                with os.fdopen(handle, "wb") as out:
                    out.write(data)
                    out.flush()
                    os.fsync(out.fileno())
                os.replace(temporary, file)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise MediaError(f"the media store `{self.path}` cannot be written: {error.strerror}") from None
        return reference

    def _read(self, reference: str) -> bytes:
        file = self._file(reference)
        try:
            data = file.read_bytes()
        except OSError as error:
            raise MediaNotFound(
                f"`{reference}` is not in the media store `{self.path}`: {error.strerror}"
            ) from None
        if reference_of(data) != reference:
            raise DamagedMedia(
                f"`{reference}` in the media store `{self.path}` was changed: put the file again"
            )
        return data
