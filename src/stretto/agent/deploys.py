"""Before a deploy: which threads of a store the graph of today can take up. Changes nothing, runs nothing."""

from functools import partial
from typing import Any, Literal

from stretto._internal.plain import Plain
from stretto.graph.description import GraphDescription, kept_description
from stretto.graph.difference import Difference, difference
from stretto.graph.taking_up import refusal
from stretto.threads.checkpoint.tips import Tip, in_parts, read_threads, read_tips

Verdict = Literal["fits", "migrates", "needs_migrate", "nodes_gone"]
"""fits: goes on as it is, or under the new name of its node; migrates: the graph's `migrate` is called for
it; needs_migrate: there is none; nodes_gone: it cannot go on."""


class Group(Plain, frozen=True):
    """Threads of which the same is true."""

    verdict: Verdict
    threads: int
    waiting: int
    """Those of them that wait for an answer."""
    unfinished: int
    """Those whose turn has not ended, the waiting ones included."""
    why: str
    """What stands in their way and what to type; empty where nothing does."""
    nodes: list[str]
    """Those that are gone."""
    keys: list[str]
    """Those that do not fit."""
    graph: str
    """The fingerprint of the graph that wrote them; empty for threads without one."""
    some: list[str]
    """The ids of some of them, 10 at most."""


class Checked(Plain, frozen=True):
    """What a check found."""

    threads: int
    waiting: int
    unfinished: int
    groups: list[Group]
    """Those that stand in the way of a deploy first."""

    @property
    def passed(self) -> bool:
        """Whether every thread can be taken up."""
        return all(group.verdict in ("fits", "migrates") for group in self.groups)


_ORDER: tuple[Verdict, ...] = ("nodes_gone", "needs_migrate", "migrates", "fits")


async def check_threads(saver: Any, new: GraphDescription) -> Checked:
    """Looks at the tip of each thread in the store of `saver`, for the graph described by `new`."""
    names = await saver.file.transact(read_threads, writes=False)
    known: dict[str | None, GraphDescription | None] = {}
    found: dict[tuple[str | None, Difference], list[tuple[str, Tip]]] = {}
    for part in in_parts(names):
        read = partial(read_tips, thread_ids=part, packed=saver.packed)
        for thread_id, tips in (await saver.file.transact(read, writes=False)).items():
            stamp = tips[""].fingerprint
            if stamp not in known:
                known[stamp] = await kept_description(saver, stamp)
            going_on = bool(tips[""].starts)
            apart = difference(tips, known[stamp], new, going_on=going_on)
            found.setdefault((stamp, apart), []).append((thread_id, tips[""]))
    groups = [_group(stamp, apart, each, known[stamp], new) for (stamp, apart), each in found.items()]
    groups.sort(key=lambda group: (_ORDER.index(group.verdict), -group.threads))
    return Checked(
        threads=sum(group.threads for group in groups),
        waiting=sum(group.waiting for group in groups),
        unfinished=sum(group.unfinished for group in groups),
        groups=groups,
    )


def _group(
    stamp: str | None,
    apart: Difference,
    threads: list[tuple[str, Tip]],
    old: GraphDescription | None,
    new: GraphDescription,
) -> Group:
    verdict: Verdict = "fits"
    if apart.gone:
        verdict = "nodes_gone"
    elif apart.unfit:
        verdict = "needs_migrate" if apart.blocked else "migrates"
    return Group(
        verdict=verdict,
        threads=len(threads),
        waiting=sum(tip.asked for _, tip in threads),
        unfinished=sum(bool(tip.starts) for _, tip in threads),
        why=refusal(apart, old, new) if verdict in ("nodes_gone", "needs_migrate") else "",
        nodes=list(apart.gone),
        keys=[key for key, _ in apart.unfit],
        graph=stamp or "",
        some=[thread_id for thread_id, _ in threads[:10]],
    )
