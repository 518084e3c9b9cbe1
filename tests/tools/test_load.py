import sys
from pathlib import Path

import pytest

from stretto.errors import ConfigError
from stretto.tools.load import load_tools

GOOD = '''
from __future__ import annotations
from dataclasses import dataclass
from stretto import tool

@dataclass
class Order:
    number: int

@tool
def {name}(order: Order) -> str:
    """Finds."""
    return "x"
'''


def test_tools_come_from_a_file_or_a_folder(tmp_path: Path):
    (tmp_path / "b.py").write_text(GOOD.format(name="second"))
    (tmp_path / "a.py").write_text(GOOD.format(name="first"))
    (tmp_path / "_private.py").write_text("raise RuntimeError")
    before = list(sys.path)
    assert [each.name for each in load_tools(tmp_path)] == ["first", "second"]
    (only,) = load_tools(tmp_path / "a.py")
    assert only.parameters.parse('{"order": {"number": 3}}')["order"].number == 3
    assert sys.path == before
    assert load_tools(tmp_path / "..") is not None


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("x = 1\ndef f(:\n", ":2", "SyntaxError"),
        ("\n\n1 / 0\n", ":3", "ZeroDivisionError"),
        ("import no_such_package_of_ours\n", ":1", "no_such_package_of_ours"),
        ("def f():\n    raise KeyError('x')\nf()\n", ":2", "KeyError"),
        ("from stretto import tool\n@tool\ndef f(x): ...\n", ":2", "`x` of `f` has no annotation"),
        ("raise SystemExit(3)\n", ":1", "SystemExit"),
        ("x = 1\n", "", "holds no tool"),
        ("x = '\0'", "", "null"),
    ],
)
def test_a_broken_file_is_told_with_its_line(tmp_path: Path, text: str, line: str, said: str):
    file = tmp_path / "broken.py"
    file.write_text(text)
    before = set(sys.modules)
    with pytest.raises(ConfigError, match=said) as error:
        load_tools(file)
    assert f"{file}{line}" in str(error.value)
    assert said == "holds no tool" or not {name for name in set(sys.modules) - before if "broken" in name}


def test_a_name_given_twice_names_both_places(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").write_text(GOOD.format(name="same"))
    with pytest.raises(ConfigError, match=r"b\.py:\d+: the name `same` is taken by .*a\.py"):
        load_tools(tmp_path)


def test_a_missing_path_is_told(tmp_path: Path):
    with pytest.raises(ConfigError, match="no file or folder"):
        load_tools(tmp_path / "nothing")
