"""A graph as Mermaid or as text."""

from stretto.graph.parts import Blueprint


def mermaid(graph: Blueprint) -> str:
    """The graph as Mermaid text."""
    return ""


def text(graph: Blueprint) -> str:
    """The graph as indented text."""
    return ""
