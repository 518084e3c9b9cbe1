"""Tokens are counted by the best tokenizer there is, each text once, and nearer to what endpoints report."""

import base64
import os
from collections import Counter
from typing import Any

import pytest

from stretto import Model
from stretto.errors import ModelUnavailable
from stretto.media.tokens import media_tokens
from stretto.messages import Audio, File, Image, Message, Reasoning, Text, ToolCall, ToolResult, ToolSpec
from stretto.models import tokens
from stretto.models.tokens import A_MESSAGE, at_most, count, learn, weights
from stretto.testing import ScriptedModel

TEXTS = {
    "English": "The return period is thirty days from the day on which you received your order.",
    "German": "Die Widerrufsfrist beträgt dreißig Tage ab dem Tag, an dem Sie die Ware erhalten haben.",
    "Russian": "Срок возврата составляет тридцать дней со дня получения вашего заказа.",  # noqa: RUF001
    "Chinese": "退货期限为您收到订单之日起三十天。",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈 🤷🏽‍♀️",
    "numbers": "4f9a-77c1-0be2 1234567890 98.6 0x1F9F1",
    "half a character": "a\ud800b",
}


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_counts", {})
    monkeypatch.setattr(tokens, "_ratios", {})


@pytest.fixture
def without_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_installed", lambda: False)


class Counting(ScriptedModel):
    """A model with a tokenizer of its own: a word is a token."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__(name="local:words")
        self.counted: Counter[str] = Counter()
        self._failure = failure

    async def count_tokens(self, text: str) -> int:
        if self._failure:
            raise self._failure
        self.counted[text] += 1
        return len(text.split())


@pytest.mark.parametrize(("name", "vocabulary"), [
    ("openai:gpt-4o-mini", "o200k_base"), ("openai:gpt-4.1", "o200k_base"), ("compatible:x", "o200k_base"),
    ("openai:gpt-4-turbo", "cl100k_base"), ("azure:gpt-3.5-turbo", "cl100k_base"), ("", "o200k_base"),
])  # fmt: skip
async def test_it_counts_as_the_models_vocabulary_does(name: str, vocabulary: str) -> None:
    encoding = tokens._encoding(vocabulary)
    for text in TEXTS.values():
        assert await count([Message.user(text)], (), name) == len(encoding.encode_ordinary(text)) + A_MESSAGE


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_the_bound_that_needs_no_vocabulary_is_never_exceeded(text: str) -> None:
    tool = ToolSpec("look", text, {"type": "object"})
    said = [Message.user(text, text), Message.assistant(ToolCall("c", "look", text), Reasoning(text))]
    said.append(Message.tool(ToolResult("c", text)))
    assert await count(said, [tool]) <= at_most(said, [tool])
    assert await count(said) <= at_most(said)


async def test_the_models_own_tokenizer_comes_first_and_counts_each_text_once() -> None:
    model = Counting()
    said = [Message.user("one two"), Message.assistant("three"), Message.user("one two")]
    assert await weights(said, model) == [A_MESSAGE + 2, A_MESSAGE + 1, A_MESSAGE + 2]
    assert await count([*said, Message.user("four")], (), model) == 4 * A_MESSAGE + 6
    assert model.counted == {"one two": 1, "three": 1, "four": 1}


async def test_a_tokenizer_that_fails_leaves_it_to_the_vocabulary() -> None:
    down = Counting(ModelUnavailable("it is down"))
    assert await count([Message.user("one two")], (), down) == await count([Message.user("one two")])


async def test_without_a_vocabulary_bytes_are_counted(without_vocabulary: None) -> None:
    assert await count([Message.user("x" * 300)]) == 100 + A_MESSAGE
    assert await count([Message.user("\ud800")]) == 1 + A_MESSAGE


async def test_a_vocabulary_that_fails_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise OSError("damaged")

    broken.cache_info = tokens._encoding.cache_info  # type: ignore[attr-defined]
    monkeypatch.setattr(tokens, "_encoding", broken)
    assert await count([Message.user("x" * 300)]) == 100 + A_MESSAGE


async def test_media_cost_what_their_formula_says_and_never_their_bytes() -> None:
    source = "data:image/png;base64," + base64.b64encode(os.urandom(400_000)).decode()
    pictures = Image(source, width=1024, height=1024), Image(source, width=1024, height=1024, detail="low")
    assert [await count([Message.user(one)]) - A_MESSAGE for one in pictures] == [765, 85]
    for part in (Image(source), Audio("https://a/b", seconds=60), File(source, pages=3)):
        assert await count([Message.user(part)]) == media_tokens(part) + A_MESSAGE
    shown = Message.tool(ToolResult("c", (Text("x"), pictures[0])))
    assert 765 <= await count([shown]) < 800 and 765 <= at_most([shown]) < 800


async def test_tools_are_counted_with_their_schemas() -> None:
    tool = ToolSpec("look", "Looks.", {"type": "object", "properties": {"place": {"type": "string"}}})
    assert await count((), [tool]) > 12 and await count((), [tool, tool]) == 2 * await count((), [tool])


async def test_the_error_is_learnt_from_what_is_reported_within_bounds() -> None:
    said = [Message.user(TEXTS["English"] * 20)]
    plain = await count(said, (), "compatible:x")
    for _ in range(12):
        learn("compatible:x", await count(said, (), "compatible:x"), round(plain * 1.3))
    assert await count(said, (), "compatible:x") == pytest.approx(plain * 1.3, rel=0.01)
    assert await count(said, (), "compatible:y") == plain
    assert at_most(said, (), "compatible:x") == pytest.approx(at_most(said) * 1.3, rel=0.01)
    for _ in range(30):
        learn("compatible:x", await count(said, (), "compatible:x"), plain * 100)
    assert await count(said, (), "compatible:x") == pytest.approx(plain * tokens.MOST, rel=0.01)


async def test_reports_that_say_nothing_teach_nothing() -> None:
    learn("x", 1000, 0)
    learn("x", 10, 1000)
    assert tokens._ratios == {}


async def test_what_is_known_of_texts_and_models_is_bounded(
    monkeypatch: pytest.MonkeyPatch, without_vocabulary: None
) -> None:
    monkeypatch.setattr(tokens, "_KNOWN", 8)
    for number in range(100):
        await count([Message.user(f"text {number}")])
        learn(f"model {number}", 100, 120)
    assert len(tokens._counts) <= 8 and len(tokens._ratios) <= 8


async def test_a_text_longer_than_the_vocabulary_takes_at_one_go_is_counted() -> None:
    assert await count([Message.user("word " * 300_000)]) == pytest.approx(300_000, rel=0.01)


@pytest.mark.model("smollm2-135m")
async def test_a_local_model_counts_by_its_own_vocabulary(models: Any) -> None:
    model = Model("local:smollm2-135m")
    try:
        own = await model.count_tokens(TEXTS["Russian"])  # type: ignore[attr-defined]
        assert await count([Message.user(TEXTS["Russian"])], (), model) == own + A_MESSAGE
        assert await count([Message.user(TEXTS["Russian"])]) != own + A_MESSAGE
    finally:
        await model.close()
