"""What is kept of people is for the owner of its file only; what was there keeps its mode."""

import stat
import sys
from pathlib import Path

import pytest

from stretto._internal.private import private_file, private_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a mode of POSIX")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_folder_on_the_way_is_for_its_owner_only(tmp_path: Path) -> None:
    private_folder(tmp_path / "a" / "b")
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b")] == [0o700, 0o700]


def test_a_file_is_for_its_owner_only_and_may_be_there(tmp_path: Path) -> None:
    file = tmp_path / "a" / "threads.sqlite"
    private_file(file)
    file.write_text("kept")
    private_file(file)
    assert (mode(file), mode(file.parent), file.read_text()) == (0o600, 0o700, "kept")


def test_what_was_opened_to_a_group_stays_open(tmp_path: Path) -> None:
    file = tmp_path / "shared" / "threads.sqlite"
    file.parent.mkdir()
    file.parent.chmod(0o750)
    file.touch()
    file.chmod(0o640)
    private_file(file)
    assert (mode(file), mode(file.parent)) == (0o640, 0o750)
