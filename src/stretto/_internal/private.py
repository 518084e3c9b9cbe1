"""Folders and files that only their owner may read. Knows nothing of what is kept in them.

What is there already keeps its mode: whoever opened it to a group meant it.
"""

from pathlib import Path


def private_folder(folder: Path) -> None:
    """Makes the folder, and those above it that are missing, each for its owner only (0700).

    Raises:
        OSError: It cannot be made.
    """
    missing = [each for each in (folder, *folder.parents) if not each.is_dir()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def private_file(file: Path) -> None:
    """Makes an empty file for its owner only (0600), in a private folder where there is none.

    Files that sqlite puts beside it (`-wal`, `-shm`) inherit its mode.

    Raises:
        OSError: It cannot be made.
    """
    private_folder(file.parent)
    try:
        file.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return
