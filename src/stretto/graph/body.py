"""What runs inside a node: a function of ours, one written for langgraph, a Runnable or another graph."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from langchain_core.runnables import Runnable
from langgraph.pregel import Pregel
from langgraph.runtime import get_runtime
from langgraph.types import Command

from stretto.context import RunContext
from stretto.graph.call import Shape, bind, shape_of

Body = Callable[[Any, RunContext, Any], Awaitable[Any]]
"""Takes the state, the context and langgraph's config; gives the node's update."""


def function_body(function: Callable[..., Any]) -> Body:
    """A function as a body. A sync one runs in a thread, with its context."""
    shape = shape_of(function)
    call = _native(function, shape) if shape.native else _with_context(function, shape)
    if shape.is_async:
        return call

    async def in_thread(state: Any, ctx: RunContext, config: Any) -> Any:
        result = await asyncio.to_thread(call, state, ctx, config)
        return await result if inspect.isawaitable(result) else result

    return in_thread


def runnable_body(runnable: Runnable[Any, Any]) -> Body:
    """A langchain Runnable as a body."""

    async def run(state: Any, ctx: RunContext, config: Any) -> Any:
        return await runnable.ainvoke(state, config)

    return run


def graph_body(
    graph: "Pregel[Any, Any, Any, Any]", keys: frozenset[str], gathered: frozenset[str], steps: int | None
) -> Body:
    """A compiled graph as a body: gives back what it changed of the `keys` it shares, and of lists only the new end."""

    async def run(state: Mapping[str, Any], ctx: RunContext, config: Any) -> Any:
        inner = config if steps is None else {**config, "recursion_limit": steps}
        result = await graph.ainvoke(dict(state), inner)
        if not isinstance(result, Mapping):
            return result
        after: Mapping[str, Any] = result
        update: dict[str, Any] = {}
        for key in keys & after.keys():
            old, new = state.get(key), after[key]
            if new is old or new == old:
                continue
            if key in gathered and isinstance(new, list) and isinstance(old, list):
                new = new[len(old) :] if new[: len(old)] == old else new  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            update[key] = new
        return update

    return run


def is_update(result: Any) -> bool:
    """True for what a node may return."""
    return result is None or isinstance(result, dict | Command)


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
