"""Where the counters lie that the processes of a machine share. Makes nothing."""

from pathlib import Path

from stretto._internal.places import cache_root


def default_path() -> Path:
    """The file for limits that hold for the whole machine: `counters.sqlite` in the cache folder."""
    return cache_root() / "counters.sqlite"
