"""The parts of langgraph that this room stands on, in one place.

langgraph's generics are not complete for a strict type checker, so what is generic there is `Any` here.
"""

from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph import channels, pregel, runtime, types
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.base.id import uuid6
from langgraph.errors import (
    EmptyChannelError,
    EmptyInputError,
    GraphBubbleUp,
    GraphRecursionError,
    InvalidUpdateError,
)
from langgraph.graph import state  # pyright: ignore[reportMissingTypeStubs]
from langgraph.pregel import _algo as algo  # pyright: ignore[reportPrivateUsage, reportMissingTypeStubs]
from langgraph.pregel import _read as read  # pyright: ignore[reportPrivateUsage, reportMissingTypeStubs]
from langgraph.utils import runnable  # pyright: ignore[reportMissingTypeStubs]

Compiled = Any
"""langgraph's `CompiledStateGraph`."""
StateGraph: Any = state.StateGraph
Pregel: type[Any] = pregel.Pregel
Saver: type[Any] = BaseCheckpointSaver
BinaryOperatorAggregate: type[Any] = channels.BinaryOperatorAggregate
DeltaChannel: type[Any] = channels.DeltaChannel
RunnableCallable: Any = runnable.RunnableCallable
DEFAULT_BOUND: Any = read.DEFAULT_BOUND
Command: type[Any] = types.Command
Overwrite: type[Any] = types.Overwrite
Send: type[Any] = types.Send
StateUpdate: type[Any] = types.StateUpdate
INPUT = "__input__"
"""Stands for the input where a state is updated as by it."""
Interrupt: Any = types.Interrupt
interrupt: Any = types.interrupt
get_runtime: Any = runtime.get_runtime


def new_checkpoint_id() -> str:
    """The id of a checkpoint that is made now."""
    return str(uuid6(clock_seq=-2))


def interrupt_id(place: str) -> str:
    """The id of the interrupt of a task, which is told by its namespace."""
    return Interrupt.from_ns(None, place).id


def task_hash(checkpoint_id: str, *parts: str) -> str:
    """The id that langgraph gives to a task of a checkpoint, which is told by these parts."""
    named: Any = algo._xxhash_str  # pyright: ignore[reportPrivateUsage]
    return named(bytes.fromhex(checkpoint_id.replace("-", "")), *parts)


__all__ = [
    "DEFAULT_BOUND",
    "INPUT",
    "BinaryOperatorAggregate",
    "Command",
    "Compiled",
    "DeltaChannel",
    "EmptyChannelError",
    "EmptyInputError",
    "GraphBubbleUp",
    "GraphRecursionError",
    "Interrupt",
    "InvalidUpdateError",
    "Overwrite",
    "Pregel",
    "Runnable",
    "RunnableCallable",
    "RunnableConfig",
    "Saver",
    "Send",
    "StateGraph",
    "StateUpdate",
    "get_runtime",
    "interrupt",
    "interrupt_id",
    "new_checkpoint_id",
    "task_hash",
]
