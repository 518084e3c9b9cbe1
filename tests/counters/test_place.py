"""Where the shared file lies."""

from pathlib import Path

import pytest

from stretto.counters import default_path


def test_it_lies_in_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRETTO_CACHE", str(tmp_path))
    assert default_path() == tmp_path / "counters.sqlite"
