"""`OneWriter`: which turn may write to a thread. Keeps nothing, and knows no format.

A checkpoint is refused (`ThreadConflict`) when its parent is no longer the tip of its thread, or its lease
was given to a later turn: another turn wrote meanwhile, or is about to, in this process or in another. A fork
is asked for by the id of an older checkpoint in the config. What is read by such an id carries the tip of
that moment (`TIP`): a fork has one writer too.
"""

from collections.abc import Mapping
from typing import Any

from stretto.errors import ThreadConflict
from stretto.threads.checkpoint.rows import Place, is_kept, tip_of
from stretto.threads.database import Connection
from stretto.threads.runs import holds

TIP = "__stretto_tip"
"""Where the config of an older checkpoint carries the tip."""
LEASE = "__stretto_lease"
"""Where the config of a turn carries the token of its lease."""
_OF_A_RUN = "__pregel_runtime"
"""What langgraph puts into the config of a run."""
_REFUSED = 1024
"""Checkpoints that were refused, and whose writes are refused too; the oldest are forgotten."""


class OneWriter:
    """Is asked in the transaction that writes: between its answer and the writing nobody else writes."""

    def __init__(self) -> None:
        self._refused: dict[Place, None] = {}

    def check_next(
        self,
        connection: Connection,
        place: Place,
        given: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> None:
        """Whether a checkpoint is the next one of its thread, or a fork that was asked for.

        Args:
            connection: In a transaction.
            place: Of the checkpoint.
            given: The `configurable` of its config; its `checkpoint_id` is the parent.
            metadata: Of the checkpoint.

        Raises:
            ThreadConflict: It is neither.
        """
        if not (_holds_lease(connection, place, given) and self._follows(connection, place, given, metadata)):
            self._refuse(place)

    def check_open(
        self, connection: Connection, place: Place, given: Mapping[str, Any], *, late: bool = False
    ) -> bool:
        """Whether the checkpoint at `place`, on which a turn writes, is there already.

        Args:
            connection: In a transaction.
            place: Of the checkpoint.
            given: The `configurable` of its config.
            late: The writes may come after the next checkpoint of their own turn.

        Raises:
            ThreadConflict: Another turn went on from it, or it was refused itself.
        """
        mine = place not in self._refused and _holds_lease(connection, place, given)
        if not mine or not (late or self._is_open(connection, place, given.get(TIP))):
            self._refuse(place)
        return is_kept(connection, place)

    def _follows(
        self,
        connection: Connection,
        place: Place,
        given: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> bool:
        thread_id, namespace, checkpoint_id = place
        source, parent = metadata.get("source"), given.get("checkpoint_id") or None
        if source in ("input", "loop"):
            above: Mapping[str, str] = metadata.get("parents") or {}
            for outer, above_id in above.items():
                if not self._is_open(connection, (thread_id, outer, above_id), None):
                    return False  # the turn that this sub-graph belongs to was refused, or overtaken
        tip = tip_of(connection, thread_id, namespace)
        if tip in (None, parent, checkpoint_id, given.get(TIP)):
            return True
        if parent is None and source != "fork":
            # a thread begins once; a sub-graph begins anew when its turn is played again
            return bool(namespace) or not (_OF_A_RUN in given or source == "update")
        return source == "fork"

    def _is_open(self, connection: Connection, place: Place, forked: str | None) -> bool:
        if place in self._refused:
            return False
        tip = tip_of(connection, *place[:2])
        return tip in (None, place[2], forked) or not is_kept(connection, place)

    def _refuse(self, place: Place) -> None:
        self._refused[place] = None
        if len(self._refused) > _REFUSED:
            self._refused.pop(next(iter(self._refused)), None)  # a database may work in threads
        raise ThreadConflict(
            f"another turn took thread `{place[0]}` further while this one ran, and this one is not kept; "
            "run one turn of a thread at a time, and ask again"
        )


def _holds_lease(connection: Connection, place: Place, given: Mapping[str, Any]) -> bool:
    """Whether no later turn was given the thread; a config without a token is not asked."""
    token = given.get(LEASE)
    return token is None or holds(connection, place[0], token)
