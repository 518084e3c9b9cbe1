"""What runs inside a node: a function of ours, one written for langgraph, a Runnable or another graph."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from stretto._internal.in_thread import in_thread
from stretto.context import RunContext
from stretto.graph.call import Shape, bind, shape_of
from stretto.graph.ground import Command, Runnable, get_runtime

Body = Callable[[Any, RunContext, Any], Awaitable[Any]]
"""Takes the state, the context and langgraph's config; gives the node's update."""


def function_body(function: Callable[..., Any]) -> Body:
    """A function as a body. A sync one runs in a thread, with its context."""
    shape = shape_of(function)
    call = _native(function, shape) if shape.native else _with_context(function, shape)
    if shape.is_async:
        return call

    async def threaded(state: Any, ctx: RunContext, config: Any) -> Any:
        result = await in_thread(functools.partial(call, state, ctx, config), name=f"stretto-node-{ctx.node}")
        return await result if inspect.isawaitable(result) else result

    return threaded


def runnable_body(runnable: Runnable[Any, Any]) -> Body:
    """A langchain Runnable as a body."""

    async def run(state: Any, ctx: RunContext, config: Any) -> Any:
        return await runnable.ainvoke(state, config)

    return run


def graph_body(graph: Any, keys: frozenset[str], gathered: frozenset[str], limit: int | None) -> Body:
    """A compiled graph as a body: gives back what it changed of the `keys` it shares.

    Of a list that nodes gather (`gathered`) it gives only the new end: the graph's own reducer appends it.
    """

    async def run(state: Mapping[str, Any], ctx: RunContext, config: Any) -> Any:
        inner = config if limit is None else {**config, "recursion_limit": limit}
        after: Any = await graph.ainvoke(dict(state), inner)
        if not isinstance(after, dict):
            return after  # pyright: ignore[reportUnknownVariableType]
        update: dict[str, Any] = {}
        for key in keys & set(cast(dict[str, Any], after)):
            old, new = state.get(key), cast(Any, after[key])
            if new is old or new == old:
                continue
            if key in gathered and isinstance(new, list) and old and new[: len(old)] == old:
                new = cast(list[Any], new)[len(old) :]
            update[key] = new
        return update

    return run


def is_update(result: Any) -> bool:
    """True for what a node may return."""
    return result is None or isinstance(result, (dict, Command))


def _with_context(function: Callable[..., Any], shape: Shape) -> Callable[[Any, RunContext, Any], Any]:
    bound = bind(function, shape)
    return lambda state, ctx, config: bound(state, ctx)


def _native(function: Callable[..., Any], shape: Shape) -> Callable[[Any, RunContext, Any], Any]:
    bound_context = shape.context

    def call(state: Any, ctx: RunContext, config: Any) -> Any:
        runtime = get_runtime()
        fill = {"config": config, "runtime": runtime, "writer": runtime.stream_writer, "store": runtime.store}
        extra = {name: fill[name] for name in shape.native}
        if bound_context:
            extra[bound_context] = ctx
        return function(state, **extra)

    return call
