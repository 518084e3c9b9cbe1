"""Where the project around a folder is: the nearest `stretto.yaml`. Knows nothing of what is in it."""

from pathlib import Path

PROJECT_FILE = "stretto.yaml"


def project_file(start: Path | str | None = None) -> Path | None:
    """The nearest `stretto.yaml` at or above `start` (here if None), None where there is none."""
    here = Path(start or Path.cwd()).resolve()
    files = (folder / PROJECT_FILE for folder in (here, *here.parents))
    return next((file for file in files if file.is_file()), None)
