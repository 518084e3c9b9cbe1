"""`lean`: spares a node what langgraph does for tracers when there are none to hear it.

langgraph runs a node and its writers as a sequence that reports its start, its end and each of its steps to
callbacks. Without callbacks nobody hears it, and the reports cost a third of the superstep. The node, its
writers and what it is told stay as they are. Knows no node of ours.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextvars import copy_context
from typing import Any, cast

from langchain_core.runnables.config import var_child_runnable_config

from stretto.graph.ground import DEFAULT_BOUND, Compiled, Runnable


class Lean(Runnable[Any, Any]):
    """A node with its writers, one after the other; the sequence itself as soon as anyone listens.

    Args:
        whole: langgraph's sequence of the node and its writers.
        alone: the node runs in a context of its own, as every node of a user does.
    """

    def __init__(self, whole: Any, *, alone: bool) -> None:
        self._whole, self._alone = whole, alone
        self._first, *self._rest = cast("Sequence[Any]", whole.steps)
        self.name = whole.name

    async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        """Runs the node, then its writers; gives what the node gave."""
        callbacks: Any = config and config.get("callbacks")
        if callbacks is None or getattr(callbacks, "handlers", True):
            return await self._whole.ainvoke(input, config, **kwargs)
        told = {key: value for key, value in config.items() if key not in ("run_name", "run_id")}
        output = self._first.ainvoke(input, told, **kwargs)
        if self._alone:
            context = copy_context()
            context.run(var_child_runnable_config.set, cast(Any, told))
            output = asyncio.create_task(output, context=context)
        output = await output
        for writer in self._rest:
            output = await writer.ainvoke(output, told)
        return output

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        """As the sequence does."""
        return self._whole.invoke(input, config, **kwargs)

    def stream(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[Any]:
        """As the sequence does."""
        return self._whole.stream(input, config, **kwargs)

    def astream(self, input: Any, config: Any = None, **kwargs: Any) -> AsyncIterator[Any]:
        """As the sequence does."""
        return self._whole.astream(input, config, **kwargs)


def lean(compiled: Compiled) -> None:
    """Makes the nodes of a graph lean."""
    for node in compiled.nodes.values():
        whole = node.node
        if hasattr(whole, "steps"):
            node.__dict__["node"] = Lean(whole, alone=node.bound is not DEFAULT_BOUND)
