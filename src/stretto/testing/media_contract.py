"""`MediaStoreContract`: the tests every `MediaStore` passes. Needs pytest and pytest-asyncio; knows no store.

class TestMyStore(MediaStoreContract):
@pytest.fixture
def store(self, tmp_path):
return MyStore(tmp_path)

async def damage(self, store, reference):
(store.path / reference[6:]).write_bytes(b"wrong")  # behind the store's back
"""

import asyncio
import hashlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from stretto._internal.faults import listen
from stretto.errors import DamagedMedia, MediaError, MediaNotFound
from stretto.media.store import Kept, MediaStore

__all__ = ["MediaStoreContract"]

DAY = 86_400.0


class _Stopped(Exception):
    """Raised at a fault point."""


class MediaStoreContract:
    """Subclass it, give one fixture `store` (a fresh one a test), and say how to damage what it keeps."""

    pytestmark = pytest.mark.asyncio
    tick: float = 0.01
    """Seconds in which two times of the store may be the same: 1 where it tells whole seconds."""

    @pytest.fixture(autouse=True)
    def _no_listener(self) -> Iterator[None]:
        yield
        listen(None)

    async def damage(self, store: Any, reference: str) -> None:
        """Changes the bytes of a reference, as a failing disk would."""
        raise NotImplementedError

    async def test_what_is_put_is_read_by_its_hash(self, store: MediaStore) -> None:
        """The reference is that of the bytes, whatever they are called."""
        data = bytes(range(256)) * 100
        reference = await store.put(data, "application/octet-stream")
        assert reference == f"media:{hashlib.sha256(data).hexdigest()}"
        assert await store.read(reference) == data
        assert await store.has(reference)

    async def test_the_same_bytes_are_kept_once(self, store: MediaStore) -> None:
        """Under any type, by any number of writers at once."""
        data = b"x" * 100_000
        references = await asyncio.gather(*(store.put(data, kind) for kind in ("a/b", "", "c/d") * 3))
        assert len(set(references)) == 1
        (kept,) = [each async for each in store.kept()]
        assert (kept.reference, kept.bytes) == (references[0], 100_000)

    async def test_no_bytes_are_bytes_too(self, store: MediaStore) -> None:
        """An empty content has a hash like any other."""
        assert await store.read(await store.put(b"", "text/plain")) == b""

    async def test_a_reference_to_nothing_is_told(self, store: MediaStore) -> None:
        """A missing one, and what is no reference at all."""
        for reference in ("media:" + "0" * 64, "media:../../etc/passwd", "media:" + "A" * 64, "", "x"):
            assert not await store.has(reference)
            with pytest.raises(MediaNotFound):
                await store.read(reference)

    async def test_damaged_bytes_are_told_and_healed_by_putting_them_again(self, store: MediaStore) -> None:
        """Wrong bytes are never given out."""
        reference = await store.put(b"a receipt", "text/plain")
        await self.damage(store, reference)
        with pytest.raises(DamagedMedia, match="was changed"):
            await store.read(reference)
        assert await store.put(b"a receipt", "text/plain") == reference
        assert await store.read(reference) == b"a receipt"

    async def test_what_is_deleted_is_gone(self, store: MediaStore) -> None:
        """Deleting again says that there was nothing; others stay."""
        reference, other = await store.put(b"one", ""), await store.put(b"two", "")
        assert await store.delete(reference)
        assert not await store.delete(reference)
        assert not await store.has(reference)
        with pytest.raises(MediaNotFound):
            await store.read(reference)
        assert [each.reference async for each in store.kept()] == [other]
        assert await store.put(b"one", "") == reference
        assert await store.read(reference) == b"one"

    async def test_everything_is_listed_with_its_size_and_time(self, store: MediaStore) -> None:
        """1,100 of them: more than any page."""
        before = time.time()
        wanted = {await store.put(b"%d" % number, ""): len(b"%d" % number) for number in range(1100)}
        kept = [each async for each in store.kept()]
        assert {each.reference: each.bytes for each in kept} == wanted
        assert len(kept) == len(wanted)
        assert all(before - 2 <= each.at <= time.time() + 2 for each in kept)

    async def test_an_empty_store_lists_nothing(self, store: MediaStore) -> None:
        """Nor does it fail."""
        found: list[Kept] = [each async for each in store.kept()]
        assert found == []

    async def test_what_was_put_lately_is_not_deleted_as_old(self, store: MediaStore) -> None:
        """A sweep names the time; whoever puts the same bytes again meanwhile keeps them."""
        reference = await store.put(b"young", "")
        assert not await store.delete(reference, before=time.time() - DAY)
        assert await store.read(reference) == b"young"
        assert await store.delete(reference, before=time.time() + DAY)
        assert not await store.has(reference)

    async def test_putting_again_makes_young_again(self, store: MediaStore) -> None:
        """Bytes that are there already count from now on."""
        reference = await store.put(b"again", "")
        (first,) = [each async for each in store.kept()]
        while time.time() <= first.at + self.tick:
            await asyncio.sleep(0.001)
        await store.put(b"again", "")
        (second,) = [each async for each in store.kept()]
        assert second.at > first.at
        assert await store.read(reference) == b"again"

    async def test_a_writer_that_fails_leaves_nothing_half_written(self, store: MediaStore) -> None:
        """At each of its fault points: the bytes are whole or not there, and can be put afterwards."""
        names: list[str] = []
        listen(names.append)
        await store.put(b"to see where it stops", "")
        assert {"media.write.before", "media.write.after"} <= set(names)
        for number, name in enumerate(dict.fromkeys(names)):
            data = b"%d" % number * 50_000

            def stop(at: str, name: str = name) -> None:
                if at == name:
                    raise _Stopped

            listen(stop)
            with pytest.raises((_Stopped, MediaError)):
                await store.put(data, "")
            listen(None)
            reference = f"media:{hashlib.sha256(data).hexdigest()}"
            if await store.has(reference):
                assert await store.read(reference) == data
            assert await store.put(data, "") == reference
            assert await store.read(reference) == data
