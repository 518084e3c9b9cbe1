"""Where threads are kept in tests: a sqlite file, and a database of a real Postgres."""

from pathlib import Path
from typing import Any

import pytest

DURABLE = ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)]


@pytest.fixture(params=DURABLE)
def place(request: Any, tmp_path: Path) -> Path | str:
    """A path, or a URL; nothing is there yet."""
    return request.getfixturevalue("postgres") if request.param == "postgres" else tmp_path / "threads.sqlite"
