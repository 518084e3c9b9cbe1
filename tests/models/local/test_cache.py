import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stretto.errors import ModelNotFound
from stretto.models.local import cache as local_cache


def test_the_cache_is_where_the_environment_says(cache: Path):
    assert local_cache.root() == cache
    assert local_cache.folder_of("minilm") == cache / "models" / "minilm"


@pytest.mark.skipif(sys.platform != "linux", reason="the user's cache folder of Linux")
def test_without_a_choice_it_is_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("STRETTO_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert local_cache.root() == tmp_path / "stretto"


def test_a_model_that_was_not_pulled_names_the_command(cache: Path):
    with pytest.raises(ModelNotFound, match=r"Type: stretto models pull minilm"):
        local_cache.path_of("local:minilm")
    assert local_cache.installed_names() == []


def test_a_file_that_broke_off_does_not_count(index, cache: Path):
    folder = local_cache.folder_of("tiny")
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"x" * (index.model.size - 1))
    assert not local_cache.installed("tiny")
    (folder / "model.bin").write_bytes(b"x" * index.model.size)
    assert local_cache.installed("tiny")
    assert local_cache.path_of("tiny") == local_cache.path_of("tiny", "model.bin") == folder / "model.bin"
    assert local_cache.installed_names() == ["tiny"]


def test_an_unknown_file_of_a_model_lists_its_files(cache: Path):
    with pytest.raises(ModelNotFound, match=r"it has model.onnx, tokenizer.json"):
        local_cache.path_of("minilm", "vocabulary.txt")


def test_a_model_can_be_removed_once(index, cache: Path):
    local_cache.folder_of("tiny").mkdir(parents=True)
    assert local_cache.remove("tiny")
    assert not local_cache.remove("tiny")


HOLDER = """
import sys
from stretto.models.local.cache import locked
with locked("minilm"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_waits_for_the_lock_and_gets_it_when_the_first_dies(cache: Path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout and holder.stdin
    waited, entered = threading.Event(), threading.Event()

    def enter() -> None:
        with local_cache.locked("minilm", waited.set):
            entered.set()

    thread = threading.Thread(target=enter)
    try:
        assert holder.stdout.readline() == "held\n"
        thread.start()
        assert waited.wait(20)
        assert not entered.is_set()
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    assert entered.wait(20)
    thread.join()
