"""The table of media stores."""

from pathlib import Path

import pytest

from stretto.errors import ConfigError
from stretto.media.objects import ObjectStore
from stretto.media.sqlite import SqliteStore
from stretto.media.store import DirectoryStore
from stretto.media.stores import STORES, open_store, store_at


@pytest.mark.parametrize("name", STORES)
async def test_every_store_of_the_table_opens_and_keeps(name: str, tmp_path: Path):
    place = "memory://stores/test" if name == "objects" else str(tmp_path / "media")
    store = open_store(name, place)
    assert await store.read(await store.put(b"x", "text/plain")) == b"x"


def test_an_unknown_name_is_told_with_those_there_are(tmp_path: Path):
    with pytest.raises(ConfigError, match="no media store `ftp`; there are directory, objects, sqlite"):
        open_store("ftp", tmp_path)


def test_a_place_says_what_is_there(tmp_path: Path):
    assert isinstance(store_at(tmp_path / "media"), DirectoryStore)
    assert isinstance(store_at(str(tmp_path / "media.sqlite")), SqliteStore)
    assert isinstance(store_at("memory://bucket/media"), ObjectStore)
