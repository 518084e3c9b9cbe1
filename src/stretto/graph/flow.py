"""Follows the ways through a graph: what is reached, ends, loops, runs at once, and was written.

Takes a graph whose names and targets are right. Up to some thousand situations (sets of nodes that run at
once) are followed; what runs at once beyond them is not looked at.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, islice, product

from stretto.graph.parts import END, START, Blueprint

MOST_SITUATIONS = 4000
Situation = tuple[frozenset[str], frozenset[tuple[int, str]]]
"""The nodes that run at once, and which sources each join has already seen."""


def flow_problems(graph: Blueprint) -> Iterator[str]:
    """What is wrong with the ways, one sentence each."""
    after = successors(graph)
    reached = _closure([START], after)
    for node in graph.nodes:
        if node.name not in reached:
            yield f"node `{node.name}` is never reached; add an edge or a route to it, or remove it"
    before: dict[str, set[str]] = {}
    for source, targets in after.items():
        for target in targets:
            before.setdefault(target, set()).add(source)
    ending = _closure([END], before)
    for node in graph.nodes:
        if node.name in reached and node.name not in ending:
            yield (
                f"node `{node.name}` has no way to END; add `add_edge(..., END)`, "
                "or `destinations=` when it returns a Command"
            )
    yield from _loops(graph, after)
    yield from _reads(graph, reached)
    yield from _at_once(graph)


def successors(graph: Blueprint) -> dict[str, set[str]]:
    """All nodes that may follow each node."""
    after: dict[str, set[str]] = {START: set()}
    for node in graph.nodes:
        after[node.name] = set(node.destinations) | (
            {node.fallback} if isinstance(node.fallback, str) else set()
        )
    for source, target in graph.edges:
        after[source].add(target)
    for join in graph.joins:
        for source in join.sources:
            after[source].add(join.target)
    for route in graph.routes:
        after[route.source] |= set(route.targets.values())
    return after


def _closure(begin: Iterable[str], after: Mapping[str, set[str]]) -> set[str]:
    found, waiting = set[str](), list(begin)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += after.get(name, ())
    return found


def _loops(graph: Blueprint, after: Mapping[str, set[str]]) -> Iterator[str]:
    if graph.max_steps is not None:
        return
    bounded = {node.name for node in graph.nodes if node.max_visits is not None}
    open_ = {name: targets - bounded for name, targets in after.items() if name not in bounded}
    told = set[str]()
    for name in open_:
        below = _closure(open_[name], open_)
        if name in below and name not in told:
            loop = [other for other in open_ if other in below and name in _closure(open_[other], open_)]
            told |= set(loop)
            names = ", ".join(f"`{other}`" for other in loop)
            yield (
                f"the loop of {names} has no bound; give one of its nodes `max_visits=`, "
                "or the graph `max_steps=`"
            )


def _reads(graph: Blueprint, reached: set[str]) -> Iterator[str]:
    """Keys read before any write on some way. A node that declares no writes may have written all."""
    everything = frozenset(graph.keys)
    writes = {node.name: everything if node.writes is None else node.writes for node in graph.nodes}
    given = {START: graph.inputs}
    given |= {node.name: everything for node in graph.nodes}
    ways = list(_single_ways(graph))
    changed = True
    while changed:
        changed = False
        for name in given.keys() - {START}:
            sure = _meet(ways, name, given, writes, everything)
            if sure != given[name]:
                given[name], changed = sure, True
    for node in graph.nodes:
        for key in sorted((node.reads or frozenset()) - given[node.name]) if node.name in reached else ():
            yield (
                f"node `{node.name}` reads `{key}` before any node wrote it on some way from START; "
                "write it before, or name it in `Graph(..., inputs=[...])`"
            )


def _single_ways(graph: Blueprint) -> Iterator[tuple[tuple[str, ...], str, bool]]:
    """(sources, target, failed): a target follows all its sources; `failed`: the source wrote nothing."""
    for source, target in graph.edges:
        yield (source,), target, False
    for join in graph.joins:
        yield join.sources, join.target, False
    for route in graph.routes:
        for target in route.targets.values():
            yield (route.source,), target, False
    for node in graph.nodes:
        for target in node.destinations:
            yield (node.name,), target, False
        if isinstance(node.fallback, str):
            yield (node.name,), node.fallback, True


def _meet(
    ways: list[tuple[tuple[str, ...], str, bool]],
    name: str,
    given: Mapping[str, frozenset[str]],
    writes: Mapping[str, frozenset[str]],
    everything: frozenset[str],
) -> frozenset[str]:
    sure = everything
    for sources, target, failed in ways:
        if target == name:
            known = frozenset[str]()
            for source in sources:
                written = frozenset({"missing"}) if failed else writes.get(source, frozenset())
                known |= given[source] | (written & everything)
            sure &= known
    return sure


def _at_once(graph: Blueprint) -> Iterator[str]:
    """Two writers of one key in one superstep, and joins that wait for ever."""
    reduced = {key for key, annotation in graph.keys.items() if _has_reducer(annotation)}
    writes = {node.name: (node.writes or frozenset()) - reduced for node in graph.nodes}
    told = set[str]()
    for active, seen in _situations(graph):
        for one, other in combinations(sorted(active), 2):
            for key in sorted(writes.get(one, frozenset()) & writes.get(other, frozenset())):
                problem = (
                    f"nodes `{one}` and `{other}` write `{key}` at once, and it has no reducer; "
                    f"annotate it `Annotated[..., reducer]`, or run them one after the other"
                )
                if problem not in told:
                    told.add(problem)
                    yield problem
        if not active and seen:
            join = graph.joins[min(index for index, _ in seen)]
            if any(len(set(join.sources) & set(route.targets.values())) > 1 for route in graph.routes):
                continue  # the route may take several of these ways at once
            waiting = ", ".join(f"`{source}`" for source in join.sources)
            problem = (
                f"node `{join.target}` waits for {waiting}, and on some way not all of them run; "
                "lead every way through all of them, or use plain edges"
            )
            if problem not in told:
                told.add(problem)
                yield problem


def _situations(graph: Blueprint) -> Iterator[Situation]:
    plain: dict[str, list[str]] = {}
    for source, target in graph.edges:
        plain.setdefault(source, []).append(target)
    options = {
        name: list(_options(graph, name, plain.get(name, [])))
        for name in (START, *(n.name for n in graph.nodes))
    }
    first: Situation = (frozenset({START}), frozenset())
    known, waiting = {first}, [first]
    while waiting and len(known) < MOST_SITUATIONS:
        situation = waiting.pop()
        yield situation
        for following in _next(graph, situation, options):
            if following not in known:
                known.add(following)
                waiting.append(following)


def _options(graph: Blueprint, name: str, plain: list[str]) -> Iterator[frozenset[str]]:
    """The sets of nodes that one node may lead to, END left out."""
    node = next((node for node in graph.nodes if node.name == name), None)
    route = next((route for route in graph.routes if route.source == name), None)
    always = frozenset(plain) - {END}
    ways = dict.fromkeys(route.targets.values()) if route else {}
    found = {always | ({way} - {END}) for way in ways} if ways else {always}
    if node is not None:
        found |= {always | ({way} - {END}) for way in node.destinations}
        if isinstance(node.fallback, str):
            found.add(frozenset({node.fallback}) - {END})
    yield from found


def _next(
    graph: Blueprint, situation: Situation, options: Mapping[str, list[frozenset[str]]]
) -> Iterator[Situation]:
    active, seen = situation
    arrived = seen | {
        (index, name) for index, join in enumerate(graph.joins) for name in active if name in join.sources
    }
    full = [
        index
        for index, join in enumerate(graph.joins)
        if all((index, source) in arrived for source in join.sources)
    ]
    left = frozenset(item for item in arrived if item[0] not in full)
    joined = frozenset(graph.joins[index].target for index in full) - {END}
    choices = [options[name] for name in sorted(active)]
    if not active:
        return
    for chosen in islice(product(*choices), 256):
        yield joined.union(*chosen), left


def _has_reducer(annotation: object) -> bool:
    return any(callable(mark) for mark in getattr(annotation, "__metadata__", ()))
