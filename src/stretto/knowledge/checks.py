"""Small questions that `KnowledgeBase` asks of what it is given. Knows no index."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from stretto.errors import ConfigError, MediaNotFound
from stretto.knowledge.opened import Opened
from stretto.models.protocol import Embedder


async def dimensions_of(embedder: Embedder) -> int:
    """Its dimensions; an endpoint's model that nobody knows is asked for a vector first."""
    with suppress(ConfigError):
        return embedder.dimensions
    return (await embedder.embed(["dimensions"])).shape[1]


def matching(opened: Opened, text: str, root: Path) -> list[str]:
    """The ids of the documents that `text` names: an id, a path, a URL, a folder or a glob."""
    from stretto.knowledge.sources import shown  # noqa: PLC0415 (loaders, for those who change something)

    manifest = opened.manifest
    if manifest.known(text):
        return [text]
    place = shown(Path(os.path.abspath(Path(text).expanduser())), root)
    for source in (text, place):
        key = manifest.id_of_source(source) if source else None
        if key:
            return [key]
    return [key for kind in ("folder", "glob") for key, _ in manifest.from_origin(f"{kind}:{place}")]


def folders_of(given: Sequence[str | os.PathLike[str]], root: Path) -> list[str]:
    """The folders as sources name them; raises MediaNotFound for what is no folder."""
    from stretto.knowledge.sources import shown  # noqa: PLC0415 (as above)

    names: list[str] = []
    for each in given:
        place = Path(os.path.abspath(Path(each).expanduser()))
        if not place.is_dir():
            raise MediaNotFound(
                f"`{os.fspath(each)}` is not a folder, and nothing was changed; to take out what came from "
                "there, remove it"
            )
        name = shown(place, root)
        names.append("" if name == "." else name)
    return names
