"""Single limits: one kind of spending in one scope, under one key. Counts nothing."""

from collections.abc import Iterator
from math import inf
from typing import Literal, NamedTuple

from stretto.errors import LimitReached
from stretto.settings import Budget, Budgets, Limits, WindowBudget

Kind = Literal["money", "tokens", "calls", "seconds"]
KINDS: tuple[Kind, ...] = ("money", "tokens", "calls", "seconds")
RESUMABLE = 30 * 86_400.0
"""Seconds for which what a run spent is kept, so that it can be resumed."""


class Line(NamedTuple):
    """A limit."""

    name: str
    """Scope and kind: `tenant.money`; what `limits:` sets has its own name there."""
    kind: Kind
    limit: float
    window: float
    key: str
    """Where it is counted."""
    setting: str
    """What to raise: `budgets.tenant.money`."""
    whose: str
    """For people: `tenant \\`acme\\``."""
    node: str = ""
    """The one node it holds for."""
    of_run: bool = False
    """Ends with the run."""

    def holds_for(self, node: str) -> bool:
        """Whether what `node` does counts; a node inside a sub-graph counts for the sub-graph's node."""
        return not self.node or node == self.node or node.startswith(self.node + "/")

    def used_up(self, asked: float, wait: float) -> LimitReached:
        """The error that refuses what asks for `asked`."""
        needs = f" and the next call may take {shown(asked, self.kind)}" if asked else ""
        when = f", or wait {wait:.0f} s" if wait < inf else ""
        within = f" in {self.window:g} s" if not self.of_run and self.window < inf else ""
        return LimitReached(
            f"{self.whose} may use {shown(self.limit, self.kind)}{within}{needs}, more than is left; "
            f"raise `{self.setting}`{when}",
            limit=self.name,
            retry_after=wait if wait < inf else None,
        )

    def too_long(self) -> LimitReached:
        """The error that ends what took too long."""
        return LimitReached(
            f"{self.whose} took longer than {shown(self.limit, 'seconds')}; raise `{self.setting}`",
            limit=self.name,
        )


def shown(amount: float, kind: Kind) -> str:
    """An amount with its unit."""
    if kind == "money":
        return f"{amount:.4g} USD"
    return f"{amount:g} s" if kind == "seconds" else f"{amount:,.0f} {kind}"


def lines_of(budgets: Budgets, limits: Limits, *, agent: str, thread_id: str, tenant: str) -> Iterator[Line]:
    """Every limit that holds for a run."""
    run_key = f"{agent}/run/{thread_id}"
    for name, limit in (("tokens", limits.tokens), ("seconds", limits.seconds)):
        if limit is not None:
            kind: Kind = "tokens" if name == "tokens" else "seconds"
            key = f"{run_key}/{name}/limits"
            yield Line(name, kind, limit, RESUMABLE, key, f"limits.{name}", "this run", of_run=True)
    scopes: list[tuple[str, str, str, str, Budget]] = [
        ("tenant", f"{agent}/tenant/{tenant}", f"tenant `{tenant}`", "", budgets.tenant),
        ("thread", f"{agent}/thread/{thread_id}", f"thread `{thread_id}`", "", budgets.thread),
        ("run", run_key, "this run", "", budgets.run),
    ]
    for node, budget in budgets.nodes.items():
        scopes.append((node, f"{run_key}/{node}", f"node `{node}` of this run", node, budget))
    for scope, key, whose, node, budget in scopes:
        for kind in KINDS:
            limit = getattr(budget, kind)
            if limit is None:
                continue
            setting = f"budgets.{f'nodes.{node}' if node else scope}.{kind}"
            window = (budget.window or inf) if isinstance(budget, WindowBudget) else RESUMABLE
            of_run = not isinstance(budget, WindowBudget)
            yield Line(f"{scope}.{kind}", kind, limit, window, f"{key}/{kind}", setting, whose, node, of_run)
