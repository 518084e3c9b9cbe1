"""`Database`: what keeps all that is kept of threads, in short transactions. Knows no table.

`SqliteFile` is one, in a file or in memory, `PostgresDatabase` another. SQL that goes through it is plain:
`?` for values, `ON CONFLICT`, and no function that only one database has.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Cursor(Protocol):
    """The answer to a statement."""

    @property
    def rowcount(self) -> int:
        """Rows that the statement wrote."""
        ...

    def fetchone(self) -> Any:
        """The next row as a tuple; None behind the last."""
        ...

    def fetchall(self) -> Sequence[Any]:
        """All rows that are left, as tuples."""
        ...


class Connection(Protocol):
    """Takes statements within one transaction."""

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Cursor:
        """Runs one statement."""
        ...

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Any:
        """Runs one statement for each of the rows."""
        ...


Work = Callable[[Connection], T]
"""What is done in a transaction; it may be called again where the transaction was refused."""


class Database(Protocol):
    """Runs transactions. A killed process leaves none of them half done."""

    seal: Any
    """What stands around the values of its rows where they are encrypted (`Sealed`), else None."""

    async def transact(self, work: Callable[[Any], T], *, writes: bool = True, key: str = "") -> T:
        """What `work` gives, called with a `Connection` in a transaction of its own.

        Args:
            work: May be called again where the transaction could not be committed.
            writes: Whether it writes.
            key: Writers of the same key come one after the other; of none, all do. A database may let all
                of them do so.

        Raises:
            ThreadError: The database cannot be used.
        """
        ...

    def transact_now(self, work: Callable[[Any], T], *, writes: bool = True, key: str = "") -> T:
        """As `transact`, for callers without an event loop."""
        ...

    async def erase(self) -> None:
        """Sees to it that no byte of what was dropped is left, as far as it is this process's to say."""
        ...

    def erase_now(self) -> None:
        """As `erase`, for callers without an event loop."""
        ...
