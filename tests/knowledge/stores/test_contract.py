"""Every vector store does what the protocol says."""

import numpy as np
import pytest

from stretto.errors import ConfigError
from stretto.knowledge.stores.registry import STORES, store_opener


def unit(*rows):
    vectors = np.array(rows, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(params=sorted(STORES))
def store(request, tmp_path):
    opened = store_opener(request.param)(tmp_path / "vectors")
    yield opened
    opened.close()
    opened.close()


def test_an_empty_store_answers(store):
    assert store.count() == 0
    assert store.query(unit([1, 0])[0], 10) == []
    assert store.vectors(["a"]) == {}
    store.delete(["a"])
    store.delete([])


def test_the_nearest_come_first_with_their_cosine(store):
    store.upsert(["a", "b", "c"], unit([1, 0], [1, 1], [-1, 0]))
    found = store.query(unit([1, 0])[0], 10)
    assert [key for key, _ in found] == ["a", "b", "c"]
    assert [cosine for _, cosine in found] == pytest.approx([1, 0.5**0.5, -1], abs=1e-3)
    assert len(store.query(unit([1, 0])[0], 2)) == 2


def test_an_upsert_replaces_and_a_read_sees_it(store):
    store.upsert(["a"], unit([1, 0]))
    assert store.vectors(["a"])["a"] == pytest.approx([1, 0])
    store.upsert(["a"], unit([0, 1]))
    assert store.count() == 1
    assert store.vectors(["a", "missing"])["a"] == pytest.approx([0, 1])


def test_a_deleted_vector_is_gone(store):
    store.upsert(["a", "b"], unit([1, 0], [0, 1]))
    store.vectors(["a", "b"])
    store.delete(["a", "missing"])
    assert store.count() == 1 and list(store.vectors(["a", "b"])) == ["b"]
    assert [key for key, _ in store.query(unit([1, 0])[0], 5)] == ["b"]


def test_more_rows_than_one_batch_are_taken(store):
    ids = [f"id{number}" for number in range(5600)]
    angles = np.linspace(0, 3, len(ids))
    store.upsert(ids, np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))
    assert store.count() == len(ids) and len(store.vectors(ids)) == len(ids)
    store.delete(ids[10:])
    assert store.count() == 10


def test_an_unknown_store_is_named():
    with pytest.raises(ConfigError, match="chroma, memory"):
        store_opener("nope")
