"""Compares a file's size and sha256 with what is expected; one that differs is removed. Knows no source."""

import hashlib
from pathlib import Path

from stretto.errors import ModelError

BLOCK = 1 << 20


def digest_of(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: Path, sha256: str, *, what: str, size: int) -> None:
    """Returns if the file is just what is expected, else removes it.

    Raises:
        ModelError: size or content differ; the message names `what`.
    """
    found = path.stat().st_size
    digest = digest_of(path) if found == size else ""
    if digest == sha256:
        return
    path.unlink()
    difference = f"sha256 {digest[:12]}..., not {sha256[:12]}..." if digest else f"{found} bytes, not {size}"
    raise ModelError(
        f"{what} is not what the catalogue expects: {difference}. It was removed and nothing of it was used. "
        "Pull again; if it stays so, the source has changed: please report it."
    )
