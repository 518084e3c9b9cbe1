"""The local model keeps the contract of every chat model."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from stretto.models.local import process
from stretto.models.local.chat import LocalChat
from stretto.testing.model_contract import ModelContract


@pytest.fixture(scope="module")
def loaded(models: Callable[[str], Path]) -> Iterator[None]:
    """Keeps the process between the tests, so that the weights are loaded once."""
    kept = process.acquire(LocalChat("smollm2-135m", context=1024).load())
    yield
    process.release(kept)


@pytest.mark.slow
@pytest.mark.model("smollm2-135m")
class TestLocalChat(ModelContract):
    """On SmolLM2, with a context small enough to overflow quickly."""

    @pytest.fixture
    async def model(self, loaded: None) -> AsyncIterator[LocalChat]:
        model = LocalChat("smollm2-135m", context=1024)
        yield model
        await model.close()
