"""The user's cache folder. Makes nothing."""

import os
import sys
from pathlib import Path


def cache_root() -> Path:
    """`STRETTO_CACHE`, else `stretto` in the user's cache folder; it need not exist yet."""
    chosen = os.environ.get("STRETTO_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "stretto"
