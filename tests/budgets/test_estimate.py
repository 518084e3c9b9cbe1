"""The estimate of a request's tokens is rather too high than too low."""

import pytest

from stretto.budgets import expected_input
from stretto.messages import Image, Message, ToolCall, ToolResult, ToolSpec

TEXTS = {
    "English": "The bicycle shop takes back unused goods within thirty days of their delivery. " * 10,
    "German": "Unbenutzte Waren nimmt das Fahrradgeschäft innerhalb von dreißig Tagen zurück. " * 10,
    "Russian": "Магазин принимает неиспользованные товары в течение тридцати дней. " * 10,
    "Chinese": "商店在三十天内接受退回未使用的商品。" * 10,
    "code": "def total(items: list[Item]) -> float:\n    return sum(item.price for item in items)\n" * 10,
}


@pytest.mark.parametrize("language", TEXTS)
def test_it_is_at_least_what_a_real_vocabulary_counts(language: str) -> None:
    vocabulary = pytest.importorskip("bpe_openai").get_encoding("o200k_base")
    counted = len(vocabulary.encode(TEXTS[language]))
    estimate = expected_input([Message.user(TEXTS[language])])
    assert counted <= estimate <= 3 * counted + 20


def test_everything_that_is_sent_counts() -> None:
    plain = expected_input([Message.user("hello")])
    spec = ToolSpec("look_up", "Looks something up.", {"type": "object", "properties": {"key": {}}})
    assert expected_input([Message.user("hello")], [spec]) > plain + 10
    assert expected_input([Message.user("hello", Image("https://a/b.png"))]) > plain + 700
    call = Message.assistant(ToolCall("1", "look_up", '{"key": "' + "x" * 300 + '"}'))
    assert expected_input([call]) > 100
    assert expected_input([Message.tool(ToolResult("1", "y" * 600))]) > 200
