"""`Spending`: an agent's budgets with what they need: prices, counters, the models its ladder names.

Makes a ledger for each run. Knows no file; opens the counters and the models when a run first needs them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from stretto._internal.yaml_files import place
from stretto.agent.project import find_project
from stretto.budgets import Ledger, Prices, open_ledger
from stretto.context import Counters, Run
from stretto.counters import MemoryCounters, SqliteCounters
from stretto.errors import ConfigError, ModelNotFound
from stretto.models import Model
from stretto.models.files import POOL
from stretto.models.protocol import ChatModel
from stretto.nodes.budgeted import priced
from stretto.settings import Budgets, Limits, Price
from stretto.threads.stores import store_of
from stretto.usage import Usage

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
        source: The agent.yaml that says all this, for errors.
    """

    def __init__(
        self,
        budgets: Budgets | Mapping[str, Any] | None = None,
        *,
        prices: Mapping[str, Price] | None = None,
        counters: Counters | None = None,
        models: Mapping[str, ChatModel] | None = None,
        open_model: Callable[[str], ChatModel] = Model,
        source: Path | None = None,
    ) -> None:
        self.budgets = _budgets(budgets)
        self._prices = None if prices is None else Prices(prices)
        self._counters, self._open_model, self._source = counters, open_model, source
        self._models, self._opened = dict(models or {}), dict[str, ChatModel]()
        for index, rung in enumerate(self.budgets.ladder):
            if rung.take == "cheaper_model" and rung.model is None and rung.tier is None:
                raise ConfigError(
                    "`cheaper_model` needs a model; add `model: openai:NAME`, "
                    "or `tier: 0` where the agent's model is a pool",
                    where=self._place(index, "take"),
                )
            if rung.take == "less_context" and rung.history is None and rung.passages is None:
                raise ConfigError(
                    "`less_context` needs a number; add `history: 1` (turns), `passages: 1` (hits) or both",
                    where=self._place(index, "take"),
                )
        for name in prices or {}:
            if name.startswith(POOL):
                raise ConfigError(
                    f"prices: `{name}` is a pool, and those are priced by their members; name these instead"
                )

    def check(self, nodes: Iterable[str]) -> None:
        """Raises ConfigError where a budget is for a node that is not there."""
        nodes = tuple(nodes)
        for name in self.budgets.nodes:
            if name.partition("/")[0] not in nodes:
                raise ConfigError(f"budgets.nodes: there is no node `{name}`; there are {', '.join(nodes)}")

    def open(self, models: Sequence[ChatModel]) -> None:
        """Opens the models of the ladder, and looks for what could only fail in a turn.

        Args:
            models: The agent's own, as far as they are known.

        Raises:
            ConfigError: A step begins at a tier that no pool has, or money is limited and prices are missing.
            ModelNotFound: The ladder names a model that is not there.
        """
        named, budgets = self._named(), self.budgets
        for index, rung in enumerate(budgets.ladder):
            asked = models if rung.model is None else [named[rung.model]]
            if rung.take == "cheaper_model" and rung.tier is not None and asked:
                self._check_tier(index, rung.tier, asked)
        if any(budget.money is not None for budget in (budgets.run, budgets.thread, budgets.tenant)):
            ladder = [named[rung.model] for rung in budgets.ladder if rung.model is not None]
            names = [name for model in (*models, *ladder) for name in priced(model)]
            if names:
                (self._prices or Prices()).dearest(names, Usage(input_tokens=1, output_tokens=1))

    def _check_tier(self, index: int, tier: int, models: Sequence[ChatModel]) -> None:
        """A tier means something to a pool alone."""
        where = self._place(index, "tier")
        members: list[Any] = [each for model in models for each in getattr(model, "members", ())]
        names = ", ".join(f"`{model.name}`" for model in models)
        if not members:
            raise ConfigError(f"{names} is no pool and has no tiers; name a cheaper `model`", where=where)
        if tier > max(member.tier for member in members):
            there = ", ".join(str(each) for each in sorted({member.tier for member in members}))
            raise ConfigError(f"no member of {names} has tier {tier}; there are {there}", where=where)

    def check_ladder(self, limits: Limits) -> None:
        """Raises ConfigError for a ladder that nothing could ever lead to."""
        budgets = self.budgets
        scopes = budgets.run, budgets.thread, budgets.tenant, *budgets.nodes.values()
        counted = (
            limits.tokens,
            *(each for scope in scopes for each in (scope.money, scope.tokens, scope.calls)),
        )
        if budgets.ladder and all(limit is None for limit in counted):
            raise ConfigError(
                "a step is taken when a budget of tokens, money or calls is nearly spent, and there is none; "
                "add one, such as `run: {calls: 12}`",
                where=place(self._source, "budgets", "ladder") if self._source else "budgets.ladder",
            )

    def _place(self, index: int, key: str) -> str:
        """Where `key` of a step stands."""
        if self._source is None:
            return f"budgets.ladder[{index}].{key}"
        return place(self._source, "budgets", "ladder", index, key)

    def keep_beside(self, threads: Path | str | None) -> None:
        """Keeps the sums in the folder of the threads, or in memory, if nothing else was said.

        Those of threads in a database are kept in the project's storage: they are this machine's.
        """
        store = store_of("memory" if threads is None else threads)
        if self._counters is None and (threads is None or store == "memory"):
            self._counters = MemoryCounters()
        elif self._counters is None:
            folder = find_project().storage if store == "postgres" else Path(threads or "").parent
            self._counters = SqliteCounters(folder / "counters.sqlite")

    def ledger(self, run: Run, agent: str) -> Ledger | None:
        """The ledger of a run; None where nothing is limited or priced."""
        self.check_ladder(run.limits)
        return open_ledger(
            run,
            agent=agent,
            budgets=self.budgets,
            counters=self._counters,
            prices=self._prices,
            models=self._named(),
        )

    def _named(self) -> Mapping[str, ChatModel]:
        for index, rung in enumerate(self.budgets.ladder):
            if rung.model is not None and rung.model not in self._models:
                model = self._open(rung.model, index)
                self._models[rung.model] = self._opened[rung.model] = model
        return self._models

    def _open(self, name: str, index: int) -> ChatModel:
        """The model that a step names; what is wrong with it is told with the place."""
        try:
            return self._open_model(name)
        except (ModelNotFound, ConfigError) as error:
            if getattr(error, "where", ""):
                raise
            where = self._place(index, "model")
            if isinstance(error, ConfigError):
                raise ConfigError(str(error), where=where) from None
            raise ModelNotFound(f"{where}: {error}") from None

    async def close(self) -> None:
        """Closes the counters and the models it opened."""
        for name, model in self._opened.items():
            del self._models[name]
            await model.close()
        self._opened.clear()
        if isinstance(self._counters, SqliteCounters):
            await self._counters.close()
