"""Where pulled models lie on disk, and which are there. Downloads nothing.

Layout: `<cache>/models/<name>/<file>`. The cache is `STRETTO_CACHE`, else `stretto` in the user's cache
folder.
"""

import shutil
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stretto._internal.places import cache_root
from stretto.errors import ModelNotFound
from stretto.models.local.catalogue import CATALOGUE, LocalModel, entry

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def root() -> Path:
    """The cache folder; it need not exist yet."""
    return cache_root()


def folder_of(name: str) -> Path:
    """The folder a model's files lie in, or will."""
    return root() / "models" / entry(name).name


def installed(name: str) -> bool:
    """Whether every file of the model is there with its size (content is checked when it is pulled)."""
    return _complete(entry(name))


def installed_names() -> list[str]:
    """The models that are in the cache, in catalogue order."""
    return [name for name, model in CATALOGUE.items() if _complete(model)]


def path_of(name: str, file: str | None = None) -> Path:
    """The path of one file of an installed model; without `file`, of its main file (the first).

    Raises:
        ModelNotFound: the catalogue has no such model or file, or the model was not pulled yet.
    """
    model = entry(name)
    names = [each.name for each in model.files]
    if file is not None and file not in names:
        raise ModelNotFound(f"Model `{name}` has no file `{file}`; it has {', '.join(names)}.")
    if not _complete(model):
        raise ModelNotFound(
            f"The model `{model.name}` ({model.size / 1e6:.0f} MB) is not in the cache. "
            f"Type: stretto models pull {model.name}"
        )
    return folder_of(name) / (file or names[0])


def remove(name: str) -> bool:
    """Deletes a model's files; tells whether there were any."""
    folder = folder_of(name)
    there = folder.exists()
    shutil.rmtree(folder, ignore_errors=True)
    return there


@contextmanager
def locked(name: str, waiting: Callable[[], None] | None = None) -> Generator[None]:
    """Holds the model's lock, so that of two processes that pull it one waits for the other.

    Args:
        name: the model.
        waiting: called once when another process holds the lock.
    """
    models = root() / "models"
    models.mkdir(parents=True, exist_ok=True)
    with (models / f"{entry(name).name}.lock").open("a+b") as handle:
        told = False
        while not _take(handle):
            if waiting is not None and not told:
                waiting()
            told = True
            time.sleep(0.2)
        yield  # closing the handle gives the lock back, also when the process dies


def _take(handle: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _complete(model: LocalModel) -> bool:
    folder = root() / "models" / model.name
    try:
        return all((folder / file.name).stat().st_size == file.size for file in model.files)
    except OSError:
        return False
