"""ObjectStore: the contract on fsspec's memory and local files, links, missing packages, secrets."""

import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from stretto.errors import ConfigError, MediaError, MissingExtra
from stretto.media.objects import ObjectStore
from stretto.media.store import Linking
from stretto.testing.media_contract import MediaStoreContract


class Named(MemoryFileSystem):
    """Objects in memory under another name."""

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace(f"{cls.protocol}://", "memory://"))


class Signing(Named):
    """Objects that can be linked to."""

    protocol = "signing"

    def sign(self, path: str, expiration: int = 100, **kwargs: Any) -> str:
        return f"https://objects.example{path}?for={expiration}"


class Bucketless(Named):
    """Where no bucket was made."""

    protocol = "bucketless"

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        raise FileNotFoundError(path)


class Failing(Named):
    """A bucket that refuses, and says with which key."""

    protocol = "failing"

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        raise PermissionError("403 for key AKIA-SECRET")


@pytest.fixture(autouse=True, scope="module")
def _registered() -> None:
    for kind in (Signing, Failing, Bucketless):
        fsspec.register_implementation(kind.protocol, kind, clobber=True)


class TestObjectsInMemory(MediaStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return ObjectStore(f"memory://bucket-{uuid.uuid4().hex}/media")

    async def damage(self, store: ObjectStore, reference: str) -> None:
        store._files.pipe_file(store._key(reference), b"wrong")


class TestObjectsInFiles(TestObjectsInMemory):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return ObjectStore(f"file://{tmp_path}/media")

    async def test_a_file_is_written_beside_and_renamed(self, store: ObjectStore, tmp_path: Path) -> None:
        reference = await store.put(b"whole", "")
        found = [file for file in tmp_path.rglob("*") if file.is_file()]
        assert [file.name for file in found] == [reference[6:]]
        left, young = found[0].with_name(".new-left"), found[0].with_name(".new-young")
        for half in (left, young):
            half.write_bytes(b"ha")
        os.utime(left, (time.time() - 3700,) * 2)
        assert [each.reference async for each in store.kept()] == [reference]
        assert (left.exists(), young.exists()) == (False, True)


async def test_a_store_that_signs_gives_links(tmp_path: Path):
    store = ObjectStore("signing://bucket/media")
    reference = await store.put(b"x", "image/png")
    digest = reference[6:]
    assert isinstance(store, Linking)
    link = await store.link(reference, seconds=600)
    assert link == f"https://objects.example/bucket/media/{digest[:2]}/{digest}?for=600"
    assert await ObjectStore("memory://bucket/media").link(reference) is None


async def test_what_a_driver_says_is_not_told_for_it_may_name_a_key():
    store = ObjectStore("failing://bucket/media", secret="AKIA-SECRET")
    with pytest.raises(MediaError, match="media` cannot be written: PermissionError") as caught:
        await store.put(b"x", "")
    assert "AKIA" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_without_fsspec_the_message_is_the_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtra, match=r'Type: pip install "stretto\[objects\]"$'):
        ObjectStore("memory://bucket")


def test_without_a_driver_the_message_is_the_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtra, match=r'Type: pip install "stretto\[objects\]" s3fs$'):
        ObjectStore("s3://bucket/media")


def test_an_unknown_address_is_told():
    with pytest.raises(ConfigError, match=r"`ghost://` is not known.*allowed are s3://"):
        ObjectStore("ghost://bucket")


async def test_a_bucket_that_is_not_there_is_told():
    with pytest.raises(MediaError, match="bucketless://ghost/media` is not there: make the bucket first"):
        await ObjectStore("bucketless://ghost/media").put(b"x", "")
