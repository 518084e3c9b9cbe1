"""What is wrong with a graph before it runs."""

from stretto.graph.parts import Blueprint


def problems(graph: Blueprint) -> list[str]:
    """Everything that is wrong, one sentence each, with the node's name and the fix."""
    return []
