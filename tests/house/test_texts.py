"""What CONTRIBUTING, the error tree and the Makefile say is so."""

import re
import subprocess
from pathlib import Path

import pytest

from stretto import errors

ROOT = Path(__file__).parents[2]


def test_the_paths_in_contributing_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    paths = re.findall(r"`((?:src|tests|docs|scripts|agents|evals)/[\w/.-]*)`", text)
    examples = {"src/stretto/a/b.py", "tests/a/test_b.py"}
    found = [
        p for p in paths if not (ROOT / p).exists() and p not in examples and not re.search("[A-Z]{3}", p)
    ]
    assert len(paths) > 15
    assert found == []


def drawn() -> dict[str, str]:
    """Each class of the tree at the head of errors.py, with its parent as drawn."""
    parents: list[str] = []
    tree: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^((?:│   |    )*(?:├── |└── )?)([A-Z]\w+)(?: |$)", line)
        if not match or (not match[1] and match[2] != "StrettoError"):
            continue
        depth = len(match[1]) // 4
        parents[depth:] = [match[2]]
        tree[match[2]] = parents[depth - 1] if depth else "Exception"
    return tree


def test_the_error_tree_is_drawn_as_it_is() -> None:
    real = {
        name: kind.__base__.__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.StrettoError) and kind.__base__
    }
    assert drawn() == real


def test_every_error_says_what_it_is() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert [kind.__name__ for kind in kinds if issubclass(kind, BaseException) and not kind.__doc__] == []


@pytest.mark.parametrize("verb", ["install", "demo", "test", "check", "bench", "faults", "docs"])
def test_make_alone_lists_every_verb(verb: str) -> None:
    result = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert f"  make {verb} " in result.stdout


def test_the_ci_script_is_one_that_bash_can_read() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(script)], timeout=30).returncode == 0
    assert "set -euo pipefail" in script.read_text()
