"""`Step`: how one node runs: context, events, visits, timeout, retry, fallback, and the way on.

Knows neither models nor tools. A step costs a few microseconds beside langgraph's own 300.
"""

import asyncio
import inspect
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from stretto._internal.bridge import run_sync
from stretto.context import Run, RunContext, running_context, use_context
from stretto.errors import (
    GraphError,
    LimitReached,
    ModelNotFound,
    NodeTimeout,
    OutputInvalid,
    ThreadError,
)
from stretto.events import ErrorRaised, NodeFinished, NodeStarted
from stretto.graph.body import Body, is_update
from stretto.graph.call import bind, shape_of
from stretto.graph.ground import Command, GraphBubbleUp, Overwrite, Runnable, Send, get_runtime
from stretto.graph.parts import Node, Route
from stretto.graph.pause import ask, earlier_answers, pause_in, resuming, with_kept_answers
from stretto.graph.retry import ONCE
from stretto.results import Missing

Reducer = Callable[[Any, Any], Any]
_plain_runs: OrderedDict[int, tuple[Any, Run]] = OrderedDict()
"""The runs of graphs that were invoked without our runner, by the identity of langgraph's run control."""


@dataclass(frozen=True)
class Way:
    """How a node's run goes on."""

    choose: Callable[[Any, RunContext], Any] | None = None
    targets: Mapping[Any, str] | None = None
    always: tuple[str, ...] = ()
    """Targets that a Command has to name, because another way may be taken instead."""


class Step(Runnable[Any, Any]):
    """One node, as the Runnable that langgraph calls."""

    def __init__(
        self,
        node: Node,
        body: Body,
        way: Way,
        *,
        keys: frozenset[str],
        reducers: Mapping[str, Reducer],
        own: bool,
        takes: bool,
        former: Sequence[str] = (),
    ) -> None:
        self.name = node.name
        self._node, self._body, self._way = node, body, way
        self._keys, self._reducers, self._own, self._takes = keys, reducers, own, takes
        self._former = former
        self._simple = node.timeout is None and node.retry is ONCE

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        """The same from synchronous code, over the one bridge."""
        return run_sync(self.ainvoke(input, config))

    async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        """Runs the node once: the update, or a Command where the way is the node's to tell."""
        runtime = get_runtime()
        base = running_context() or _plain_context(runtime)
        name = f"{base.node}/{self.name}" if base.node else self._node.name
        info = runtime.execution_info
        earlier = earlier_answers(config, take=self._takes)
        for former in self._former:  # a question without a call id was asked by its node's name of then
            if former in earlier.answers:
                earlier.answers[name] = earlier.answers[former]
        ctx = base.at(
            name,
            info.task_id if info else "",
            earlier.answers,
            until=earlier.until,
            owner=id(asyncio.current_task()),
        )
        if base.run.resumed and ctx.steps.kept:
            ctx = await with_kept_answers(ctx, earlier)
        use_context(ctx)
        self._count(base.run, name)
        ctx.emit(NodeStarted())
        began = time.perf_counter()
        try:
            body = self._body if self._simple else self._attempts
            ledger, work = base.run.ledger, body(input, ctx, config)
            result = await (work if ledger is None else ledger.timed(name, work))
            output, detail = await self._go_on(result, input, ctx)
        except BaseException as raised:
            output = await self._recover(raised, input, ctx, began)
        else:
            _finish(ctx, began, NodeFinished(detail=detail))
        return output

    def _count(self, run: Run, name: str) -> None:
        visits = run.visits[name] = run.visits.get(name, 0) + 1
        most = self._node.max_visits
        if most is not None and visits > most:
            raise LimitReached(
                f"node `{name}` was to run for the {visits}th time and may run {most} times in a turn; "
                "raise its `max_visits`, or give the loop another way out",
                limit="visits",
            )

    async def _attempts(self, state: Any, ctx: RunContext, config: Any) -> Any:
        node, attempt = self._node, 1
        while True:
            try:
                if node.timeout is None:
                    return await self._body(state, ctx, config)
                return await self._timed(state, ctx, config, node.timeout)
            except GraphBubbleUp:
                raise
            except Exception as error:
                if not await node.retry.wait(error, attempt):
                    raise
                attempt += 1
            await ctx.steps.flush()
            ctx = ctx.anew()
            use_context(ctx)
            config = resuming(config)

    async def _timed(self, state: Any, ctx: RunContext, config: Any, seconds: float) -> Any:
        scope = asyncio.timeout(seconds)
        try:
            async with scope:
                return await self._body(state, ctx, config)
        except TimeoutError:
            if not scope.expired():
                raise
        raise NodeTimeout(
            f"node `{ctx.node}` did not end within {seconds:g} s; raise its `timeout`, or give a `fallback`"
        )

    async def _go_on(self, result: Any, state: Any, ctx: RunContext) -> tuple[Any, dict[str, Any]]:
        """The node's output for langgraph, and the chosen route for those who watch."""
        if not is_update(result):
            if self._own:
                raise GraphError(
                    f"node `{ctx.node}` returned {type(result).__name__}; return a dict of the keys it writes"
                )
            return result, {}
        if isinstance(result, Command):
            return await self._add_ways(result, state, ctx)
        if result and self._own and not self._keys.issuperset(result):
            extra = ", ".join(f"`{key}`" for key in result if key not in self._keys)
            raise GraphError(
                f"node `{ctx.node}` wrote {extra}, not in the state; the state has {sorted(self._keys)}"
            )
        way = self._way
        if way.choose is None and not way.always:
            return result, {}
        return await self._add_ways(Command(update=result), state, ctx)

    async def _add_ways(self, command: Any, state: Any, ctx: RunContext) -> tuple[Any, dict[str, Any]]:
        way = self._way
        goto: list[Any] = [command.goto] if isinstance(command.goto, (str, Send)) else list(command.goto)
        goto += way.always
        detail: dict[str, Any] = {}
        if way.choose is not None:
            update: Any = command.update
            after = merged(state, cast(Any, update), self._reducers) if isinstance(update, Mapping) else state
            chosen = await decide(way.choose, way.targets or {}, after, ctx)
            detail = {"route": chosen[0] if len(chosen) == 1 else chosen}
            goto += [item if isinstance(item, Send) else (way.targets or {})[item] for item in chosen]
        if command.graph is not None:
            return command, detail
        return Command(update=command.update, resume=command.resume, goto=goto), detail

    async def _recover(self, raised: BaseException, state: Any, ctx: RunContext, began: float) -> Any:
        """What the node's fallback gives; without one, and for all that is no failure, raises."""
        pause = pause_in(raised)
        if pause is not None:
            await ctx.steps.flush()
            ask(pause)
        if isinstance(raised, OutputInvalid):
            await ctx.steps.unsay()  # who runs this node again, asks again
        if isinstance(raised, asyncio.CancelledError):
            with suppress(ThreadError):  # whoever goes on need not do it again
                await ctx.steps.flush()
        if isinstance(raised, GraphBubbleUp) or not isinstance(raised, Exception):
            raise raised
        fallback = self._node.fallback
        if fallback is None or isinstance(raised, LimitReached | GraphError | ModelNotFound):
            _fail(raised, ctx, began)
        missing = Missing(ctx.node, _reason(raised))
        update: dict[str, Any] = {}
        if not isinstance(fallback, str):
            try:
                given = fallback(state, ctx, raised)
                update = dict(await given if inspect.isawaitable(given) else given or {})
            except Exception as error:
                _fail(error, ctx, began)
        if "missing" in self._keys:
            update["missing"] = [*(update.get("missing") or ()), missing]
        if isinstance(fallback, str):
            output: Any = Command(update=update, goto=fallback)
        else:
            output, _ = await self._go_on(update, state, ctx)
        ctx.run.missing.append(missing)
        _finish(ctx, began, NodeFinished(status="fallback", missing=missing))
        return output


