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
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Protocol, runtime_checkable

from stretto._internal.faults import reach
from stretto._internal.plain import Plain
from stretto._internal.private import private_folder
from stretto.errors import DamagedMedia, MediaError, MediaNotFound

_REFERENCE = re.compile(r"media:([0-9a-f]{64})")
_NEW, _ASIDE = ".new-", ".old-"
_LEFT = 3600.0
"""Seconds after which a file that a writer began, and did not end, is nobody's."""


class Kept(Plain, frozen=True):
    """One content of a store."""

    reference: str
    bytes: int
    at: float
    """When it was put last, in seconds since 1970."""


class MediaStore(Protocol):
    """Keeps bytes under references."""

    async def put(self, data: bytes, media_type: str) -> str:
        """Keeps `data` durably and returns its reference; the same bytes give the same reference.

        Bytes that are there already count as put now; damaged ones are healed.
        """
        ...

    async def read(self, reference: str) -> bytes:
        """The bytes. Raises MediaNotFound, or DamagedMedia if they are not those that were put."""
        ...

    async def has(self, reference: str) -> bool:
        """Whether the bytes are here."""
        ...

    async def delete(self, reference: str, *, before: float = inf) -> bool:
        """Drops the bytes, if they were put last before this time; whether that was so."""
        ...

    def kept(self) -> AsyncIterator[Kept]:
        """All that is here, in no order."""
        ...


@runtime_checkable
class Linking(Protocol):
    """A store that can give a URL under which an endpoint reads the bytes itself."""

    async def link(self, reference: str, *, seconds: float = 3600) -> str | None:
        """A URL that works for this long; None where there is none."""
        ...


def is_reference(source: str) -> bool:
    """Whether a part's source is a reference."""
    return _REFERENCE.fullmatch(source) is not None


def digest_of(reference: str) -> str:
    """The sha256 of a reference, as 64 hex digits.

    Raises:
        MediaNotFound: It is none.
    """
    found = _REFERENCE.fullmatch(reference)
    if not found:
        raise MediaNotFound(f"`{reference[:100]}` is no media reference: media: and 64 hex digits")
    return found[1]


def reference_of(data: bytes) -> str:
    """The reference of these bytes."""
    return f"media:{hashlib.sha256(data).hexdigest()}"


def checked(data: bytes, reference: str, place: str) -> bytes:
    """The bytes of a store at `place`, if they are those of the reference.

    Raises:
        DamagedMedia: They are not.
    """
    if reference_of(data) != reference:
        raise DamagedMedia(f"`{reference}` in the media store `{place}` was changed: put the file again")
    return data


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
            MediaError: The file cannot be read.
        """
        return await asyncio.to_thread(self._read, reference)

    async def has(self, reference: str) -> bool:
        """Whether the bytes are here."""
        return is_reference(reference) and await asyncio.to_thread(_is_there, self._file(reference))

    async def delete(self, reference: str, *, before: float = inf) -> bool:
        """Drops the bytes, if they were put last before this time; whether that was so.

        Raises:
            MediaError: The folder cannot be written.
        """
        return await asyncio.to_thread(self._delete, reference, before)

    async def kept(self) -> AsyncIterator[Kept]:
        """All that is here. Files that killed writers left behind are dropped in passing."""
        for folder in await asyncio.to_thread(_folders, self.path):
            for each in await asyncio.to_thread(_listed, folder):
                yield each

    def _file(self, reference: str) -> Path:
        digest = digest_of(reference)
        return self.path / digest[:2] / digest

    def _put(self, data: bytes) -> str:
        reference = reference_of(data)
        file = self._file(reference)
        try:
            with suppress(FileNotFoundError):
                if file.read_bytes() == data:
                    os.utime(file)  # fails where a sweep has just taken the file away: then it is written
                    return reference
            private_folder(file.parent)
            _write(file, data)
        except OSError as error:
            raise MediaError(f"the media store `{self.path}` cannot be written: {error.strerror}") from None
        return reference

    def _read(self, reference: str) -> bytes:
        file = self._file(reference)
        try:
            try:
                data = file.read_bytes()
            except FileNotFoundError:
                _bring_back(file)
                data = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MediaNotFound(
                f"`{reference}` is not in the media store `{self.path}`: {error.strerror}"
            ) from None
        except OSError as error:
            raise MediaError(
                f"`{reference}` in the media store `{self.path}` cannot be read: {error.strerror}"
            ) from None
        return checked(data, reference, str(self.path))

    def _delete(self, reference: str, before: float) -> bool:
        file = self._file(reference)
        aside = _aside(file)
        try:
            if file.stat().st_mtime >= before:
                return False
            reach("media.delete.before")
            # Taken aside before it is looked at again: whoever puts it from now on writes a file of his own.
            os.replace(file, aside)
            if aside.stat().st_mtime >= before:
                _bring_back(file)
                return False
            aside.unlink()
            reach("media.delete.after")
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise MediaError(f"the media store `{self.path}` cannot be written: {error.strerror}") from None
        return True


def _write(file: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=_NEW)
    try:
        with os.fdopen(handle, "wb") as out:
            reach("media.write.before")
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        reach("media.write.after")
        reach("media.rename.before")
        os.replace(temporary, file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the name is to outlive a power cut, too
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    reach("media.rename.after")


def _aside(file: Path) -> Path:
    """Where a sweep puts the file before it is dropped."""
    return file.with_name(_ASIDE + file.name)


def _bring_back(file: Path) -> None:
    """Undoes what a sweep began and did not end, because it was killed or the file was put again."""
    with suppress(FileNotFoundError, NotADirectoryError):
        os.utime(_aside(file))
        os.replace(_aside(file), file)


def _is_there(file: Path) -> bool:
    return file.is_file() or _aside(file).is_file()


def _folders(path: Path) -> list[Path]:
    return [each for each in path.iterdir() if each.is_dir()] if path.is_dir() else []


def _listed(folder: Path) -> list[Kept]:
    found: list[Kept] = []
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            about = file.stat()
            if file.name.startswith(_NEW) and about.st_mtime < time.time() - _LEFT:
                file.unlink()
            elif file.name.startswith(_ASIDE):
                _bring_back(file.with_name(file.name.removeprefix(_ASIDE)))
            elif is_reference(f"media:{file.name}"):
                found.append(Kept(f"media:{file.name}", about.st_size, about.st_mtime))
    return found
