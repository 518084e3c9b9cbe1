"""Where media are kept, by name: the one table from a name to the adapter, imported when first used."""

from importlib import import_module
from pathlib import Path
from typing import Any

from stretto.errors import ConfigError
from stretto.media.store import MediaStore

STORES = {
    "directory": "stretto.media.store:DirectoryStore",
    "sqlite": "stretto.media.sqlite:SqliteStore",
    "objects": "stretto.media.objects:ObjectStore",
}
"""directory: a folder; sqlite: one file; objects: a URL of fsspec (`stretto[objects]`)."""


def open_store(name: str, place: str | Path, **options: Any) -> MediaStore:
    """The store called `name` at a folder, file or URL.

    Raises:
        ConfigError: There is no store of this name.
        MissingExtra: Its package is not installed.
    """
    if name not in STORES:
        raise ConfigError(f"there is no media store `{name}`; there are {', '.join(sorted(STORES))}")
    module, kind = STORES[name].split(":")
    return getattr(import_module(module), kind)(place, **options)


def store_at(place: str | Path) -> MediaStore:
    """The store for a place: `objects` for a URL, `sqlite` for a name on `.sqlite`, else `directory`.

    Raises:
        MissingExtra: Its package is not installed.
    """
    if "://" in str(place):
        return open_store("objects", str(place))
    return open_store("sqlite" if Path(place).suffix == ".sqlite" else "directory", place)
