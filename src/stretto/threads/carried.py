"""What goes along where a task gets another id, or a thread a fork. Plain SQL.

Which tables hold rows of a task is read from their declarations: those with a `thread_id` and a `task_id`,
but for what langgraph's tasks wrote, which belongs to a checkpoint.
"""

import re
from collections.abc import Iterable

from stretto.threads.database import Connection
from stretto.threads.seal import Seal, covered, uncovered
from stretto.threads.tables import TABLES

_COLUMN = re.compile(r"(?:\(|,)\s*([a-z_0-9]+) (?:TEXT|INTEGER|REAL|BLOB)\b")


def _columns() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for statement in TABLES:
        table = re.match(r"CREATE TABLE IF NOT EXISTS (\w+) ", statement)
        columns = _COLUMN.findall(statement)
        if table and {"thread_id", "task_id"} <= set(columns) and "checkpoint_id" not in columns:
            found[table[1]] = [name for name in columns if name not in ("thread_id", "task_id")]
    return found


OF_TASKS = _columns()
"""Tables with rows of a task, and their further columns."""


def copy_tasks(connection: Connection, thread_id: str, moves: Iterable[tuple[str, str]]) -> None:
    """Lets tasks find under their new id what was kept under the old one: journal and effects.

    Args:
        connection: In a transaction.
        thread_id: Whose tasks.
        moves: Old and new ids.
    """
    for old, new in moves:
        for table, columns in OF_TASKS.items():
            rest = ", ".join(columns)
            connection.execute(
                f"INSERT INTO {table} (thread_id, task_id, {rest}) SELECT thread_id, ?, {rest} FROM {table} "
                "WHERE thread_id = ? AND task_id = ? ON CONFLICT DO NOTHING",
                (new, thread_id, old),
            )


def copy_to_fork(connection: Connection, source: str, target: str, *, seal: Seal | None = None) -> None:
    """Lets the thread `target`, a fork of `source`, hold its media, and go on where a node of it stopped.

    The journal goes along: what a node did before it stopped is not done again. Effects do not: what the fork
    changes is its own, under keys of its own. Steps that are encrypted are tied to their thread: with `seal`,
    anew.
    """
    for table, columns in (("journal", OF_TASKS["journal"]), ("media_references", _MEDIA)):
        names = ", ".join((*(["task_id"] if table == "journal" else []), *columns))
        connection.execute(
            f"INSERT INTO {table} (thread_id, {names}) SELECT ?, {names} FROM {table} WHERE thread_id = ? "
            "ON CONFLICT DO NOTHING",
            (target, source),
        )
    if seal is not None:
        _seal_anew(connection, source, target, seal)


def _seal_anew(connection: Connection, source: str, target: str, seal: Seal) -> None:
    found = connection.execute("SELECT task_id, ordinal, content FROM journal WHERE thread_id = ?", (target,))
    for task_id, number, content in found.fetchall():
        plain = uncovered(seal, bytes(content), "journal", source, number)
        connection.execute(
            "UPDATE journal SET content = ? WHERE thread_id = ? AND task_id = ? AND ordinal = ?",
            (covered(seal, plain, "journal", target, number), target, task_id, number),
        )


_MEDIA = ["sha256", "tenant", "bytes", "kind"]
