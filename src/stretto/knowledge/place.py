"""Where a knowledge base lives on disk. Knows nothing of what is in it."""

import os
import re
from pathlib import Path

from stretto._internal.project_file import project_file
from stretto.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def project_root(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` (here if None) with a `stretto.yaml`, else `start`."""
    file = project_file(start)
    return (start or Path.cwd()).resolve() if file is None else file.parent


def place_of(
    name_or_path: str | os.PathLike[str], root: str | os.PathLike[str] | None
) -> tuple[str, Path, Path]:
    """The name and folder of a knowledge base, and the folder that its sources are kept relative to.

    A bare name lives in `<root>/.stretto/knowledge/<name>`; anything with a separator is the folder itself.
    What sources are relative to follows from the folder alone, so that everyone who opens it agrees.
    """
    base = Path(root).expanduser().resolve() if root is not None else project_root()
    text = os.fspath(name_or_path)
    is_path = (
        not isinstance(name_or_path, str) or "/" in text or os.sep in text or text.startswith(("~", "."))
    )
    if is_path:
        folder = Path(text).expanduser()
        folder = (folder if folder.is_absolute() else Path.cwd() / folder).resolve()
        if folder.is_file():
            raise ConfigError(f"`{text}` is a file; a knowledge base is a folder, or a bare name")
        return folder.name, folder, _root_of(folder)
    if not _NAME.fullmatch(text):
        raise ConfigError(
            f"`{text}` cannot name a knowledge base; use up to 64 letters, digits, `.`, `_`, `-`, or a path"
        )
    return text, base / ".stretto" / "knowledge" / text, base


def _root_of(folder: Path) -> Path:
    inside = len(folder.parents) > 2 and [part.name for part in folder.parents[:2]] == [
        "knowledge",
        ".stretto",
    ]
    return folder.parents[2] if inside else folder.parent
