"""What every test gets: no network but loopback, and local models where they are pulled."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stretto.errors import ModelNotFound

_GUARD = Path(__file__).parent / "no_network"


def pytest_configure(config: pytest.Config) -> None:
    """Blocks the network before anything is imported; child processes inherit the block by PYTHONPATH."""
    spec = importlib.util.spec_from_file_location("stretto_tests_no_network", _GUARD / "sitecustomize.py")
    assert spec and spec.loader
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_GUARD), os.environ.get("PYTHONPATH", "")]))


def _pulled(name: str) -> Path:
    from stretto.models.local.cache import path_of

    try:
        return path_of(name)
    except ModelNotFound as error:
        if os.environ.get("STRETTO_MODELS_REQUIRED"):
            pytest.fail(f"STRETTO_MODELS_REQUIRED is set, and: {error}", pytrace=False)
        pytest.skip(str(error))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.model("minilm")` skips, or fails where models are required, when it is not there."""
    for mark in item.iter_markers("model"):
        for name in mark.args:
            _pulled(name)


@pytest.fixture(scope="session")
def models() -> Callable[[str], Path]:
    """`models("smollm2-135m")` is that model's path, or the test is skipped."""
    return _pulled
