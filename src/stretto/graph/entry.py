"""`Entry`: a turn goes straight to its first nodes, where langgraph spends a superstep on the start alone.

It is the same compiled graph with its state's keys, and its first nodes' channels, as the input: the way from
START is known before the run, or chosen by its route, as a node's own way is. A kept thread has a checkpoint
less. Whoever calls the compiled graph itself still has the superstep.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from stretto.context import RunContext
from stretto.graph.call import bind, shape_of
from stretto.graph.ground import Compiled, EmptyChannelError, Send
from stretto.graph.parts import END, START, Blueprint
from stretto.graph.step import Reducer, decide, merged

_entries: WeakKeyDictionary[Compiled, "Entry"] = WeakKeyDictionary()


class Entry:
    """How a turn of one compiled graph begins."""

    def __init__(self, graph: Blueprint, compiled: Compiled, reducers: Mapping[str, Reducer]) -> None:
        self._keys, self._reducers = frozenset(graph.keys), reducers
        self._always = [target for source, target in graph.edges if source == START]
        route = next((route for route in graph.routes if route.source == START), None)
        self._targets: Mapping[Any, str] = route.targets if route else {}
        self._choose: Callable[[Any, RunContext], Any] | None = (
            bind(route.choose, shape_of(route.choose)) if route else None
        )
        first = {*self._always, *self._targets.values()} - {END}
        self.compiled = copy.copy(compiled)
        self.compiled.input_channels = [*self._keys, *(_channel(name) for name in first)]
        self.compiled.config = {**compiled.config, "recursion_limit": graph.steps}
        self._empty = {key: compiled.channels[key] for key in reducers}

    @property
    def chooses(self) -> bool:
        """Whether the way is chosen from the state."""
        return self._choose is not None

    async def begin(
        self, given: Mapping[str, Any], before: Mapping[str, Any], ctx: RunContext
    ) -> dict[str, Any] | None:
        """The input that leads to the first nodes; None where only langgraph can go the way.

        Args:
            given: the keys the turn begins with.
            before: the state of the thread; not used unless the way is chosen.
            ctx: for the route.
        """
        goto = self._always
        if self._choose is not None:
            chosen = await decide(self._choose, self._targets, self.after(given, before), ctx)
            if any(isinstance(item, Send) for item in chosen):
                return None
            goto = [*goto, *(self._targets[item] for item in chosen)]
        ways = {_channel(name): None for name in goto if name != END}
        known = {key: value for key, value in given.items() if key in self._keys}
        return {**known, **ways} if ways else None

    def after(self, given: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
        """The state once the input is taken in."""
        state = dict(before)
        for key in self._empty.keys() - state.keys():
            try:
                state[key] = self._empty[key].get()
            except EmptyChannelError:
                continue
        return merged(state, {key: given[key] for key in given if key in self._keys}, self._reducers)


def _channel(name: str) -> str:
    return f"branch:to:{name}"


def remember(graph: Blueprint, compiled: Compiled, reducers: Mapping[str, Reducer]) -> None:
    """Gives the compiled graph an entry, where its first nodes wait for nothing but START."""
    if not any(START in join.sources for join in graph.joins):
        _entries[compiled] = Entry(graph, compiled, reducers)


def entry_of(compiled: Compiled) -> Entry | None:
    """The entry of a graph that we compiled."""
    return _entries.get(compiled)
