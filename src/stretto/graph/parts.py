"""What a graph is made of: nodes, edges, joins, routes. Runs and checks nothing, imports no langgraph."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints, is_typeddict

from stretto.errors import GraphError
from stretto.graph.retry import ONCE, Retry
from stretto.graph.state import KEPT_KEYS, TURN_KEYS, Conversation

START = "__start__"
"""Where a run begins: the source of the first edge or route."""
END = "__end__"
"""Where a run ends: the target of the last edges."""
DEFAULT_STEPS = 50

Migrate = Callable[[dict[str, Any], Any], Mapping[str, Any]]
"""Takes the state of a thread and the description of the graph that wrote it; gives the state of today."""
Fallback = str | Callable[..., Any] | None


@dataclass(frozen=True)
class Node:
    """A node as it was declared. `reads` and `writes` are None where they are not known."""

    name: str
    function: Any
    fallback: Fallback = None
    timeout: float | None = None
    retry: Retry = ONCE
    reads: frozenset[str] | None = None
    writes: frozenset[str] | None = None
    max_visits: int | None = None
    destinations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Join:
    """An edge from several nodes: its target runs when all of them have finished."""

    sources: tuple[str, ...]
    target: str


@dataclass(frozen=True)
class Route:
    """A choice after `source`: `choose` gives a key, or a list of keys, of `targets`."""

    source: str
    choose: Callable[..., Any]
    targets: Mapping[Any, str] = field(default_factory=dict[Any, str])


class Blueprint:
    """The parts of a graph, as they were declared."""

    def __init__(
        self,
        state: type[Any] = Conversation,
        *,
        max_steps: int | None = None,
        inputs: Iterable[str] | None = None,
        renamed: Mapping[str, str] | None = None,
        migrate: Migrate | None = None,
    ):
        if not is_typeddict(state):
            raise GraphError(
                f"`Graph` was given the state {state!r}; it takes a TypedDict, such as `Conversation`"
            )
        if max_steps is not None and max_steps < 1:
            raise GraphError(f"`max_steps` is {max_steps}; it starts at 1")
        self.state = state
        self.max_steps = max_steps
        self.renamed = dict(renamed or {})
        self.migrate = migrate
        self.nodes: list[Node] = []
        self.edges: list[tuple[str, str]] = []
        self.joins: list[Join] = []
        self.routes: list[Route] = []
        self._inputs = frozenset(inputs) if inputs is not None else None

    @property
    def keys(self) -> dict[str, Any]:
        """The state's keys with their annotations, reducers included."""
        return get_type_hints(self.state, include_extras=True)

    @property
    def states(self) -> tuple[type[Any], ...]:
        """The state of this graph and those of its sub-graphs: what a checkpoint may hold."""
        below = [node.function.states for node in self.nodes if isinstance(node.function, Blueprint)]
        old = migrated_from(self.migrate)
        return tuple(dict.fromkeys((self.state, *old, *(state for states in below for state in states))))

    @property
    def inputs(self) -> frozenset[str]:
        """The keys that are there when a run begins."""
        if self._inputs is not None:
            return self._inputs
        if set(self.keys) >= TURN_KEYS:
            return TURN_KEYS | (KEPT_KEYS & self.keys.keys())
        written = frozenset[str]().union(*(node.writes or () for node in self.nodes))
        return frozenset(self.keys) - written

    @property
    def steps(self) -> int:
        """How many supersteps a run may take."""
        return self.max_steps or DEFAULT_STEPS


def migrated_from(migrate: Migrate | None) -> tuple[type[Any], ...]:
    """The state that `migrate` takes, where its annotation says so: threads may still hold its types."""
    if migrate is None or not inspect.isroutine(migrate):
        return ()
    hints = get_type_hints(migrate)
    first = next(iter(inspect.signature(migrate).parameters), "")
    return (hints[first],) if is_typeddict(hints.get(first)) else ()
