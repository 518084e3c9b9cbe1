"""How a turn runs: the context is set, the graph is run, errors are mapped, questions are found.

Tokens go by `ctx.emit` and never through langgraph's streams. Knows no agent.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Literal, NamedTuple

from stretto.budgets import open_ledger
from stretto.context import Run, RunContext, running_context, use_context
from stretto.errors import GraphError, LimitReached, ThreadError
from stretto.graph.entry import entry_of
from stretto.graph.ground import (
    INPUT,
    Command,
    Compiled,
    DeltaChannel,
    EmptyInputError,
    GraphRecursionError,
    InvalidUpdateError,
    StateUpdate,
)
from stretto.graph.parts import END
from stretto.graph.pause import bounds_of, questions_of, resume_map
from stretto.graph.taking_up import is_of_today, take_up
from stretto.messages import Message
from stretto.threads.checkpoint.writer import LEASE

Durability = Literal["sync", "async", "exit"]
"""sync: a step is on disk before the next one; async: while the next one runs; exit: only at the end."""


class Played(NamedTuple):
    """The end of a turn."""

    state: dict[str, Any]
    questions: dict[str, Any]
    """What waits for an answer, by call id; empty when the turn is done."""


class ThreadStanding(NamedTuple):
    """Where a thread stands between turns."""

    state: dict[str, Any]
    questions: dict[str, Any]
    """What it waits for, by call id."""
    next: tuple[str, ...]
    """The nodes at which its last turn waits, failed or was left."""
    ended: tuple[str, ...] = ()
    """Nodes that came to their end in its last step, which did not."""
    pending: tuple[str, ...] = ()
    """The ids of the tasks that wrote nothing yet."""
    bounds: Mapping[str, str] = {}
    """What its questions are bound to, by call id."""

    @property
    def unfinished(self) -> bool:
        """Whether its last turn did not come to its end."""
        return bool(self.next or self.ended)


async def play(
    compiled: Compiled,
    turn_input: Mapping[str, Any] | None,
    *,
    run: Run,
    thread_id: str = "",
    durability: Durability = "sync",
    max_steps: int | None = None,
    resume: Mapping[str, Any] | None = None,
    before: Mapping[str, Any] | None = None,
) -> Played:
    """Runs one turn of `compiled`.

    Args:
        compiled: What `Graph.compile` gave.
        turn_input: The keys the turn begins with (`new_turn(question)`); None to go on where it stopped.
        run: What the nodes share; its `limits` hold for the turn.
        thread_id: The conversation; `run.thread_id` where empty. Needed with a checkpointer.
        durability: When a step is on disk. Nothing to a graph without a checkpointer.
        max_steps: Supersteps the turn may take; the graph's own where None.
        resume: Answers to waiting questions, by call id, instead of an input.
        before: The state of the thread, from a caller who has just read it.

    Raises:
        LimitReached: Steps, visits or a budget are used up.
        ThreadError: `resume` fits no waiting question, or the thread is missing.
        AnswerRefused: An answer does not fit the schema of its question; the thread still waits.
        GraphError: The graph does not hold to its state.
    """
    config = _config(compiled, thread_id or run.thread_id, max_steps, run.lease)
    outer = running_context()
    ctx = RunContext(run)
    use_context(ctx)
    ledger = run.ledger = run.ledger or open_ledger(run)
    resumed = run.resumed = resume is not None or turn_input is None
    try:
        async with nullcontext() if ledger is None else ledger.running(resumed=resumed):
            if resume is None:
                played = await _from_the_first(compiled, turn_input, config, durability, before, ctx)
            else:
                given = await _resuming(compiled, config, resume, thread_id or run.thread_id, run.clock())
                played = await _to_the_end(compiled, given, config, durability) or Played({}, {})
            if ledger is not None:
                ledger.paused = bool(played.questions)
            return played
    except GraphRecursionError:
        limit: Any = max_steps or compiled.config["recursion_limit"] - 1
        raise LimitReached(
            f"this run took {limit} steps and did not end; raise `max_steps`, or give the loop a way out",
            limit="steps",
        ) from None
    except (InvalidUpdateError, EmptyInputError) as error:
        raise GraphError(str(error).split("\n")[0]) from None
    finally:
        use_context(outer)


async def _from_the_first(
    compiled: Compiled,
    turn_input: Mapping[str, Any] | None,
    config: Any,
    durability: Durability,
    before: Mapping[str, Any] | None,
    ctx: RunContext,
) -> Played:
    """A turn that begins with an input, or goes on where the thread stopped."""
    if not turn_input and compiled.checkpointer:
        await _standing(compiled, config, going_on=True)
    playing, given = await _entered(compiled, config, turn_input, before, ctx)
    played = await _to_the_end(playing, given, config, durability)
    if played is not None:
        return played
    if compiled.checkpointer:
        return Played((await compiled.aget_state(config)).values, {})
    entry = entry_of(compiled)
    return Played(entry.after(turn_input, {}) if entry and turn_input else {}, {})


async def _to_the_end(compiled: Compiled, given: Any, config: Any, durability: Durability) -> Played | None:
    """What `ainvoke` does, in one stream, which carries the interrupts too; None if no node wrote."""
    state: Any = None
    asked: list[Any] = []
    kept: Any = {"durability": durability} if compiled.checkpointer else {}
    async for part in compiled.astream(given, config, stream_mode="values", version="v2", **kept):
        state = part["data"]
        asked += part["interrupts"]
    return None if state is None else Played(dict(state), questions_of(asked))


async def _entered(
    compiled: Compiled,
    config: dict[str, Any],
    turn_input: Mapping[str, Any] | None,
    before: Mapping[str, Any] | None,
    ctx: RunContext,
) -> tuple[Compiled, Any]:
    """The graph and the input that begin at the first nodes, and the limit of steps for it in `config`."""
    entry = entry_of(compiled)
    if entry is None or not turn_input:
        return compiled, turn_input
    if before is None and entry.chooses and compiled.checkpointer:
        before = (await compiled.aget_state(config)).values
    given = await entry.begin(turn_input, before or {}, ctx)
    if given is None:
        return compiled, turn_input
    if "recursion_limit" in config:
        config["recursion_limit"] -= 1
    return entry.compiled, given


async def thread_state(compiled: Compiled, thread_id: str) -> dict[str, Any]:
    """The state a thread is in; empty for a thread that never was."""
    snapshot = await compiled.aget_state(_config(compiled, thread_id, None))
    return dict(snapshot.values or {})


async def thread_messages(compiled: Compiled, thread_id: str) -> list[Message]:
    """The messages of a thread, in order."""
    return list((await thread_state(compiled, thread_id)).get("messages", ()))


async def thread_standing(compiled: Compiled, thread_id: str, *, lease: int = 0) -> ThreadStanding:
    """Where a thread stands before its next turn; all is empty for a thread that never was.

    Args:
        compiled: What keeps the thread.
        thread_id: The thread.
        lease: The token by which a thread of an earlier graph may be taken up.

    Raises:
        ThreadOutdated: The graph was changed since, and cannot take it up.
    """
    snapshot = await _standing(compiled, _config(compiled, thread_id, None, lease), going_on=False)
    return ThreadStanding(
        dict(snapshot.values or {}),
        questions_of(snapshot.interrupts),
        snapshot.next,
        ended=tuple(task.name for task in snapshot.tasks if task.name not in snapshot.next),
        pending=tuple(task.id for task in snapshot.tasks if task.result is None),
        bounds=bounds_of(snapshot.interrupts),
    )


async def add_to_thread(compiled: Compiled, run: Run, messages: Sequence[Message]) -> None:
    """Adds messages to the thread of a run whose turn was left, which then waits for nothing more."""
    if not compiled.checkpointer:
        return
    entry = entry_of(compiled)
    settled = [StateUpdate(None, END)]
    steps = [settled, [StateUpdate({"messages": list(messages)}, INPUT)], *([] if entry else [settled])]
    config = _config(compiled, run.thread_id, None, run.lease)
    await (entry.compiled if entry else compiled).abulk_update_state(config, steps)


def with_deltas(compiled: Compiled) -> list[str]:
    """The state keys whose value is put together from all earlier checkpoints of a thread."""
    return [key for key, channel in compiled.channels.items() if isinstance(channel, DeltaChannel)]


async def _standing(compiled: Compiled, config: Any, *, going_on: bool) -> Any:
    """The snapshot of a thread, as langgraph gives it, that this graph can take up."""
    try:
        snapshot = await compiled.aget_state(config)
    except ThreadError:  # it holds what the state of today does not declare
        if not await take_up(compiled, config, going_on=going_on):
            raise
        return await compiled.aget_state(config)
    if not is_of_today(compiled, snapshot.metadata) and await take_up(compiled, config, going_on=going_on):
        snapshot = await compiled.aget_state(config)
    return snapshot


def _config(compiled: Compiled, thread_id: str, max_steps: int | None, lease: int = 0) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if compiled.checkpointer:
        if not thread_id:
            raise ThreadError("this graph keeps threads, and no thread was named; give a `thread_id`")
        config["configurable"] = {"thread_id": thread_id, **({LEASE: lease} if lease else {})}
    if max_steps is not None:
        config["recursion_limit"] = max_steps + 1  # langgraph wants one more than it takes
    return config


async def _resuming(
    compiled: Compiled, config: Any, answers: Mapping[str, Any], thread_id: str, now: float
) -> Any:
    if not compiled.checkpointer:
        raise ThreadError(
            "this graph keeps no threads, so there is nothing to resume; compile it with a checkpointer"
        )
    snapshot = await _standing(compiled, config, going_on=True)
    return Command(resume=resume_map(snapshot.interrupts, answers, thread_id, now=now))
