"""`stretto new` makes a project from the reference project, in a clone and from the wheel."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from stretto.cli import template
from stretto.cli.main import main

ROOT = Path(__file__).parents[2]


def test_a_project_holds_its_file_and_its_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", str(tmp_path / "desk")]) == 0
    names = {path.name for path in (tmp_path / "desk").iterdir()}
    assert (
        {"stretto.yaml", ".gitignore", "agents"} <= names <= {"stretto.yaml", ".gitignore", *template.FOLDERS}
    )
    assert list((tmp_path / "desk" / "agents").glob("*/agent.yaml"))
    assert f"cd {tmp_path / 'desk'}" in capsys.readouterr().out


def test_what_runs_left_behind_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = tmp_path / "origin"
    for name in (
        "agents/a/.stretto/x",
        "agents/a/__pycache__/y.pyc",
        "agents/a/agent.yaml",
        "stretto.yaml",
        "src/z",
    ):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (origin / name).touch()
    monkeypatch.setattr(template, "source", lambda: origin)
    template.copy(tmp_path / "desk")
    files = {str(p.relative_to(tmp_path / "desk")) for p in (tmp_path / "desk").rglob("*") if p.is_file()}
    assert files == {"stretto.yaml", ".gitignore", "agents/a/agent.yaml"}


def test_it_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["new", str(tmp_path), "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["kind"] == "ConfigError"
    assert "is not an empty folder" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_will_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", str(tmp_path), "--json"]) == 0
    assert "stretto.yaml" in json.loads(capsys.readouterr().out)["files"]


@pytest.mark.slow
def test_the_wheel_carries_the_project(tmp_path: Path) -> None:
    """Built by setup.py as pip would build it, then used from the unpacked wheel alone."""
    build = "from setuptools import build_meta; import sys; print(build_meta.build_wheel(sys.argv[1]))"
    clone = tmp_path / "clone"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".stretto")
    for name in ("src", *template.FOLDERS):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, clone / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "stretto.yaml"):
        shutil.copy(ROOT / name, clone)
    command = [sys.executable, "-c", build, str(tmp_path)]
    made = subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=120)
    assert made.returncode == 0, made.stderr[-2000:]
    site = tmp_path / "site"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    assert (site / "stretto" / "py.typed").is_file()
    environment = {**os.environ, "PYTHONPATH": str(site)}
    code = (
        "import stretto, sys; from stretto.cli.main import main; print(stretto.__file__); main(['new', 'x'])"
    )
    child = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout.startswith(str(site)), "the wheel's package, not the clone's"
    assert (tmp_path / "x" / "stretto.yaml").is_file()
    assert not list((site / "stretto" / "_template").rglob("*.pyc"))
