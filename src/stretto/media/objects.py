"""`ObjectStore`: media as objects of a bucket, or wherever fsspec writes. Knows no picture.

The store's own rights say who may read what; keys and passwords are fsspec's to find, and never in an error.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from math import inf
from typing import Any, TypeVar, cast

from stretto._internal.faults import reach
from stretto.errors import ConfigError, MediaError, MediaNotFound, MissingExtra
from stretto.media.store import Kept, checked, digest_of, is_reference, reference_of

T = TypeVar("T")

_WHOLE = frozenset(("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oci", "memory"))
"""Where an object is there as a whole or not at all; elsewhere it is written beside, and renamed."""
_NEW = ".new-"
_LEFT = 3600.0
"""Seconds after which what a writer began, and did not end, is nobody's."""
_TYPE = {"s3": "ContentType", "s3a": "ContentType", "gs": "content_type", "gcs": "content_type"}
"""How the type of an object is told, where it is: for those who read it by its link."""
_DRIVERS = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("abfs", "abfss", "az"), "adlfs"),
    "oci": "ocifs",
    "sftp": "paramiko",
}
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")
"""What listings call the time of the last write."""


class ObjectStore:
    """A `MediaStore` under a URL of fsspec: `s3://bucket/media`, `gs://...`, `az://...`, `memory://...`.

    A sweep looks at an object's time and then drops it: two steps, so its grace period has to be longer than
    it takes to put an object and write who holds it. For a folder of this machine use `DirectoryStore`.

    Args:
        url: Where the objects are.
        options: For fsspec's file system: endpoint, key, and so on.

    Raises:
        MissingExtra: fsspec, or its driver for this URL, is not installed.
        ConfigError: fsspec knows no such URL.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._scheme = url.partition("://")[0] if "://" in url else "file"
        self._files, root = _open(url, self._scheme, options)
        self._root = root.rstrip("/")
        self.place = f"{self._scheme}://{self._root.lstrip('/')}"

    async def put(self, data: bytes, media_type: str) -> str:
        """Keeps `data`; a reader sees the whole object or none.

        Raises:
            MediaError: The store cannot be written.
        """
        try:
            return await self._do("written", self._put, data, media_type)
        except FileNotFoundError:
            raise MediaError(f"the media store `{self.place}` is not there: make the bucket first") from None

    async def read(self, reference: str) -> bytes:
        """The bytes, checked against their hash.

        Raises:
            MediaNotFound: They are not here, or `reference` is none.
            DamagedMedia: The object was changed.
            MediaError: The store cannot be read.
        """
        try:
            data: bytes = await self._do("read", self._files.cat_file, self._key(reference))
        except FileNotFoundError:
            raise MediaNotFound(f"`{reference}` is not in the media store `{self.place}`") from None
        return await asyncio.to_thread(checked, data, reference, self.place)

    async def has(self, reference: str) -> bool:
        """Whether the bytes are here."""
        if not is_reference(reference):
            return False
        return bool(await self._do("read", self._files.isfile, self._key(reference)))

    async def delete(self, reference: str, *, before: float = inf) -> bool:
        """Drops the bytes, if they were put last before this time; whether that was so.

        Raises:
            MediaError: The store cannot be written.
        """
        try:
            return await self._do("written", self._delete, self._key(reference), before)
        except FileNotFoundError:
            return False

    async def kept(self) -> AsyncIterator[Kept]:
        """All that is here. What killed writers left behind is dropped in passing."""
        await asyncio.to_thread(self._files.invalidate_cache)
        for folder in await self._listed(self._root, "directory"):
            for about in await self._listed(folder["name"], "file"):
                name = about["name"].rpartition("/")[2]
                at = await self._do("read", self._time, about)
                if is_reference(f"media:{name}"):
                    yield Kept(f"media:{name}", about["size"], at)
                elif name.startswith(_NEW) and at < time.time() - _LEFT:
                    with suppress(FileNotFoundError):
                        await self._do("written", self._files.rm_file, about["name"])

    async def link(self, reference: str, *, seconds: float = 3600) -> str | None:
        """A signed URL that works for this long; None where the store signs none."""
        try:
            return await self._do("read", self._sign, self._key(reference), int(seconds))
        except NotImplementedError:
            return None

    def _key(self, reference: str) -> str:
        digest = digest_of(reference)
        return f"{self._root}/{digest[:2]}/{digest}"

    def _put(self, data: bytes, media_type: str) -> str:
        reference = reference_of(data)
        key = self._key(reference)
        about = {_TYPE[self._scheme]: media_type} if media_type and self._scheme in _TYPE else {}
        folder = key.rpartition("/")[0]
        target = key if self._scheme in _WHOLE else f"{folder}/{_NEW}{uuid.uuid4().hex}"
        if target != key:
            self._files.makedirs(folder, exist_ok=True)
        reach("media.write.before")
        self._files.pipe_file(target, data, **about)
        reach("media.write.after")
        if target != key:
            reach("media.rename.before")
            self._files.mv(target, key)
            reach("media.rename.after")
        return reference

    def _delete(self, key: str, before: float) -> bool:
        self._files.invalidate_cache()
        if self._time(self._files.info(key)) >= before:
            return False
        reach("media.delete.before")
        self._files.rm_file(key)
        reach("media.delete.after")
        return True

    def _time(self, about: dict[str, Any]) -> float:
        found = next((about[name] for name in _TIMES if about.get(name)), None)
        found = self._files.modified(about["name"]) if found is None else found
        if isinstance(found, str):  # as JSON APIs write it
            found = datetime.fromisoformat(found)
        return found.timestamp() if isinstance(found, datetime) else float(found)

    def _sign(self, key: str, seconds: int) -> str:
        return self._files.sign(key, expiration=seconds)

    async def _listed(self, folder: str, kind: str) -> list[dict[str, Any]]:
        try:
            found: list[dict[str, Any]] = await self._do("read", self._files.ls, folder, True)
        except FileNotFoundError:
            return []
        return [about for about in found if about["type"] == kind]

    async def _do(self, what: str, call: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.to_thread(call, *arguments)
        except (MediaError, NotImplementedError, FileNotFoundError):
            raise
        except Exception as error:  # each of fsspec's drivers raises errors of its own
            raise MediaError(
                f"the media store `{self.place}` cannot be {what}: {type(error).__name__}; "
                "check the address, the rights and the network"
            ) from None


def _open(url: str, scheme: str, options: dict[str, Any]) -> tuple[Any, str]:
    try:
        core: Any = import_module("fsspec.core")
    except ImportError:
        raise MissingExtra("object storage", "objects", beside=_DRIVERS.get(scheme, "")) from None
    try:
        return cast("tuple[Any, str]", core.url_to_fs(url, **options))
    except ImportError:
        driver = _DRIVERS.get(scheme, scheme)
        raise MissingExtra(f"object storage at `{scheme}://`", "objects", beside=driver) from None
    except (ValueError, TypeError) as error:
        reason = str(error) if isinstance(error, TypeError) else f"`{scheme}://` is not known to fsspec"
        raise ConfigError(
            f"media cannot be kept there: {reason}; allowed are s3://, gs://, az:// and what fsspec knows"
        ) from None
