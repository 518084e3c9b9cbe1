"""All tables of a thread database, declared in one place. Knows no row of them."""

import sqlite3

from stretto.errors import ThreadError
from stretto.threads.database import Connection
from stretto.threads.seal import Seal, check_mark, is_sealed, mark_of

FORMAT = 3
"""Of the tables; kept in `user_version`."""

COLUMNS = "thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"
"""Of a checkpoint."""

_CHECKPOINTS = """CREATE TABLE IF NOT EXISTS checkpoints (
    seq INTEGER PRIMARY KEY, thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL,
    checkpoint_id TEXT NOT NULL, parent_checkpoint_id TEXT, type TEXT, checkpoint BLOB, metadata BLOB,
    UNIQUE (thread_id, checkpoint_ns, checkpoint_id))"""

TABLES = (
    _CHECKPOINTS,
    "CREATE INDEX IF NOT EXISTS tips ON checkpoints (thread_id, checkpoint_ns, seq)",
    # what tasks wrote on top of a checkpoint
    """CREATE TABLE IF NOT EXISTS writes (
        thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL, checkpoint_id TEXT NOT NULL,
        task_id TEXT NOT NULL, task_path TEXT NOT NULL, idx INTEGER NOT NULL, channel TEXT NOT NULL,
        type TEXT, value BLOB, PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx))""",
    # messages, each kept once: checkpoints name them
    """CREATE TABLE IF NOT EXISTS items (
        thread_id TEXT NOT NULL, item INTEGER NOT NULL, type TEXT, content BLOB NOT NULL,
        PRIMARY KEY (thread_id, item))""",
    # who may write to a thread: the last token that was given out, and on whose behalf
    """CREATE TABLE IF NOT EXISTS leases (
        thread_id TEXT NOT NULL PRIMARY KEY, token INTEGER NOT NULL, run_id TEXT NOT NULL,
        tenant TEXT NOT NULL, user_id TEXT NOT NULL)""",
    # runs: waiting for their thread, playing, or ended
    """CREATE TABLE IF NOT EXISTS runs (
        place INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, thread_id TEXT NOT NULL, tenant TEXT NOT NULL,
        user_id TEXT NOT NULL, agent TEXT NOT NULL, owner TEXT NOT NULL, status TEXT NOT NULL,
        kept INTEGER NOT NULL, began REAL NOT NULL, until REAL NOT NULL, ended REAL NOT NULL,
        wish TEXT NOT NULL, taken_by TEXT NOT NULL, asked BLOB NOT NULL, result BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS runs_of_threads ON runs (thread_id, place)",
    "CREATE INDEX IF NOT EXISTS runs_alive ON runs (owner) WHERE status IN ('waiting', 'playing')",
    "CREATE INDEX IF NOT EXISTS runs_ended ON runs (ended) WHERE ended > 0",
    """CREATE TABLE IF NOT EXISTS events (
        run_id TEXT NOT NULL, number INTEGER NOT NULL, content BLOB NOT NULL,
        PRIMARY KEY (run_id, number))""",
    # the steps of nodes: what a node that runs again need not do again
    """CREATE TABLE IF NOT EXISTS journal (
        thread_id TEXT NOT NULL, task_id TEXT NOT NULL, ordinal INTEGER NOT NULL, content BLOB NOT NULL,
        PRIMARY KEY (thread_id, task_id, ordinal))""",
    # tool calls that change something
    """CREATE TABLE IF NOT EXISTS effects (
        thread_id TEXT NOT NULL, task_id TEXT NOT NULL, ordinal INTEGER NOT NULL, effect_key TEXT NOT NULL,
        tool TEXT NOT NULL, effect TEXT NOT NULL, arguments TEXT NOT NULL, state TEXT NOT NULL,
        at REAL NOT NULL, content BLOB NOT NULL, PRIMARY KEY (thread_id, task_id, ordinal))""",
    # which media a thread holds
    """CREATE TABLE IF NOT EXISTS media_references (
        thread_id TEXT NOT NULL, sha256 TEXT NOT NULL, tenant TEXT NOT NULL, bytes INTEGER NOT NULL,
        kind TEXT NOT NULL, PRIMARY KEY (thread_id, sha256))""",
    # the graphs that wrote checkpoints, described by what a later one has to know of them
    """CREATE TABLE IF NOT EXISTS graphs (
        fingerprint TEXT NOT NULL PRIMARY KEY, content BLOB NOT NULL)""",
    # what is remembered across threads; `ttl` in seconds, 0 for ever
    """CREATE TABLE IF NOT EXISTS memories (
        namespace TEXT NOT NULL, name TEXT NOT NULL, content BLOB NOT NULL, vector BLOB NOT NULL,
        created REAL NOT NULL, updated REAL NOT NULL, ttl REAL NOT NULL, until REAL NOT NULL,
        PRIMARY KEY (namespace, name))""",
    # with which key rows are encrypted: one row, empty where with none
    "CREATE TABLE IF NOT EXISTS sealing (place INTEGER NOT NULL PRIMARY KEY, mark BLOB NOT NULL)",
)

_VALUES = (("checkpoints", "checkpoint"), ("items", "content"), ("writes", "value"), ("memories", "content"))
_PLAIN = ("runs", "events", "journal", "effects")
"""Tables that an earlier version encrypted with a key, and those that it never did."""


def prepare(connection: sqlite3.Connection, *, seal: Seal | None = None) -> None:
    """Makes the tables that are missing, or takes over those of langgraph's own sqlite saver.

    Args:
        connection: To the file.
        seal: What its rows are, or will be, encrypted with; None: they are not.

    Raises:
        ThreadKeyRefused: They are with another one, or not at all; nothing was written.
        ThreadError: The file was made by a later version.
    """
    if _format(connection) == FORMAT:
        check_key(connection, seal)
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _format(connection)
        if found > FORMAT:
            raise ThreadError(
                f"these threads have format {found}, and this version reads format {FORMAT}; "
                "use the version that made them, or give another path"
            )
        _make(connection, foreign=found == 0 and bool(_columns(connection, "checkpoints")))
        check_key(connection, seal, first=True)
        connection.execute(f"PRAGMA user_version={FORMAT}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def check_key(connection: Connection, seal: Seal | None, *, first: bool = False) -> None:
    """Looks whether the rows are for this key; keeps its mark where the tables were made just now (`first`).

    Raises:
        ThreadKeyRefused: They are not.
    """
    row = connection.execute("SELECT mark FROM sealing").fetchone()
    if row is not None:
        check_mark(bytes(row[0]), seal)
        return
    for table, column in _VALUES:
        found = connection.execute(
            f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL LIMIT 1"
        ).fetchone()
        if found is not None and is_sealed(found[0]) != (seal is not None):
            check_mark(b"" if seal is not None else bytes(found[0]), seal)
    if seal is not None and any(connection.execute(f"SELECT 1 FROM {t} LIMIT 1").fetchone() for t in _PLAIN):
        check_mark(b"", seal)
    if first:
        connection.execute("INSERT INTO sealing (place, mark) VALUES (1, ?)", (mark_of(seal),))


def _make(connection: sqlite3.Connection, *, foreign: bool) -> None:
    if foreign:
        connection.execute("ALTER TABLE checkpoints RENAME TO foreign_checkpoints")
    for statement in TABLES:
        connection.execute(statement)
    if "task_path" not in _columns(connection, "writes"):
        connection.execute("ALTER TABLE writes ADD COLUMN task_path TEXT NOT NULL DEFAULT ''")
    if foreign:
        connection.execute(
            f"INSERT INTO checkpoints ({COLUMNS}) "
            f"SELECT {COLUMNS} FROM foreign_checkpoints ORDER BY checkpoint_id"
        )
        connection.execute("DROP TABLE foreign_checkpoints")


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _format(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]
