"""`Graph`: nodes, edges and routes, in langgraph's words. Runs nothing.

What is wrong with a graph is said by `check()`, all at once; `compile()` checks first.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from stretto.errors import GraphError
from stretto.graph.checks import problems
from stretto.graph.draw import mermaid, text
from stretto.graph.parts import END, START, Blueprint, Fallback, Join, Node, Route
from stretto.graph.retry import ONCE, Retry

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["END", "START", "Graph"]


class Graph(Blueprint):
    """A state graph.

    Args:
        state: A TypedDict with the keys of the state; those with a reducer are `Annotated[type, reducer]`.
        max_steps: How many supersteps a run may take; 50 if not given. A loop needs this or `max_visits`.
        inputs: The keys that the input of a run gives. For a `Conversation`, those of `new_turn`; else those
            that no node writes.
        renamed: For threads that were left in an earlier version: what a node was called, and is called now.
        migrate: `def migrate(state: dict, old: GraphDescription) -> dict`, called when a thread is taken up
            that holds what the state no longer declares. Gives the state of today. Where `state` is annotated
            with the TypedDict of then, its types can be read.
    """

    def add_node(
        self,
        name: str,
        function: Any,
        *,
        fallback: Fallback = None,
        timeout: float | None = None,
        retry: Retry | int | None = None,
        reads: Iterable[str] | None = None,
        writes: Iterable[str] | None = None,
        max_visits: int | None = None,
        destinations: Sequence[str] = (),
    ) -> Self:
        """Adds a node.

        Args:
            name: Its name, shown in the path of a run.
            function: `async (state)` or `async (state, ctx: RunContext)`, sync or async, returning the keys
                it writes; a `Graph`; a compiled langgraph graph; a langchain Runnable; or a node written for
                langgraph (with a parameter `config`, `runtime`, `writer` or `store`).
            fallback: What happens instead when the node fails: the name of the node to go to, or
                `async (state, ctx, error)` that returns an update. `missing` says what was down.
            timeout: Seconds that one attempt may take.
            retry: How often the node is tried: a number of attempts, or a `Retry`.
            reads: State keys it reads; taken from `function.reads` where not given.
            writes: State keys it writes; taken from `function.writes` where not given.
            max_visits: How often it may run in one turn.
            destinations: The nodes it may go to by returning langgraph's `Command(goto=...)`.
        """
        self.nodes.append(
            Node(
                name=name,
                function=function,
                fallback=fallback,
                timeout=timeout,
                retry=retry if isinstance(retry, Retry) else ONCE if retry is None else Retry(attempts=retry),
                reads=_keys(reads, function, "reads"),
                writes=_keys(writes, function, "writes"),
                max_visits=max_visits,
                destinations=tuple(destinations),
            )
        )
        return self

    def add_edge(self, source: str | Sequence[str], target: str) -> Self:
        """After `source` comes `target`. A list of sources is a join: the target waits for all of them."""
        if isinstance(source, str):
            self.edges.append((source, target))
        else:
            self.joins.append(Join(tuple(source), target))
        return self

    def add_route(
        self, source: str, choose: Callable[..., Any], targets: Mapping[Any, str] | Sequence[str]
    ) -> Self:
        """After `source`, `choose(state)` or `choose(state, ctx: RunContext)` names the way.

        Args:
            source: A node, or START.
            choose: Returns a key of `targets`, or a list of keys for several ways at once. Sync or async.
            targets: From what `choose` returns to the node to go to; a list where both are the same.
        """
        ways = targets if isinstance(targets, Mapping) else {name: name for name in targets}
        self.routes.append(Route(source, choose, dict(ways)))
        return self

    def check(self) -> None:
        """Raises GraphError that names everything that is wrong, one problem a line."""
        found = problems(self)
        if found:
            raise GraphError("\n".join(found))

    def compile(
        self, checkpointer: Any = None, store: Any = None
    ) -> "CompiledStateGraph[Any, Any, Any, Any]":
        """The checked graph as langgraph's own `CompiledStateGraph`.

        Args:
            checkpointer: A langgraph saver that keeps threads, or None.
            store: A langgraph store for nodes that ask for one, or None.
        """
        from stretto.graph.compile import compile_graph  # noqa: PLC0415  (loads langgraph: about a second of CPU)

        self.check()
        return compile_graph(self, checkpointer, store)

    def mermaid(self) -> str:
        """The graph as Mermaid text."""
        return mermaid(self)

    def text(self) -> str:
        """The graph as indented text for a terminal."""
        return text(self)


def _keys(given: Iterable[str] | None, function: Any, name: str) -> frozenset[str] | None:
    found = getattr(function, name, None) if given is None and not isinstance(function, Blueprint) else given
    return None if found is None else frozenset(found)
