"""`Spending`: an agent's budgets with what they need: prices, counters, the models its ladder names.

Makes a ledger for each run. Knows no file; opens the counters and the models when a run first needs them.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from stretto.budgets import Ledger, Prices, open_ledger
from stretto.context import Counters, Run
from stretto.counters import MemoryCounters, SqliteCounters
from stretto.errors import ConfigError
from stretto.models import Model
from stretto.models.protocol import ChatModel
from stretto.settings import Budgets, Price

_GIVE = (
    "give Budgets(run=Budget(calls=12)): `from stretto.settings import Budget, Budgets`, "
    "or a mapping such as {'run': {'calls': 12}}"
)


def _budgets(given: object) -> Budgets:
    if isinstance(given, Budgets):
        return given
    if given is not None and not isinstance(given, Mapping):
        raise ConfigError(f"budgets is a `{type(given).__name__}`; {_GIVE}")
    try:
        return msgspec.convert(given or {}, Budgets)
    except msgspec.ValidationError as error:
        raise ConfigError(f"budgets: {error}; {_GIVE}") from None


class Spending:
    """What an agent may spend.

    Args:
        budgets: The budgets and the ladder, also as the mapping that agent.yaml would hold.
        prices: What models cost, by `provider:model` or `provider:*`; None counts money only where a budget
            of money needs it.
        counters: Where sums are kept; by default beside the threads, so they last as long.
        models: Models that the ladder names, where a name alone does not say enough.
        open_model: Makes those that are not there from their names.
    """

    def __init__(
        self,
        budgets: Budgets | Mapping[str, Any] | None = None,
        *,
        prices: Mapping[str, Price] | None = None,
        counters: Counters | None = None,
        models: Mapping[str, ChatModel] | None = None,
        open_model: Callable[[str], ChatModel] = Model,
    ) -> None:
        self.budgets = _budgets(budgets)
        self._prices = None if prices is None else Prices(prices)
        self._counters, self._open = counters, open_model
        self._models, self._opened = dict(models or {}), dict[str, ChatModel]()
        for rung in self.budgets.ladder:
            if rung.take == "cheaper_model" and rung.model is None and rung.tier is None:
                raise ConfigError(
                    "budgets.ladder: `cheaper_model` needs a model; add `model: openai:NAME`, "
                    "or `tier: 0` where the agent's model is a pool"
                )

    def check(self, nodes: Iterable[str]) -> None:
        """Raises ConfigError where a budget is for a node that is not there."""
        nodes = tuple(nodes)
        for name in self.budgets.nodes:
            if name.partition("/")[0] not in nodes:
                raise ConfigError(f"budgets.nodes: there is no node `{name}`; there are {', '.join(nodes)}")

    def keep_beside(self, threads: Path | str | None) -> None:
        """Keeps the sums in the folder of the threads, or in memory, if nothing else was said."""
        if self._counters is None and (threads is None or threads == "memory"):
            self._counters = MemoryCounters()
        elif self._counters is None:
            self._counters = SqliteCounters(Path(threads or "").parent / "counters.sqlite")

    def ledger(self, run: Run, agent: str) -> Ledger | None:
        """The ledger of a run; None where nothing is limited or priced."""
        return open_ledger(
            run,
            agent=agent,
            budgets=self.budgets,
            counters=self._counters,
            prices=self._prices,
            models=self._named(),
        )

    def _named(self) -> Mapping[str, ChatModel]:
        for rung in self.budgets.ladder:
            if rung.model is not None and rung.model not in self._models:
                self._models[rung.model] = self._opened[rung.model] = self._open(rung.model)
        return self._models

    async def close(self) -> None:
        """Closes the counters and the models it opened."""
        for name, model in self._opened.items():
            del self._models[name]
            await model.close()
        self._opened.clear()
        if isinstance(self._counters, SqliteCounters):
            await self._counters.close()
