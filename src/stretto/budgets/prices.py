"""`Prices`: what a model call costs, by the prices that are declared, then by the package genai-prices.

The package is data that comes with its release, read offline; it is imported at the first price that is not
declared. Models that play in this process cost nothing.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from stretto.errors import ConfigError
from stretto.settings import Price
from stretto.usage import Usage

_FREE = Price(input=0, output=0)
_KNOWN_AS = {"openai": "openai", "azure": "azure", "openrouter": "openrouter"}
"""Our providers by the package's names; other endpoints have prices of their own."""


class Prices:
    """The prices of models by name.

    Args:
        declared: `provider:model`, or `provider:*` for all of a provider; wins over the package.
    """

    def __init__(self, declared: Mapping[str, Price] | None = None) -> None:
        self._declared = dict(declared or {})
        self._package: Any = None
        self._unknown: set[str] = set()

    def cost(self, model: str, usage: Usage) -> float | None:
        """USD that the call cost, None where the model's price is not known."""
        price = self._price(model)
        if price is None:
            return self._by_package(model, usage)
        cached = price.input if price.cached is None else price.cached
        fresh = usage.input_tokens - usage.cached_tokens
        return (fresh * price.input + usage.cached_tokens * cached + usage.output_tokens * price.output) / 1e6

    def dearest(self, models: Iterable[str], usage: Usage) -> float:
        """USD that the call costs with the dearest of the models.

        Raises:
            ConfigError: The price of one is not known; it names all of them.
        """
        costs = {model: self.cost(model, usage) for model in models}
        unknown = [model for model, cost in costs.items() if cost is None]
        if unknown:
            which = ", ".join(f"`{model}`" for model in unknown)
            line = ", ".join(f'"{model}": {{input: 0.15, output: 0.60}}' for model in unknown)
            more = "" if self._package else ', or type: pip install "stretto[prices]"'
            raise ConfigError(
                f"there is a budget of money, and the price of {which} is not known; write in agent.yaml "
                f"`prices: {{{line}}}` (USD a million tokens){more}"
            )
        return max(cost for cost in costs.values() if cost is not None)

    def _price(self, model: str) -> Price | None:
        provider, name = _named(model)
        names = (model, f"{provider}:{name}", f"{provider}:*")
        declared = next((self._declared[each] for each in names if each in self._declared), None)
        return declared or (_FREE if provider == "local" else None)

    def _by_package(self, model: str, usage: Usage) -> float | None:
        provider, name = _named(model)
        if provider not in _KNOWN_AS or model in self._unknown:
            return None
        if self._package is None:
            try:
                self._package = import_module("genai_prices")
            except ImportError:
                self._package = False
        if not self._package:
            return None
        used = self._package.Usage(
            input_tokens=usage.input_tokens,
            cache_read_tokens=usage.cached_tokens or None,
            output_tokens=usage.output_tokens,
        )
        try:
            found = self._package.calc_price(used, model_ref=name, provider_id=_KNOWN_AS[provider])
        except (LookupError, ValueError):
            self._unknown.add(model)
            return None
        return float(found.total_price)


def _named(model: str) -> tuple[str, str]:
    """Provider and name; `openai/responses:x` costs what `openai:x` costs."""
    provider, _, name = model.partition(":")
    return provider.partition("/")[0], name
