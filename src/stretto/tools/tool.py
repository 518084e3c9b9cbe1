"""`@tool`: a typed function that a model may call. Knows nothing of conversations and of who calls it."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, overload

from stretto._internal.in_thread import in_thread
from stretto.context import RunContext
from stretto.errors import ConfigError, ToolError, ToolTimeout
from stretto.messages import ToolSpec
from stretto.tools.results import Content, content_of
from stretto.tools.schema import Parameters, describe, parameters_of, place_of, read_object

Effect = Literal["none", "idempotent", "once"]
"""none: it only reads; idempotent: doing it twice is doing it once; once: it must never be done twice."""

Reconcile = Callable[..., Any]
"""Tells whether a call took effect: its result, or None where it did not, and the call is run.

It takes what it needs of the tool's parameters, by their names, and a `RunContext` if it wants one, whose
`idempotency_key` is the call's.
"""

Approval = bool | Callable[[Mapping[str, Any]], bool]
"""Whether a person is asked before a call runs; a function decides from the arguments."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EFFECTS = ("none", "idempotent", "once")


class Tool:
    """A function with what a model needs to know of it. Calling the tool calls the function.

    Attributes:
        spec: Name, description and JSON Schema, as a model sees them.
        effect: What a call changes.
        timeout: Seconds a call may take, or None.
        approval: Whether a person is asked first.
        reconcile: What tells whether a call took effect, or None.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        effect: Effect = "none",
        timeout: float | None = 30.0,
        name: str | None = None,
        description: str | None = None,
        approval: Approval = False,
        reconcile: Reconcile | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.name = name or getattr(function, "__name__", type(function).__name__)
        where = place_of(function)
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"`{self.name}` is no tool name: use 1 to 64 of A-Z a-z 0-9 _ - (set it by `name=`)",
                where=where,
            )
        if effect not in _EFFECTS:
            raise ConfigError(
                f"`{self.name}`: effect is `{effect}`; allowed: {', '.join(_EFFECTS)}", where=where
            )
        if timeout is not None and timeout <= 0:
            raise ConfigError(
                f"`{self.name}`: timeout is {timeout}; give seconds above 0, or None", where=where
            )
        self.function = function
        self.effect: Effect = effect
        self.timeout = timeout
        self.approval: Approval = approval
        self.parameters = parameters_of(function, tool=self.name)
        text = description or describe(function) or self.name.replace("_", " ")
        self.spec = ToolSpec(self.name, text, self.parameters.schema)
        call = getattr(function, "__call__", None)  # noqa: B004 (an object with an async __call__)
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
        self.reconcile = reconcile
        self._known = None if reconcile is None else self._parameters_of(reconcile, where)

    def _parameters_of(self, reconcile: Reconcile, where: str) -> Parameters:
        """What `reconcile` takes; raises ConfigError for what the tool does not have."""
        if self.effect != "once":
            raise ConfigError(
                f'`{self.name}`: `reconcile` is for effect="once", and its effect is `{self.effect}`',
                where=where,
            )
        known = parameters_of(reconcile, tool=f"reconcile of `{self.name}`")
        extra = known.schema["properties"].keys() - self.parameters.schema["properties"].keys()
        if extra:
            raise ConfigError(
                f"`{self.name}`: `reconcile` takes `{min(extra)}`, which the tool does not", where=where
            )
        return known

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function itself."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Tool({self.name!r}, effect={self.effect!r})"

    def needs_approval(self, arguments: str) -> bool:
        """Whether a person has to agree to a call with these (JSON) arguments.

        The arguments are checked first: nobody is asked about a call that cannot run. If the function given
        as `approval` fails, a person is asked.

        Raises:
            InvalidArguments: The arguments do not fit.
        """
        if self.approval is False:
            return False
        self.parameters.parse(arguments)
        if self.approval is True:
            return True
        try:
            return bool(self.approval(read_object(self.name, arguments)))
        except Exception:
            return True

    async def run(self, arguments: str, ctx: RunContext) -> Content:
        """Runs the function with a model's arguments (JSON text) and returns parts for the model.

        A sync function runs in a thread of its own, under a copy of the context variables. It cannot be
        stopped: at its timeout the model is told so, and the thread ends when the function does.

        Raises:
            InvalidArguments: The arguments do not fit the schema.
            ToolTimeout: The function did not end within `timeout`.
            ToolError: It raised this itself, or returned what cannot be shown.
            Exception: Whatever else the function raises.
        """
        values = self.parameters.parse(arguments)
        if self.parameters.context:
            values[self.parameters.context] = ctx
        return content_of(await self._called(self.function, values, is_async=self._is_async))

    async def reconciled(self, arguments: str, ctx: RunContext) -> Content | None:
        """What an earlier call returned, if it took effect, by what `reconcile` says; None if it did not.

        Raises:
            ToolError: `reconcile` failed, or did not end within `timeout`.
            Exception: Whatever else it raises.
        """
        known = self._known
        if known is None or self.reconcile is None:
            raise ToolError(f"`{self.name}` has no `reconcile`.")
        given = self.parameters.parse(arguments)
        values = {name: value for name, value in given.items() if name in known.schema["properties"]}
        if known.context:
            values[known.context] = ctx
        is_async = inspect.iscoroutinefunction(self.reconcile)
        value = await self._called(self.reconcile, values, is_async=is_async)
        return None if value is None else content_of(value)

    async def _called(self, function: Callable[..., Any], values: dict[str, Any], *, is_async: bool) -> Any:
        """What the function returns, within the timeout."""
        import asyncio  # noqa: PLC0415 (a quarter of the vocabulary's CPU; a run has it loaded)

        clock = asyncio.timeout(self.timeout)
        try:
            async with clock:
                if is_async:
                    return await function(**values)
                value = await in_thread(
                    functools.partial(function, **values), name=f"stretto-tool-{self.name}"
                )
                return await value if inspect.isawaitable(value) else value
        except TimeoutError:
            if not clock.expired():
                raise
            raise ToolTimeout(
                f"`{self.name}` did not end within {self.timeout:g} seconds; "
                "whether it took effect is not known."
            ) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ToolError(f"`{self.name}` was cancelled from within.") from None
        except SystemExit:
            raise ToolError(f"`{self.name}` tried to end the program.") from None


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    effect: Effect = "none",
    timeout: float | None = 30.0,
    name: str | None = None,
    description: str | None = None,
    approval: Approval = False,
    reconcile: Reconcile | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    effect: Effect = "none",
    timeout: float | None = 30.0,
    name: str | None = None,
    description: str | None = None,
    approval: Approval = False,
    reconcile: Reconcile | None = None,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Makes a tool of a typed function, sync or async: `@tool`, or `@tool(effect="once")`.

    The model sees the function's name, the docstring up to its first section, and a JSON Schema of the
    parameters; a parameter annotated `RunContext` is filled in and hidden.

    Args:
        function: The function, when used without parentheses.
        effect: `"none"` it only reads, `"idempotent"` doing it twice is doing it once, `"once"` never twice.
        timeout: Seconds a call may take; None for no limit. A sync function cannot be stopped at its timeout.
        name: Another name than the function's.
        description: Another description than the docstring's.
        approval: True to ask a person before each call, or a function of the arguments that says so.
        reconcile: For `"once"`: tells whether a call took effect that was cut off, by a crash for instance.
            It takes those of the tool's parameters that it needs, and a RunContext if it wants the call's
            `idempotency_key`; it returns the call's result, or None where it did not take effect: then it
            runs. Without one, or where it fails, a person is asked.

    Raises:
        ConfigError: A parameter has no annotation or one without a JSON Schema, or a setting is wrong.
    """

    def make(target: Callable[..., Any]) -> Tool:
        return Tool(
            target,
            effect=effect,
            timeout=timeout,
            name=name,
            description=description,
            approval=approval,
            reconcile=reconcile,
        )

    return make if function is None else make(function)
