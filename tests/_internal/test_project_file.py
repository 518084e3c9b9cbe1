"""The project around a folder."""

from pathlib import Path

from stretto._internal.project_file import project_file


def test_the_nearest_file_upwards_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "stretto.yaml").write_text("")
    assert project_file(inner) == tmp_path / "stretto.yaml"
    (tmp_path / "a" / "stretto.yaml").write_text("")
    assert project_file(inner) == tmp_path / "a" / "stretto.yaml"


def test_a_folder_of_that_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a" / "stretto.yaml").mkdir(parents=True)
    (tmp_path / "stretto.yaml").write_text("")
    assert project_file(tmp_path / "a") == tmp_path / "stretto.yaml"
