import asyncio
import threading

import numpy as np
import pytest

from stretto.errors import ModelError, ModelNotFound
from stretto.models import factory
from stretto.models.local import embeddings
from stretto.models.local.embeddings import MiniLM, open_embedder
from stretto.models.protocol import Embedder

PAIRS = [
    ("How do I send something back?", "Items may be returned within thirty days."),
    ("What does delivery cost?", "Shipping is free above fifty euros."),
    ("The brake squeaks.", "A noisy brake needs new pads."),
]


def test_without_the_model_the_command_is_named(cache):
    with pytest.raises(ModelNotFound, match="stretto models pull minilm"):
        open_embedder("minilm")


def test_another_name_lists_what_there_is():
    with pytest.raises(ModelNotFound, match="there is local:minilm"):
        open_embedder("large")


@pytest.mark.slow
@pytest.mark.model("minilm")
class TestMiniLM:
    async def test_it_is_an_embedder(self):
        model = factory.embedder("local:minilm", threads=1)
        assert isinstance(model, Embedder)
        assert (model.name, model.dimensions) == ("local:minilm", 384)
        await model.close()

    async def test_rows_are_float32_of_length_1_in_the_order_of_the_texts(self):
        model = MiniLM(threads=1)
        texts = [text for pair in PAIRS for text in pair] * 3
        rows = await model.embed(texts)
        assert rows.shape == (18, 384) and rows.dtype == np.float32
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert np.array_equal(rows[:6], rows[12:])
        assert np.allclose(rows[4], (await model.embed([texts[4]]))[0], atol=1e-6)
        await model.close()

    async def test_a_question_is_nearest_to_its_own_passage(self):
        model = MiniLM(threads=1)
        questions = await model.embed([question for question, _ in PAIRS])
        passages = await model.embed([passage for _, passage in PAIRS])
        assert (questions @ passages.T).argmax(axis=1).tolist() == [0, 1, 2]
        await model.close()

    async def test_texts_are_cut_at_256_tokens_and_an_empty_one_has_a_vector(self):
        model = MiniLM(threads=1)
        cut = "pump " * 254
        rows = await model.embed([cut + "hose", cut + "wheel and much more", ""])
        assert np.array_equal(rows[0], rows[1])
        assert np.isclose(np.linalg.norm(rows[2]), 1, atol=1e-5)
        await model.close()

    async def test_no_texts_give_no_rows(self):
        model = MiniLM()
        assert (await model.embed([])).shape == (0, 384)
        await model.close()

    async def test_a_question_asked_again_is_remembered_and_cannot_be_spoilt(self, monkeypatch):
        model = MiniLM(threads=1)
        first = await model.embed(["Where is my order?"])
        monkeypatch.setattr(model, "_embed", lambda texts: pytest.fail("embedded again"))
        second = await model.embed(["Where is my order?"])
        assert np.array_equal(first, second)
        second[:] = 0
        assert np.array_equal(first, await model.embed(["Where is my order?"]))
        await model.close()

    async def test_only_so_many_questions_are_remembered(self, monkeypatch):
        monkeypatch.setattr(embeddings, "REMEMBERED", 2)
        model = MiniLM(threads=1)
        for text in ("one", "two", "one", "three"):
            await model.embed([text])
        assert list(model._known) == ["one", "three"]
        await model.close()

    async def test_a_question_does_not_wait_for_a_whole_library(self):
        model, order = MiniLM(threads=1), []

        async def embed(name: str, texts: list[str]) -> None:
            await model.embed(texts)
            order.append(name)

        library = asyncio.create_task(embed("library", [f"Document number {n}." for n in range(60)]))
        await asyncio.sleep(0)
        await embed("question", ["Where is my order?"])
        await library
        assert order == ["question", "library"]
        await model.close()

    async def test_the_event_loop_is_free_meanwhile(self, monkeypatch):
        model, started, go = MiniLM(threads=1), threading.Event(), threading.Event()

        def slow(texts: list[str]):
            started.set()
            assert go.wait(20)
            return np.ones((len(texts), 384), np.float32)

        monkeypatch.setattr(model, "_embed", slow)
        task = asyncio.create_task(model.embed(["one"]))
        await asyncio.to_thread(started.wait, 20)
        assert not task.done()  # and we are here: the loop turns
        go.set()
        await task
        await model.close()

    async def test_a_closed_embedder_says_so(self):
        model = MiniLM()
        await model.close()
        await model.close()
        with pytest.raises(ModelError, match="local:minilm is closed"):
            await model.embed(["one"])
