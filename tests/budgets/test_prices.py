"""Prices: the declared ones win, local models are free, an unknown price is told with what to type."""

import sys

import pytest

from stretto.budgets import Prices
from stretto.errors import ConfigError
from stretto.settings import Price
from stretto.usage import Usage

USAGE = Usage(input_tokens=1000, cached_tokens=400, output_tokens=200, calls=1)


def test_a_declared_price_is_a_million_tokens_in_usd() -> None:
    prices = Prices({"vllm:mine": Price(input=1, output=5, cached=0.5), "ollama:*": Price(input=2, output=2)})
    assert prices.cost("vllm:mine", USAGE) == pytest.approx((600 * 1 + 400 * 0.5 + 200 * 5) / 1e6)
    assert prices.cost("ollama:anything", USAGE) == pytest.approx(1200 * 2 / 1e6)
    assert Prices({"a:b": Price(input=1, output=5)}).cost("a:b", USAGE) == pytest.approx(2000 / 1e6)


def test_the_wire_of_a_model_does_not_change_its_price() -> None:
    prices = Prices({"openai:x": Price(input=1, output=5), "azure:*": Price(input=2, output=2)})
    assert prices.cost("openai/responses:x", USAGE) == prices.cost("openai:x", USAGE)
    assert prices.cost("azure/responses:y", USAGE) == prices.cost("azure:z", USAGE)


def test_what_plays_here_costs_nothing() -> None:
    assert Prices().cost("local:qwen2.5-coder-0.5b", USAGE) == 0


def test_known_models_are_priced_by_the_package() -> None:
    package = pytest.importorskip("genai_prices")
    used = package.Usage(input_tokens=1000, cache_read_tokens=400, output_tokens=200)
    expected = package.calc_price(used, model_ref="gpt-4o-mini", provider_id="openai").total_price
    assert Prices().cost("openai:gpt-4o-mini", USAGE) == pytest.approx(float(expected))
    assert 0 < float(expected) < 0.01


def test_a_declared_price_wins_over_the_package() -> None:
    declared = Prices({"openai:gpt-4o-mini": Price(input=1000, output=0)})
    assert declared.cost("openai:gpt-4o-mini", USAGE) == pytest.approx(1.0)


def test_of_several_models_the_dearest_counts() -> None:
    prices = Prices({"a:x": Price(input=1, output=1), "b:y": Price(input=9, output=9)})
    assert prices.dearest(["a:x", "b:y"], USAGE) == prices.cost("b:y", USAGE)


@pytest.mark.parametrize("model", ["compatible:mine", "openai:no-such-model-9"])
def test_an_unknown_price_says_what_to_type(model: str) -> None:
    with pytest.raises(ConfigError, match=rf"price of `{model}` is not known.*prices: .*\"{model}\"") as told:
        Prices().dearest([model], USAGE)
    assert "USD a million tokens" in str(told.value)


def test_without_the_package_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    with pytest.raises(ConfigError, match=r'pip install "stretto\[prices\]"'):
        Prices().dearest(["openai:gpt-4o-mini"], USAGE)
