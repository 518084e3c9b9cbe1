"""Which threads of an earlier graph a later one can take up: decided from their descriptions alone.

A new node, edge or key changes nothing for a thread that is kept. A node at which it waits, or to which it
would go next, has to be there, also by another name; and what it holds has to fit the state.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple

from stretto.graph.description import GraphDescription
from stretto.threads.checkpoint.tips import Tip


class Difference(NamedTuple):
    """What stands between a thread and the graph of today; empty where nothing does."""

    gone: tuple[str, ...] = ()
    """Nodes that the thread waits at, or goes to next, and that are not there. Those of sub-graphs by their
    path: `claim/check`."""
    unfit: tuple[tuple[str, str], ...] = ()
    """State key, and why what the thread holds under it does not fit."""
    moved: bool = False
    """Whether what the thread waits at has another name now, or other ways to it."""
    blocked: bool = False
    """Whether there is no `migrate` for what does not fit."""

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.gone or self.unfit or self.moved)


def difference(
    tips: Mapping[str, Tip],
    old: GraphDescription | None,
    new: GraphDescription,
    *,
    going_on: bool,
    within: str = "",
) -> Difference:
    """What stands between a thread and the graph `new`.

    Args:
        tips: The thread's last checkpoint by namespace, `""` for its own; those of sub-graphs only while
            their turn has not ended.
        old: The graph that wrote them; None where nobody kept it.
        new: The graph of today.
        going_on: Whether the thread is to go on where it stopped; a new turn begins anew.
        within: The path of sub-graphs, for the answer.
    """
    tip, renamed = tips[""], new.renamed
    gone: dict[str, None] = {}
    unfit = dict(_unfit(tip, old, new, going_on=going_on))
    moved, blocked = False, bool(unfit) and not new.migrates
    for start in tip.starts if going_on else ():
        name = renamed.get(start.node, start.node)
        known = new.nodes.get(name)
        if known is None or (
            start.sources and f"join:{'+'.join(_now(start.sources, renamed))}:{name}" not in known
        ):
            gone[within + start.label] = None
            continue
        before = old.nodes.get(start.node) if old else None
        moved = moved or name != start.node or (before is not None and before != known)
    for node, below in _below(tips).items() if going_on else ():
        name = renamed.get(node, node)
        if name not in new.graphs and (old is None or node in old.graphs):
            gone.update({f"{within}{node}/{start.label}": None for start in below[""].starts})
        elif name in new.graphs:
            inner_old = old.graphs.get(node) if old else None
            found = difference(below, inner_old, new.graphs[name], going_on=True, within=f"{within}{node}/")
            gone.update(dict.fromkeys(found.gone))
            unfit.update({f"{node}/{key}": why for key, why in found.unfit})
            moved, blocked = moved or found.moved, blocked or found.blocked
    return Difference(tuple(gone), tuple(unfit.items()), moved, blocked)


def close_to(name: str, old: GraphDescription | None, new: GraphDescription) -> str:
    """What the node `name` of then may be called today: of the nodes that are new, the one most like it."""
    fresh = [node for node in new.nodes if old is None or node not in old.nodes]
    near = get_close_matches(name, fresh, n=1, cutoff=0.0 if len(fresh) == 1 else 0.4)
    return near[0] if near else "NEW_NAME"


def _now(names: tuple[str, ...], renamed: Mapping[str, str]) -> list[str]:
    return [renamed.get(name, name) for name in names]


def _below(tips: Mapping[str, Tip]) -> dict[str, dict[str, Tip]]:
    """The tips of sub-graphs by the node they run in, each with namespaces of its own."""
    found: dict[str, dict[str, Tip]] = {}
    for namespace, tip in tips.items():
        if namespace:
            first, _, rest = namespace.partition("|")
            found.setdefault(first.partition(":")[0], {})[rest] = tip
    return {node: below for node, below in found.items() if "" in below}


def _unfit(
    tip: Tip, old: GraphDescription | None, new: GraphDescription, *, going_on: bool
) -> list[tuple[str, str]]:
    if not new.keys:
        return []  # a graph that langgraph compiled tells no types
    written_anew: set[str] = set() if going_on else {*(old.inputs if old else ()), *new.inputs}
    changed = _changed_types(old, new) if old else {}
    found: list[tuple[str, str]] = []
    for key in sorted(tip.held - written_anew):
        now = new.keys.get(key)
        before = old.keys.get(key) if old else None
        if now is None:
            if before is not None or old is None:
                found.append((key, "is no longer in the state"))
        elif before is not None and not _fits(before, now):
            found.append((key, f"was `{' | '.join(before)}` and is `{' | '.join(now)}`"))
        else:
            whys = [why for name, why in changed.items() if any(name in text for text in before or ())]
            found += [(key, why) for why in whys[:1]]
    return found


def _fits(before: tuple[str, ...], now: tuple[str, ...]) -> bool:
    return "Any" in now or set(before) <= set(now)


def _changed_types(old: GraphDescription, new: GraphDescription) -> dict[str, str]:
    """Classes whose objects of then are not objects of today, and why."""
    found: dict[str, str] = {}
    for name, before in old.types.items():
        now = new.types.get(name)
        if now is None or not before or not now:
            continue
        known = {field.lstrip("*"): kinds for field, kinds in now.items()}
        held = {field.lstrip("*"): kinds for field, kinds in before.items()}
        for field, kinds in held.items():
            if field not in known:
                found[name] = f"holds `{name}` with `{field}`, which the class no longer has"
            elif not _fits(kinds, known[field]):
                was, is_ = " | ".join(kinds), " | ".join(known[field])
                found[name] = f"holds `{name}`, whose `{field}` was `{was}` and is `{is_}`"
        for field in now:
            if field.startswith("*") and field[1:] not in held:
                found[name] = f"holds `{name}` without `{field[1:]}`, which the class now needs"
    return found