def merged(state: Any, update: Mapping[str, Any], reducers: Mapping[str, Reducer]) -> dict[str, Any]:
    """The state as it will be after this update alone."""
    after = dict(state)
    for key, value in update.items():
        reducer = reducers.get(key)
        if isinstance(value, Overwrite):
            after[key] = value.value
        elif reducer is not None and key in after:
            after[key] = reducer(after[key], value)
        else:
            after[key] = value
    return after


def way_of(route: Route | None, always: Sequence[str]) -> Way:
    """The ways that a node's own output has to name."""
    if route is None:
        return Way(always=tuple(always))
    return Way(bind(route.choose, shape_of(route.choose)), route.targets, tuple(always))


async def decide(
    choose: Callable[[Any, RunContext], Any], targets: Mapping[Any, str], state: Any, ctx: RunContext
) -> list[Any]:
    """The keys of `targets` that `choose` names.

    Raises:
        GraphError: It names none of them.
    """
    chosen = choose(state, ctx)
    if inspect.isawaitable(chosen):
        chosen = await chosen
    keys: list[Any] = list(chosen) if isinstance(chosen, list | tuple) else [chosen]  # pyright: ignore[reportUnknownArgumentType]
    for key in keys:
        known = key.node in targets.values() if isinstance(key, Send) else _holds(targets, key)
        if not known:
            allowed = ", ".join(repr(name) for name in targets)
            raise GraphError(
                f"the route after `{ctx.node or 'START'}` chose {key!r}; its targets are {allowed}"
            )
    return keys


def _holds(targets: Mapping[Any, str], key: Any) -> bool:
    try:
        return key in targets
    except TypeError:  # not hashable
        return False


def _plain_context(runtime: Any) -> RunContext:
    """One run for all nodes of an invocation that our runner did not start."""
    control = runtime.control
    kept = _plain_runs.get(id(control))
    if kept is None or kept[0] is not control:
        info = runtime.execution_info
        kept = _plain_runs[id(control)] = (control, Run(thread_id=(info.thread_id or "") if info else ""))
        while len(_plain_runs) > 64:
            _plain_runs.popitem(last=False)
    return RunContext(kept[1])


def _finish(ctx: RunContext, began: float, event: NodeFinished) -> None:
    run = ctx.run
    event.seconds = time.perf_counter() - began
    run.timings[ctx.node] = run.timings.get(ctx.node, 0.0) + event.seconds
    run.path.append(ctx.node)
    ctx.emit(event)


def _fail(error: Exception, ctx: RunContext, began: float) -> NoReturn:
    ctx.emit(NodeFinished(status="failed", seconds=time.perf_counter() - began))
    if not getattr(error, "_stretto_reported", False):  # a sub-graph's error passes several nodes
        ctx.emit(ErrorRaised(kind=type(error).__name__, message=str(error)))
        with suppress(AttributeError):
            error._stretto_reported = True  # type: ignore[attr-defined]
    raise error


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split())[:200]
    ours = type(error).__module__.startswith("stretto")
    if ours:
        said = said.partition("; ")[0]  # what stands behind is advice to whoever runs the graph
    return said if ours and said else f"{type(error).__name__}: {said}" if said else type(error).__name__
