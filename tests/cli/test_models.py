"""`stretto models` lists, pulls and removes; the sources themselves are tested in tests/models/local."""

import json
from pathlib import Path

import pytest

from stretto.cli import models as verb
from stretto.cli.main import main
from stretto.models.local.catalogue import CATALOGUE, DEFAULTS


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STRETTO_CACHE", str(tmp_path))
    return tmp_path


def install(cache: Path, name: str) -> None:
    """Files of the right size, without content."""
    folder = cache / "models" / name
    folder.mkdir(parents=True)
    for file in CATALOGUE[name].files:
        with (folder / file.name).open("wb") as handle:
            handle.truncate(file.size)


def test_the_list_names_every_model_with_licence_and_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["models"]
    assert [model["pull"] for model in listed] == list(CATALOGUE)
    assert all(model["licence"] and model["size"] and not model["installed"] for model in listed)


def test_the_list_for_people_marks_what_is_here(
    empty_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(empty_cache, "minilm")
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("here")] == ["minilm"]


def test_pulling_tells_size_and_licence_and_gives_paths(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verb, "pull", lambda name, progress: install(empty_cache, name))
    assert main(["models", "pull", "--default", "local:minilm", "--json"]) == 0
    out, err = capsys.readouterr()
    assert [model["name"] for model in json.loads(out)["models"]] == list(DEFAULTS)
    assert f"pulling {len(DEFAULTS)} model(s)" in err
    assert "Apache-2.0" in err and " MB" in err


def test_what_is_there_is_not_pulled_again(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(empty_cache, "minilm")
    monkeypatch.setattr(verb, "pull", lambda name, progress: pytest.fail("pulled again"))
    assert main(["models", "pull", "minilm"]) == 0
    assert capsys.readouterr().err == "already there: minilm\n"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["models", "pull"], "no model named"),
        (["models", "pull", "gpt-9"], "No local model is called `gpt-9`"),
    ],
)
def test_a_wrong_name_is_told(given: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(given) == 1
    assert says in capsys.readouterr().err


def test_removing_frees_the_disk(empty_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(empty_cache, "minilm")
    assert main(["models", "remove", "minilm", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": ["minilm"]}
    assert not (empty_cache / "models" / "minilm").exists()
