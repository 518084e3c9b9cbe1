"""The reference project that `stretto new` copies: `stretto/_template` of the wheel, or the clone itself.

Knows the names of a project's folders, and nothing of what is in them.
"""

import shutil
from pathlib import Path

from stretto.errors import ConfigError

FOLDERS = ("agents", "tools", "prompts", "evals", "schemas")
"""What a project has besides `stretto.yaml`."""

_PACKAGE = Path(__file__).parents[1]
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".stretto", ".DS_Store")


def source() -> Path:
    """The folder with the reference project; raises ConfigError where this installation has none."""
    clone = _PACKAGE.parents[1]
    for folder in (_PACKAGE / "_template", clone):
        if (folder / "stretto.yaml").is_file():
            return folder
    raise ConfigError("this installation carries no project to copy. Install it from its wheel or a clone")


def copy(target: Path) -> list[Path]:
    """Copies the project to `target`, which must not exist or be empty; returns the top-level paths."""
    template = source()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"`{target}` exists and is not an empty folder. Choose another name")
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(template / "stretto.yaml", target)
    for name in FOLDERS:
        if (template / name).is_dir():
            shutil.copytree(template / name, target / name, ignore=_IGNORED)
    (target / ".gitignore").write_text(".stretto/\n__pycache__/\n")
    return sorted(target.iterdir())
