"""A thread that an earlier version of the graph left is taken up: as it is, in a new form, or not at all.

What stands between the two is `difference.py`'s to say, how the new form is written `migration.py`'s. A
thread is looked at once: its next checkpoint carries the fingerprint of today.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from stretto.errors import ThreadError, ThreadOutdated
from stretto.graph.description import STAMP, GraphDescription, described, kept_description
from stretto.graph.difference import Difference, close_to, difference
from stretto.graph.ground import Compiled
from stretto.graph.migration import Migration, level_of
from stretto.threads.checkpoint.tips import Tip, alive, read_tips, tip_of


def is_of_today(compiled: Compiled, metadata: Mapping[str, Any] | None) -> bool:
    """Whether a checkpoint with these metadata was written by this very graph, or there is none."""
    mine = described(compiled)
    return mine is None or not metadata or metadata.get(STAMP) == mine.fingerprint


async def take_up(compiled: Compiled, config: Any, *, going_on: bool) -> bool:
    """Whether the thread of `config` was given a new form; else it can be taken up as it is.

    Args:
        compiled: The graph of today.
        config: Names the thread.
        going_on: Whether the thread is to go on where it stopped. A thread that waits for an answer is
            looked at as if it were: what it waits for must not be lost in silence.

    Raises:
        ThreadOutdated: It cannot be taken up.
    """
    mine, saver = described(compiled), compiled.checkpointer
    thread_id = str(config["configurable"]["thread_id"])
    tips = await _tips(saver, thread_id) if mine is not None else {}
    if mine is None or not tips:
        return False
    old = await kept_description(saver, tips[""].fingerprint)
    apart = difference(tips, old, mine.description, going_on=going_on or tips[""].asked)
    if apart.gone or apart.blocked:
        raise ThreadOutdated(
            f"thread `{thread_id}` {refusal(apart, old, mine.description)}",
            thread_id=thread_id,
            nodes=apart.gone,
            keys=tuple(key for key, _ in apart.unfit),
        )
    if not apart:
        return False
    try:
        found = {space: await saver.aget_tuple(_place(thread_id, space)) for space in tips}
    except ThreadError as error:
        raise ThreadOutdated(
            f"thread `{thread_id}` cannot be given its new form: {error}; annotate the first parameter of "
            "`migrate` with the state of then, a TypedDict",
            thread_id=thread_id,
            keys=tuple(key for key, _ in apart.unfit),
        ) from None
    level = level_of(mine.graph, old, mine.description)
    migration = Migration(saver, thread_id, found, mine.fingerprint)
    await migration.write(level, [key for key, _ in apart.unfit])
    return True


async def _tips(saver: Any, thread_id: str) -> dict[str, Tip]:
    """The tips of a thread; of a store of ours without building what it holds."""
    database = getattr(saver, "file", None)
    if database is not None:
        read = await database.transact(
            partial(read_tips, thread_ids=[thread_id], packed=saver.packed), writes=False
        )
        return read.get(thread_id, {})
    tips: dict[str, Tip] = {}
    async for item in saver.alist({"configurable": {"thread_id": thread_id}}):
        space = item.config["configurable"]["checkpoint_ns"]
        if space not in tips:
            tips[space] = tip_of(item.checkpoint, item.metadata, item.pending_writes or ())
    return alive(tips) if "" in tips else {}


def _place(thread_id: str, space: str) -> Any:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": space}}


def refusal(apart: Difference, old: GraphDescription | None, new: GraphDescription) -> str:
    """Why a thread cannot be taken up, and what to type; goes behind its name."""
    if apart.gone:
        nodes = ", ".join(f"`{name}`" for name in apart.gone)
        node = apart.gone[0].partition(" (")[0]
        near = close_to(node, old, new) if "/" not in node else "NEW_NAME"
        return (
            f"waits at, or goes to next, node {nodes}, which this graph does not have; if it has another "
            f'name now, type Graph(..., renamed={{"{node.rpartition("/")[2]}": "{near}"}}), else let the '
            "version that left the thread end its turn"
        )
    said = "; ".join(f"`{key}` {why}" for key, why in apart.unfit)
    return (
        f"was left by another version of this graph: state key {said}; type Graph(..., migrate=migrate) with "
        "`def migrate(state, old): ...; return state`, which gives the state in its form of today"
    )
