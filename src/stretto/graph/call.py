"""How a function wants to be called: told by its signature. Calls nothing itself and imports no langgraph."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from stretto.context import RunContext

NATIVE = ("config", "runtime", "writer", "store")
"""Parameters that langgraph fills in. A function with one of them was written for langgraph."""


@dataclass(frozen=True)
class Shape:
    """What a function takes beside the state."""

    is_async: bool = False
    context: str = ""
    """The name of its RunContext parameter."""
    native: tuple[str, ...] = ()
    """Those of `NATIVE` it asks for."""
    problem: str = ""
    """Why it cannot be called, and what to do."""


def shape_of(function: Any) -> Shape:
    """Reads the signature of a node, a route's `choose` or any callable object."""
    if not callable(function):
        return Shape(
            problem=f"is {type(function).__name__}, not callable; give a function, a Graph or a Runnable"
        )
    target = _target(function)
    if inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target):
        return Shape(problem="is a generator; return one dict, and send events by `ctx.emit`")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = [inspect.Parameter("state", inspect.Parameter.POSITIONAL_ONLY)]
    if not parameters:
        return Shape(problem="takes no parameter; its first one is the state")
    hints = _hints(target)
    context, native, unfilled = "", list[str](), list[str]()
    for parameter in parameters[1:]:
        if _is_context(hints.get(parameter.name, parameter.annotation)):
            context = parameter.name
        elif parameter.name in NATIVE and parameter.kind is not inspect.Parameter.POSITIONAL_ONLY:
            native.append(parameter.name)
        elif parameter.default is parameter.empty and parameter.kind not in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        ):
            unfilled.append(parameter.name)
    problem = ""
    if unfilled:
        problem = f"has a parameter `{unfilled[0]}` that nobody fills; annotate it `RunContext`"
    return Shape(inspect.iscoroutinefunction(target), context, tuple(native), problem)


def bind(function: Callable[..., Any], shape: Shape) -> Callable[[Any, RunContext], Any]:
    """`function` as one that takes the state and the context, whichever of them it asks for."""
    if not shape.context:
        return lambda state, ctx: function(state)
    name = shape.context
    return lambda state, ctx: function(state, **{name: ctx})


def _target(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) or inspect.isclass(function) else type(function).__call__


def _hints(target: Any) -> dict[str, Any]:
    try:
        return get_type_hints(target)
    except Exception:  # an annotation that names what is not there: the strings themselves have to do
        return dict(getattr(target, "__annotations__", {}))


def _is_context(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return annotation.replace('"', "").split("|")[0].strip().split(".")[-1] == RunContext.__name__
    if get_origin(annotation) in (Union, UnionType):
        return any(_is_context(part) for part in get_args(annotation))
    return isinstance(annotation, type) and issubclass(annotation, RunContext)
