"""Every mistake in a YAML file is told with file, line and column, and with what is allowed."""

from pathlib import Path
from typing import Literal

import msgspec
import pytest

from stretto._internal.yaml_files import place, read_yaml
from stretto.agent.project import AgentFile
from stretto.errors import ConfigError


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    steps: int = 1


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    inner: Inner = msgspec.field(default_factory=Inner)
    many: list[Inner] = []
    table: dict[str, Inner] = {}
    either: str | Inner = ""
    take: Literal["tea", "bread"] | None = None


def read(tmp_path: Path, text: str | bytes) -> Outer:
    path = tmp_path / "file.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path, Outer)


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("name: a\nstep: 1\n", "2:1", "`step` is not known here"),
        ("name: a\ninner:\n  stepz: 1\n", "3:3", "did you mean `steps`?"),
        ("name: a\ninner:\n  steps: many\n", "3:10", "`inner.steps`: expected `int`, got `str`"),
        ("name: a\nmany:\n  - steps: 1\n  - steps: x\n", "4:12", "expected `int`"),
        ("name: a\nmany:\n  - setps: 1\n", "3:5", "did you mean `steps`?"),
        ("inner:\n  steps: 1\n", "1:1", "`name` is required"),
        ("name: a\nname: b\n", "2:1", "`name` is given twice"),
        ("name: [a\n", "2:1", "expected"),
        ("name: a\n\tinner: 1\n", "2:1", "character"),
        ("- a\n", "1:1", "Expected `object`, got `array`; write a mapping with `name:`"),
        ("name: a\nzzz: 1\n", "2:1", "`zzz` is not known here. Allowed: name, inner"),
        ("name: a\ninner: 1\n", "2:8", "expected `object`, got `int`; write a mapping. Its keys: steps"),
        ("name: a\ntable: {x: [1]}\n", "2:12", "`table.x`: expected `object`, got `array`; write a mapping."),
        ("name: a\neither: 5\n", "2:9", "got `int`; write a word, or a mapping. Its keys: steps"),
        (
            "name: a\ntake: brea\n",
            "2:7",
            "`take`: `brea` is not known here; did you mean `bread`? Allowed: b",
        ),
        ("name: a\ntake: zzz\n", "2:7", "`take`: `zzz` is not known here. Allowed: bread, tea"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, place: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert f"file.yaml:{place}" in str(caught.value)
    assert told in str(caught.value)


def test_a_tag_that_would_make_an_object_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read(tmp_path, "name: !!python/object/apply:os.getcwd []\n")


def test_bytes_that_are_not_utf8_and_missing_files_are_our_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="UTF-8"):
        read(tmp_path, b"name: \xff\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml", Outer)
    with pytest.raises(ConfigError, match="larger"):
        read(tmp_path, "name: " + "a" * 1_000_001)


def test_a_good_file_is_read_and_an_empty_one_is_all_defaults(tmp_path: Path) -> None:
    assert read(tmp_path, "name: a\nmany: [{steps: 3}]\n").many[0].steps == 3
    empty = tmp_path / "agent.yaml"
    empty.write_text("")
    assert read_yaml(empty, AgentFile).tools == []


class Row(msgspec.Struct, forbid_unknown_fields=True):
    size: int
    parts: dict[str, int] = {}


def test_what_is_wrong_in_a_table_is_told_with_its_key(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("a.b: {size: 1}\nc:\n  size: 2\n  parts: {x: 1, y.z: two}\n")
    with pytest.raises(ConfigError, match=r"t\.yaml:4:22: `c\.parts\.y\.z`: expected `int`, got `str`"):
        read_yaml(file, dict[str, Row])
    file.write_text("a: {size: 1}\nb: {siez: 1, size: 1}\n")
    with pytest.raises(ConfigError, match=r"t\.yaml:2:5: `siez` is not known here; did you mean `size`"):
        read_yaml(file, dict[str, Row])


def test_the_place_of_what_stands_under_keys_is_told_as_far_as_they_lead(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("a:\n  b: [x, {c: y}]\n")
    assert place(file, "a", "b", 1, "c") == f"{file}:2:14"
    assert place(file, "a", "b", 0, "c") == f"{file}:2:7"
    assert place(file, "a", "no") == f"{file}:2:3"
