"""A checked graph as langgraph's `CompiledStateGraph`. Checks nothing itself.

Plain edges stay langgraph's edges. A node with a route or with a fallback node names its way itself, by
`Command(goto=...)`: that costs nothing, where a conditional edge costs 0.1 to 0.3 ms.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from stretto._internal.bridge import run_sync
from stretto.context import RunContext, running_context
from stretto.graph.body import function_body, graph_body, runnable_body
from stretto.graph.call import bind, shape_of
from stretto.graph.description import stamp
from stretto.graph.entry import remember
from stretto.graph.ground import (
    BinaryOperatorAggregate,
    Compiled,
    Pregel,
    Runnable,
    RunnableCallable,
    RunnableConfig,
    Saver,
    StateGraph,
)
from stretto.graph.lean import lean
from stretto.graph.parts import START, Blueprint, Node, Route
from stretto.graph.step import Reducer, Step, decide, way_of
from stretto.threads.checkpoint.serializer import with_strict_serializer


def compile_graph(
    graph: Blueprint, checkpointer: Any = None, store: Any = None, *, within: Sequence[str] = ("",)
) -> Compiled:
    """Compiles `graph`, which was checked before.

    `within`: for a sub-graph, the paths that the node it runs in has had, that of today first.
    """
    builder = StateGraph(graph.state)
    reducers: dict[str, Reducer] = {
        key: channel.operator
        for key, channel in builder.channels.items()
        if isinstance(channel, BinaryOperatorAggregate)
    }
    routes = {route.source: route for route in graph.routes}
    commanding = {node.name for node in graph.nodes if isinstance(node.fallback, str)}
    for node in graph.nodes:
        always = [target for source, target in graph.edges if source == node.name and node.name in commanding]
        former = [node.name, *(old for old, new in graph.renamed.items() if new == node.name)]
        paths = [f"{path}{name}" for path in within for name in former]
        step = _step(node, routes.get(node.name), always, frozenset(graph.keys), reducers, paths)
        builder.add_node(node.name, step, destinations=_destinations(node, routes.get(node.name), always))
    for source, target in graph.edges:
        if source not in commanding:
            builder.add_edge(source, target)
    for join in graph.joins:
        builder.add_edge(list(join.sources), join.target)
    if START in routes:
        route = routes[START]
        builder.add_conditional_edges(START, _entry(route), dict(route.targets))
    if isinstance(checkpointer, Saver):
        checkpointer = with_strict_serializer(checkpointer, *graph.states)
    compiled: Any = builder.compile(checkpointer=checkpointer, store=store)
    lean(compiled)
    compiled.config = {"recursion_limit": graph.steps + 1}  # langgraph wants one more than it takes
    stamp(graph, compiled)
    remember(graph, compiled, reducers)
    return compiled


def _step(
    node: Node,
    route: Route | None,
    always: Sequence[str],
    keys: frozenset[str],
    reducers: Mapping[str, Reducer],
    paths: Sequence[str],
) -> Any:
    inner, limit = node.function, None
    if isinstance(inner, Blueprint):
        limit, inner = inner.steps + 1, compile_graph(inner, within=[f"{path}/" for path in paths])
    own = takes = False
    if isinstance(inner, Pregel):
        shared = keys & frozenset(str(key) for key in inner.channels)
        body = graph_body(inner, shared, frozenset(reducers), limit)
    elif isinstance(inner, Runnable):
        body = runnable_body(cast(Any, inner))
    else:
        shape = shape_of(inner)
        own, takes, body = not shape.native, bool(shape.context) or not shape.native, function_body(inner)
    way = way_of(route, always)
    step = Step(node, body, way, keys=keys, reducers=reducers, own=own, takes=takes, former=paths[1:])
    return _declaring(step, inner) if isinstance(inner, Pregel) else step


def _declaring(step: Step, inner: Any) -> Any:
    """The step as a callable that holds `inner` where langgraph looks for sub-graphs."""

    def run(state: Any, config: RunnableConfig) -> Any:
        return step.invoke(state, config) if inner else None

    async def arun(state: Any, config: RunnableConfig) -> Any:
        return await step.ainvoke(state, config) if inner else None

    return RunnableCallable(run, arun, name=step.name, trace=False)


def _destinations(node: Node, route: Route | None, always: Sequence[str]) -> dict[str, str]:
    """Where the node's Command may lead, with labels: for langgraph's drawings."""
    found = dict.fromkeys((*node.destinations, *always), "")
    for key, target in route.targets.items() if route else ():
        found[target] = f"{found[target]} | {key}" if found.get(target) else str(key)
    if isinstance(node.fallback, str):
        found.setdefault(node.fallback, "fallback")
    return found


def _entry(route: Route) -> Any:
    choose = bind(route.choose, shape_of(route.choose))

    async def entry(state: dict[str, Any]) -> list[Any]:
        return await decide(choose, route.targets, state, running_context() or RunContext())

    def by_bridge(state: dict[str, Any]) -> list[Any]:
        return run_sync(entry(state))

    return RunnableCallable(by_bridge, entry, name="route", trace=False)
