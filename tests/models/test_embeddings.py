import socket

import numpy as np
import pytest

from stretto.errors import BadRequest, BadResponse, ConfigError, ModelUnavailable
from stretto.models.embeddings import RemoteEmbedder
from stretto.models.factory import embedder
from stretto.models.protocol import Embedder
from stretto.models.wire.endpoint import Endpoint
from stretto.models.wire.failures import Secrets
from stretto.testing.chat_server import ChatServer
from stretto.testing.completions import vector_of


@pytest.fixture
async def server():
    async with ChatServer() as server:
        yield server


@pytest.fixture
async def remote(server):
    remote = embedder("compatible:words", base_url=server.url, batch=3, batch_characters=20)
    yield remote
    await remote.close()
    await remote.close()


async def test_vectors_keep_the_order_and_have_length_one(server, remote):
    texts = ["red apple", "blue sky", "red sky", "a", "b", "c", "d"]
    vectors = await remote.embed(texts)
    assert vectors.shape == (7, 32)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0)
    for text, vector in zip(texts, vectors, strict=True):
        expected = np.array(vector_of(text, 32))
        assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)
    assert isinstance(remote, Embedder)


async def test_batches_are_cut_by_count_and_by_characters(server, remote):
    await remote.embed(["a", "b", "c", "d", "x" * 15, "y" * 15, "z" * 90])
    batches = [served.body["input"] for served in server.served]
    assert [len(batch) for batch in batches] == [3, 2, 1, 1]
    assert [text for batch in batches for text in batch] == ["a", "b", "c", "d", "x" * 15, "y" * 15, "z" * 90]


async def test_nothing_and_empty_texts_are_fine(server, remote):
    assert (await remote.embed(["a", ""])).shape == (2, 32)
    assert (await remote.embed([])).shape == (0, 32)
    assert server.served[0].body["input"] == ["a", " "]


async def test_dimensions_are_known_asked_or_learnt(server, remote):
    with pytest.raises(ConfigError, match="pass dimensions="):
        _ = remote.dimensions
    await remote.embed(["a"])
    assert remote.dimensions == 32
    assert embedder("openai:text-embedding-3-small", api_key="k").dimensions == 1536
    asked = embedder("compatible:words", base_url=server.url, dimensions=32)
    await asked.embed(["a"])
    assert server.served[-1].body["dimensions"] == 32
    await asked.close()


async def test_vectors_of_another_size_are_refused(server):
    asked = embedder("compatible:words", base_url=server.url, dimensions=8)
    with pytest.raises(BadResponse, match=r"vectors of \[32\] numbers where 8 are expected"):
        await asked.embed(["a"])
    await asked.close()


async def test_failures_are_errors_of_ours():
    async with ChatServer(api_key="right") as server:
        wrong = embedder("compatible:words", base_url=server.url, api_key="wrong-key-123")
        with pytest.raises(BadRequest, match=r"401.*\*\*\*") as caught:
            await wrong.embed(["a"])
        assert "wrong-key-123" not in str(caught.value) + repr(wrong)
        await wrong.close()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        down = embedder("compatible:words", base_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            await down.embed(["a"])
        await down.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>", "cannot be read"),
        (b'{"data": [{"index": 0, "embedding": "AAAA"}]}', "cannot be read"),
        (b'{"data": [{"index": 1, "embedding": [1.0]}]}', "sent 1 embeddings for 1 texts"),
        (b'{"data": []}', "sent 0 embeddings for 1 texts"),
    ],
)
def test_answers_that_break_the_protocol_are_refused(content, words):
    remote = RemoteEmbedder("x:y", "y", Endpoint("x:y", "http://127.0.0.1:1", {}, Secrets()))
    with pytest.raises(BadResponse, match=words):
        remote._vectors(content, 1)
