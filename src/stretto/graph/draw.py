"""A graph as Mermaid or as indented text: always the same drawing for the same graph. Runs nothing.

Plain ways are solid lines, routes carry what was chosen, fallbacks are dotted.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from stretto.graph.parts import END, START, Blueprint

_KEYWORDS = {
    "end",
    "graph",
    "subgraph",
    "flowchart",
    "style",
    "class",
    "click",
    "default",
    "direction",
    "linkstyle",
}
_TITLES = {START: "START", END: "END"}


class Line(NamedTuple):
    """One way from a node to the next."""

    source: str
    target: str
    kind: Literal["edge", "join", "route", "command", "fallback"]
    label: str = ""


def lines(graph: Blueprint) -> list[Line]:
    """All ways, in the order of the nodes; several choices for one target are one line."""
    found: list[Line] = []
    for source in (START, *(node.name for node in graph.nodes)):
        found += _lines_from(graph, source)
    return list(dict.fromkeys(found))


def mermaid(graph: Blueprint) -> str:
    """The graph as Mermaid text."""
    ids = {START: "START", END: "END_"} | {
        node.name: node.name if _plain(node.name) else f"node{index}"
        for index, node in enumerate(graph.nodes)
    }
    text_ = ["flowchart TD", "    START([START])"]
    for node in graph.nodes:
        marks = ("[[", "]]") if isinstance(node.function, Blueprint) else ("[", "]")
        text_.append(f'    {ids[node.name]}{marks[0]}"{_quoted(node.name)}"{marks[1]}')
    text_.append("    END_([END])")
    for line in lines(graph):
        arrow = "-.->" if line.kind == "fallback" else "-->"
        label = f'|"{_quoted(line.label)}"|' if line.label else ""
        if line.source in ids and line.target in ids:
            text_.append(f"    {ids[line.source]} {arrow}{label} {ids[line.target]}")
    return "\n".join(text_) + "\n"


def text(graph: Blueprint) -> str:
    """The graph as an indented tree. A node that stands further up is named again, not drawn again."""
    after: dict[str, list[Line]] = {}
    for line in lines(graph):
        after.setdefault(line.source, []).append(line)
    return "\n".join(["START", *_branches(START, after, "", {START})]) + "\n"


def _lines_from(graph: Blueprint, source: str) -> Iterator[Line]:
    for start, target in graph.edges:
        if start == source:
            yield Line(source, target, "edge")
    for join in graph.joins:
        if source in join.sources:
            others = ", ".join(name for name in join.sources if name != source)
            yield Line(source, join.target, "join", f"with {others}" if others else "")
    for route in graph.routes:
        if route.source == source:
            for target in dict.fromkeys(route.targets.values()):
                keys = " | ".join(str(key) for key, to in route.targets.items() if to == target)
                yield Line(source, target, "route", keys)
    for node in graph.nodes:
        if node.name == source:
            for target in node.destinations:
                yield Line(source, target, "command")
            if node.fallback is not None:
                target = node.fallback if isinstance(node.fallback, str) else source
                yield Line(source, target, "fallback", "fallback")


def _branches(source: str, after: dict[str, list[Line]], indent: str, drawn: set[str]) -> Iterator[str]:
    ways = after.get(source, [])
    for index, line in enumerate(ways):
        last = index == len(ways) - 1
        again = line.target in drawn and line.target != END
        arm = ("└" if last else "├") + ("┄" if line.kind == "fallback" else "─")
        label = f"{line.label}: " if line.label else ""
        title = _TITLES.get(line.target, line.target)
        if line.kind == "fallback" and line.target == source:
            yield f"{indent}{arm} {label}its own function"
            continue
        yield f"{indent}{arm} {label}{title}{' (above)' if again else ''}"
        if not again and line.target != END:
            drawn.add(line.target)
            yield from _branches(line.target, after, indent + ("   " if last else "│  "), drawn)


def _plain(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) is not None and name.lower() not in _KEYWORDS | {
        "start"
    }


def _quoted(text_: str) -> str:
    return text_.replace('"', "#quot;")
