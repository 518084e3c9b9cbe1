"""Rooms import downwards only, in no circle, and outside packages stay behind their fences.

The contracts are in `pyproject.toml`. Here each kind of breach is put into a copy of the tree
and must be seen.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VENV = Path(sys.executable).parent


def check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(VENV / "lint-imports"), "--no-cache"]
    environment = {"PYTHONPATH": str(root / "src"), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(
        ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def write(root: Path, module: str, text: str) -> None:
    """Appends `text` to a module of the copy; makes the module, and its room, where they are missing."""
    path = root / "src" / "stretto" / module
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in path.parents:
        if folder.name == "src":
            break
        (folder / "__init__.py").touch()
    with path.open("a") as file:
        file.write(f"\n{text}\n")


def test_the_house_stands() -> None:
    result = check(ROOT)
    assert result.returncode == 0, result.stdout


def test_the_copy_stands_before_a_breach(copy: Path) -> None:
    result = check(copy)
    assert result.returncode == 0, result.stdout


BREACHES = {
    "a room imports one above it": ("messages.py", "import stretto.cli", "stretto.messages -> stretto.cli"),
    "a late import counts too": (
        "media/breach.py",
        "def f():\n    from stretto.models import protocol",
        "stretto.media.breach -> stretto.models",
    ),
    "rooms beside each other do not meet": (
        "tools/breach.py",
        "from stretto.models import protocol",
        "stretto.tools.breach -> stretto.models",
    ),
    "langgraph outside the graph": (
        "nodes/breach.py",
        "import langgraph.types",
        "stretto.nodes.breach -> langgraph",
    ),
    "langchain_core in threads beside the savers": (
        "threads/breach.py",
        "from langchain_core import messages",
        "stretto.threads.breach -> langchain_core",
    ),
    "openai outside the models": ("agent/breach.py", "import openai.types", "stretto.agent.breach -> openai"),
    "chromadb beside its adapter": (
        "knowledge/stores/breach.py",
        "import chromadb",
        "stretto.knowledge.stores.breach -> chromadb",
    ),
    "fastapi outside serve": ("agent/breach.py", "import fastapi", "stretto.agent.breach -> fastapi"),
    "IPython outside the notebook": (
        "display/breach.py",
        "import IPython",
        "stretto.display.breach -> IPython",
    ),
    "a room without a place in the layers": ("attic/__init__.py", "", "stretto.attic"),
}


@pytest.mark.parametrize("kind", BREACHES)
def test_a_breach_is_seen(copy: Path, kind: str) -> None:
    module, text, seen = BREACHES[kind]
    if "stretto.cli" in text:
        write(copy, "cli/__init__.py", "")
    write(copy, module, text)
    result = check(copy)
    assert result.returncode == 1, result.stdout
    report = result.stdout + result.stderr
    assert all(name.strip() in report for name in seen.split("->")), report


def test_a_circle_inside_a_room_is_seen(copy: Path) -> None:
    write(copy, "nodes/one.py", "from stretto.nodes import two")
    write(copy, "nodes/two.py", "from stretto.nodes import one")
    result = check(copy)
    assert result.returncode == 1
    assert "No circle, in the house or in any room BROKEN" in " ".join(result.stdout.split())


def test_the_places_inside_a_fence_are_free(copy: Path) -> None:
    write(copy, "graph/free.py", "import langgraph.types")
    write(copy, "threads/checkpoint/free.py", "import langgraph.checkpoint\nimport langchain_core")
    write(copy, "models/free.py", "import openai")
    write(copy, "knowledge/stores/chroma.py", "import chromadb")
    result = check(copy)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import pickle", "pickle"),
        ("from langgraph.func import task", "langgraph.func"),
        ("from langgraph.prebuilt import ToolNode", "langgraph.prebuilt"),
        ("from chromadb.utils import embedding_functions", "chromadb.utils"),
        ("import yaml\n\nyaml.load('')", "yaml.load"),
    ],
)
def test_a_fenced_part_of_a_package_is_seen(tmp_path: Path, line: str, name: str) -> None:
    path = tmp_path / "breach.py"
    path.write_text(f'"""A breach."""\n\n{line}\n')
    command = [str(VENV / "ruff"), "check", "--no-cache", "--config", str(ROOT / "pyproject.toml"), str(path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert "TID251" in result.stdout and f"`{name}` is banned" in result.stdout
