"""`ThreadJournal`: the steps of a thread's nodes, and what its tool calls changed, in rows.

A row is written in a transaction of its own before what follows it begins. Steps go when their turn has
ended; what was changed stays noted as long as the thread. Knows no node and no tool.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stretto._internal.faults import reach
from stretto.errors import ThreadConflict
from stretto.steps import Effect, Recalled, Standing
from stretto.threads.database import Database
from stretto.threads.seal import covered, uncovered

_STEPS = "SELECT ordinal, content FROM journal WHERE thread_id = ? AND task_id = ?"
_EFFECTS = """SELECT ordinal, effect_key, tool, effect, arguments, state, at, content FROM effects
    WHERE thread_id = ? AND task_id = ?"""
_RECORD = """INSERT INTO journal (thread_id, task_id, ordinal, content) VALUES (?, ?, ?, ?)
    ON CONFLICT (thread_id, task_id, ordinal) DO UPDATE SET content = excluded.content"""
_UNSAY = "DELETE FROM journal WHERE thread_id = ? AND task_id = ? AND ordinal = ?"
_INTEND = """INSERT INTO effects
    (thread_id, task_id, ordinal, effect_key, tool, effect, arguments, state, at, content)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (thread_id, task_id, ordinal) DO UPDATE SET effect_key = excluded.effect_key,
    tool = excluded.tool, effect = excluded.effect, arguments = excluded.arguments, state = excluded.state,
    at = excluded.at, content = excluded.content"""
_BEGAN = "SELECT at FROM effects WHERE thread_id = ? AND task_id = ? AND ordinal = ?"
_SETTLE = "UPDATE effects SET state = ?, content = ? WHERE thread_id = ? AND task_id = ? AND ordinal = ?"

Fence = Callable[[Any], None]
"""Takes the connection of a transaction that is about to write."""


class ThreadJournal:
    """The journal of one thread, for one run.

    Args:
        database: Where the tables are.
        thread_id: The thread.
        fence: Is called with the connection before a step or an intent is written, in the same transaction,
            and raises where the run may not write to the thread any more. What has been done is noted anyway.
    """

    def __init__(self, database: Database, thread_id: str, *, fence: Fence | None = None) -> None:
        self._database, self._thread, self._fence = database, thread_id, fence
        self._used = False
        self._wrote: set[str] = set()

    def wrote(self, task_id: str) -> bool:
        """Whether this journal has written, or tried to write, of a task."""
        return task_id in self._wrote

    async def recall(self, task_id: str) -> Recalled:
        """What is kept of a task."""
        place = self._thread, task_id

        def work(connection: Any) -> Recalled:
            steps = connection.execute(_STEPS, place).fetchall()
            effects = connection.execute(_EFFECTS, place).fetchall()
            return Recalled(
                {number: self._read(bytes(content), "journal", number) for number, content in steps},
                {row[0]: self._effect(*row) for row in effects},
            )

        self._used = True
        return await self._database.transact(work, writes=False)

    async def record(self, task_id: str, steps: Mapping[int, bytes]) -> None:
        """Keeps steps."""
        rows = [
            (self._thread, task_id, number, self._sealed(content, "journal", number))
            for number, content in steps.items()
        ]
        self._wrote.add(task_id)
        reach("journal.before")
        await self._write(_RECORD, rows, self._fence)
        reach("journal.after")

    async def unsay(self, task_id: str, steps: Iterable[int]) -> None:
        """Forgets these steps."""
        await self._write(_UNSAY, [(self._thread, task_id, number) for number in steps])

    async def intend(self, task_id: str, effects: Mapping[int, Effect]) -> None:
        """Notes that these calls are about to run; raises ThreadConflict where others have begun them."""
        places = [(self._thread, task_id, number) for number in effects]
        rows = [
            (self._thread, task_id, number, e.key, e.tool, e.effect, *self._said(number, e))
            for number, e in effects.items()
        ]

        def check(connection: Any) -> None:
            if self._fence is not None:
                self._fence(connection)
            for place, effect in zip(places, effects.values(), strict=True):
                found = connection.execute(_BEGAN, place).fetchone()
                if (found[0] if found else None) != effect.after:
                    raise ThreadConflict(
                        f"another process has begun `{effect.tool}` in thread `{self._thread}` meanwhile; "
                        "nothing was run here"
                    )

        self._wrote.add(task_id)
        reach("intent.before")
        await self._write(_INTEND, rows, check)
        reach("intent.after")

    async def settle(self, task_id: str, step: int, standing: Standing, content: bytes) -> None:
        """Notes what came of a call."""
        reach("done.before")
        row = (standing, self._sealed(content, "effects", step), self._thread, task_id, step)
        await self._write(_SETTLE, [row])
        reach("done.after")

    def end(self, connection: Any) -> None:
        """Drops the steps of the thread, where there can be any, in the transaction that ends the run."""
        if self._used or self._wrote:
            reach("forget_steps.before")
            forget_steps(connection, self._thread)
            reach("forget_steps.after")

    def _said(self, number: int, effect: Effect) -> tuple[Any, ...]:
        arguments = effect.arguments
        if self._database.seal is not None:  # the column is text
            sealed = self._sealed(arguments.encode("utf-8", "surrogatepass"), "arguments", number)
            arguments = b64encode(sealed).decode()
        return arguments, effect.standing, effect.at, self._sealed(effect.content, "effects", number)

    def _effect(self, number: int, *row: Any) -> Effect:
        key, tool, effect, arguments, standing, at, content = row
        if self._database.seal is not None:
            sealed = b64decode(arguments)
            arguments = self._read(sealed, "arguments", number).decode("utf-8", "surrogatepass")
        said = self._read(bytes(content), "effects", number)
        return Effect(key, tool, effect, arguments, standing, at, said)

    def _sealed(self, content: bytes, column: str, number: int) -> bytes:
        return covered(self._database.seal, content, column, self._thread, number)

    def _read(self, content: bytes, column: str, number: int) -> bytes:
        return uncovered(self._database.seal, content, column, self._thread, number)

    async def _write(self, statement: str, rows: list[tuple[Any, ...]], check: Fence | None = None) -> None:
        def work(connection: Any) -> None:
            if check is not None:
                check(connection)
            if len(rows) == 1:
                connection.execute(statement, rows[0])
            else:
                connection.executemany(statement, rows)

        await self._database.transact(work, key=self._thread)


def forget_steps(connection: Any, thread_id: str) -> None:
    """Drops the steps of a thread: its turn has ended. What was changed stays noted."""
    connection.execute("DELETE FROM journal WHERE thread_id = ?", (thread_id,))


def forget(connection: Any, thread_id: str) -> None:
    """Drops all that the journal holds of a thread."""
    forget_steps(connection, thread_id)
    connection.execute("DELETE FROM effects WHERE thread_id = ?", (thread_id,))
