import numpy as np
import pytest

from stretto.errors import BadRequest
from stretto.models.protocol import Embedder
from stretto.testing.embedder import HashingEmbedder


async def test_vectors_are_of_length_one_and_the_same_each_time():
    embedder = HashingEmbedder(64)
    assert isinstance(embedder, Embedder)
    first = await embedder.embed(["a warranty of two years", "?!", "refunds"])
    assert first.shape == (3, 64) and first.dtype == np.float32
    assert np.linalg.norm(first, axis=1) == pytest.approx([1, 1, 1])
    assert np.array_equal(
        first, await HashingEmbedder(64).embed(["a warranty of two years", "?!", "refunds"])
    )
    assert embedder.texts == ["a warranty of two years", "?!", "refunds"]


async def test_texts_that_share_words_are_nearer():
    rows = await HashingEmbedder().embed(
        ["how long is the warranty", "the warranty is long", "blue bicycles"]
    )
    assert rows[0] @ rows[1] > 0.5 > rows[0] @ rows[2]


async def test_it_is_strict():
    embedder = HashingEmbedder(name="mine:words")
    assert (embedder.name, embedder.dimensions) == ("mine:words", 256)
    with pytest.raises(BadRequest):
        await embedder.embed([" "])
    await embedder.close()
    with pytest.raises(RuntimeError):
        await embedder.embed(["x"])
    with pytest.raises(ValueError, match="16"):
        HashingEmbedder(8)
