"""What is wrong with a graph before it runs: names, targets, keys and types. Runs nothing.

`flow.py` follows the ways through the graph; what needs no following is checked here.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from stretto.graph.call import shape_of
from stretto.graph.flow import flow_problems
from stretto.graph.parts import END, START, Blueprint, Node
from stretto.threads.checkpoint.types import declared


def problems(graph: Blueprint) -> list[str]:
    """Everything that is wrong, one sentence each, with the node's name and the fix."""
    found = [
        *_names(graph),
        *_nodes(graph),
        *_renamed(graph),
        *_targets(graph),
        *_keys(graph),
        *_types(graph),
    ]
    return found or list(flow_problems(graph))


def _names(graph: Blueprint) -> Iterator[str]:
    if not graph.nodes:
        yield "the graph has no node; add one with `add_node(name, function)`"
    for name, times in Counter(node.name for node in graph.nodes).items():
        if times > 1:
            yield f"node `{name}` is added {times} times; give each its own name"
        if not name or name.startswith("__") or any(mark in name for mark in "|:/"):
            yield f"node name `{name}` is reserved; leave out `|`, `:`, `/` and a leading `__`"
    for source, times in Counter(route.source for route in graph.routes).items():
        if times > 1:
            yield f"{_node(source)} has {times} routes; make them one, whose `choose` may return a list"


def _renamed(graph: Blueprint) -> Iterator[str]:
    names = {node.name for node in graph.nodes}
    for old, new in graph.renamed.items():
        if new not in names:
            yield f"`renamed` leads from `{old}` to `{new}`, which is no node{_close(new, names)}"
        if old in names:
            yield f"`renamed` names `{old}`, which is still a node; leave it out"
    if graph.migrate is not None and not callable(graph.migrate):
        yield f"`migrate` is {type(graph.migrate).__name__}; give `def migrate(state, old) -> dict`"


def _nodes(graph: Blueprint) -> Iterator[str]:
    for node in graph.nodes:
        yield from _function(graph, node)
        if node.timeout is not None and node.timeout <= 0:
            yield f"node `{node.name}` has timeout={node.timeout}; give seconds above 0, or None"
        if node.max_visits is not None and node.max_visits < 1:
            yield f"node `{node.name}` has max_visits={node.max_visits}; it starts at 1"
        if isinstance(node.fallback, str):
            yield from _fallback(graph, node, node.fallback)
        elif node.fallback is not None and not callable(node.fallback):
            yield f"node `{node.name}` has the fallback {node.fallback!r}; give a node's name or a function"
    for route in graph.routes:
        problem = shape_of(route.choose).problem
        if problem:
            yield f"`choose` of the route after {_node(route.source)} {problem}"
        if not route.targets:
            yield f"the route after {_node(route.source)} has no targets; map what `choose` returns to nodes"


def _function(graph: Blueprint, node: Node) -> Iterator[str]:
    function = node.function
    if isinstance(function, Blueprint):
        if not set(function.keys) & set(graph.keys):
            yield f"sub-graph `{node.name}` shares no state key with its graph; name one alike in both states"
        yield from (f"in sub-graph `{node.name}`: {problem}" for problem in problems(function))
    elif not hasattr(function, "ainvoke"):
        shape = shape_of(function)
        if shape.problem:
            yield f"node `{node.name}` {shape.problem}"


def _fallback(graph: Blueprint, node: Node, fallback: str) -> Iterator[str]:
    names = {other.name for other in graph.nodes}
    if fallback == node.name:
        yield f"node `{node.name}` falls back to itself; use `retry=` to try it again"
    elif fallback not in names | {END}:
        yield f"node `{node.name}` falls back to `{fallback}`, which is no node{_close(fallback, names)}"
    if any(node.name in join.sources for join in graph.joins):
        yield (
            f"node `{node.name}` falls back to another node, and a join waits for it, in vain when it fails; "
            "give it a function as `fallback`, which lets the join go on"
        )


def _targets(graph: Blueprint) -> Iterator[str]:
    names = {node.name for node in graph.nodes}
    edges = [(source, target) for source, target in graph.edges]
    edges += [(source, join.target) for join in graph.joins for source in join.sources]
    edges += [(route.source, target) for route in graph.routes for target in route.targets.values()]
    edges += [(node.name, target) for node in graph.nodes for target in node.destinations]
    for source, target in dict.fromkeys(edges):
        if source == END or target == START:
            yield f"the edge from {_node(source)} to {_node(target)} is the wrong way round"
            continue
        if source not in names | {START}:
            yield f"an edge begins at `{source}`, which is no node{_close(source, names)}"
        if target not in names | {END}:
            yield f"{_node(source)} leads to `{target}`, which is no node{_close(target, names)}"
    if not any(source == START for source, _ in edges):
        yield "nothing follows START; add `add_edge(START, name)` or a route after START"


def _keys(graph: Blueprint) -> Iterator[str]:
    keys = set(graph.keys)
    for node in graph.nodes:
        for doing, named in (("reads", node.reads), ("writes", node.writes)):
            for key in sorted((named or frozenset()) - keys):
                yield (
                    f"node `{node.name}` {doing} `{key}`, which `{graph.state.__name__}` does not have"
                    f"{_close(key, keys)}; add it to the state"
                )
    for key in sorted(graph.inputs - keys):
        yield f"the input `{key}` is not a key of `{graph.state.__name__}`{_close(key, keys)}"


def _types(graph: Blueprint) -> Iterator[str]:
    for key, problem in declared(graph.state).problems:
        yield f"state key `{key}` of `{graph.state.__name__}`: {problem}"


def _close(name: Any, names: Iterable[str]) -> str:
    near = get_close_matches(str(name), list(names), n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def _node(name: str) -> str:
    return {START: "START", END: "END"}.get(name, f"node `{name}`")
