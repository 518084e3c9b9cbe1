"""Builds the wheel: `pyproject.toml` says everything but one thing, which is here.

The reference project of this repository goes into the wheel as `stretto/_template`, for `stretto new`.
Its files are those that git tracks, else all that are there.
"""

import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
PROJECT = ("stretto.yaml", "agents", "tools", "prompts", "evals", "schemas")
IGNORED = {"__pycache__", ".stretto", ".DS_Store"}


def project_files() -> list[Path]:
    """The files of the reference project, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *PROJECT], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode == 0 and listed.stdout:
        found = [Path(name) for name in listed.stdout.split("\0") if name]
    else:
        folders = [ROOT / name for name in PROJECT]
        found = [path.relative_to(ROOT) for top in folders for path in (top, *top.rglob("*"))]
    return [path for path in found if (ROOT / path).is_file() and not IGNORED & set(path.parts)]


class BuildWithProject(build_py):
    """`build_py`, and the project beside the package."""

    def run(self) -> None:
        """Builds, then copies."""
        super().run()
        if self.editable_mode:
            return  # a clone uses its own top-level folders
        target = Path(self.build_lib) / "stretto" / "_template"
        shutil.rmtree(target, ignore_errors=True)
        for path in project_files():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, target / path)


setup(cmdclass={"build_py": BuildWithProject})
