"""`PostgresDatabase`: one Postgres database that the processes of many machines share.

A transaction waits for the network, so it runs in a thread of its own connection while the event loop goes
on. Writers take turns by advisory locks, which end with their transaction. The server ends the transaction
of a process that stands still; when that process comes back, it begins its transaction anew. A killed process
leaves nothing half done. Knows no table.
"""

import asyncio
import os
import random
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from queue import SimpleQueue
from typing import Any, TypeVar

from stretto._internal.redact import redact
from stretto.errors import MissingExtra, StrettoError

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
except ImportError:
    raise MissingExtra("A Postgres database", "postgres") from None

T = TypeVar("T")
Work = Callable[[Any], T]

SCHEMA = "stretto"
"""Where our tables are: a database may have others of the same names."""

_UNDONE = ("40001", "40P01", "25P03")
"""Not serializable, deadlock, stood still: the transaction is not kept, whenever this is said."""
_AGAIN = (*_UNDONE, "57P01", "57P02", "57P03", "53300")
"""Also: the server stops or starts, has too many clients."""
_MARK = re.compile(r"'(?:[^']|'')*'|[?%]")


class PostgresConnection:
    """Takes statements with `?` for values within one transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection: psycopg.Connection[Any] = connection

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Any:
        """Runs one statement; its rows are tuples."""
        return self._connection.execute(_marked(statement), values, binary=True)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> None:
        """Runs one statement for each of the rows, all of them in one journey."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_marked(statement), rows)


class PostgresDatabase:
    """The database at `url`. Usable from every thread, event loop and forked process.

    Its threads do not keep the program alive.

    Args:
        url: `postgresql://USER:PASSWORD@HOST:PORT/NAME`, or what else libpq reads.
        prepare: Makes or checks the tables; called once, in a transaction beside which nobody writes.
        refusal: The error to raise for what Postgres says; it names the place, never the password.
        patience: Seconds to wait for a server that was there before, and after which the transaction of a
            process that stands still is ended; others wait twice as long for their turn.
        connections: At most so many, in this process.
    """

    def __init__(
        self,
        url: str,
        *,
        prepare: Callable[[PostgresConnection], None],
        refusal: Callable[[str], StrettoError],
        patience: float = 5.0,
        connections: int = 4,
    ) -> None:
        self._server = _Server(url, prepare, refusal, patience)
        self.seal: Any = None
        """For those who keep rows in it, what stands around their values; not looked at here."""
        self._most = connections
        self._starting = threading.Lock()
        self._line = _Line()
        self._closing = weakref.finalize(self, self._line.end)

    @property
    def place(self) -> str:
        """Host, port and name of the database."""
        return self._server.place

    async def transact(self, work: Work[T], *, writes: bool = True, key: str = "") -> T:
        """`work` in a transaction of its own, in another thread.

        It is called again where the transaction was refused or its connection lost before it was committed.
        Who is cancelled waits for a transaction that has begun: whoever comes next comes after it.

        Args:
            work: Takes a `PostgresConnection`.
            writes: Whether it writes; else it sees the database at one moment.
            key: Writers of the same key come one after the other; one without a key comes alone.

        Raises:
            StrettoError: By `refusal`: the database cannot be used, or others did not let this one write.
        """
        job = self._put(work, writes, key)
        waiting = asyncio.wrap_future(job)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            while not (job.cancel() or job.done()):
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([waiting])
            raise

    def transact_now(self, work: Work[T], *, writes: bool = True, key: str = "") -> T:
        """As `transact`, for callers without an event loop."""
        return self._put(work, writes, key).result()

    async def erase(self) -> None:
        """Nothing: the server's own vacuum frees what was dropped, and its log is the server's."""

    def erase_now(self) -> None:
        """Nothing, as `erase`."""

    def close(self) -> None:
        """Closes the connections, after what runs; the next call opens them again. May be called twice."""
        with self._starting:
            line, self._line = self._line, _Line()
            self._closing.detach()
            self._closing = weakref.finalize(self, self._line.end)
        line.end()
        if line.owner == os.getpid():
            for thread in line.threads:
                thread.join(self._server.patience)

    def _put(self, work: Work[T], writes: bool, key: str) -> "Future[T]":
        job: Future[T] = Future()
        with self._starting:
            if self._line.owner != os.getpid():  # the threads and connections are the parent's
                self._closing.detach()
                self._line = _Line()
                self._closing = weakref.finalize(self, self._line.end)
            self._line.put(job, work, _begin(writes, key), self._server, self._most)
        return job


class _Line:
    """Jobs that wait, and the threads that take them. Knows nothing of who puts them."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[tuple[Future[Any], Work[Any], str] | None] = SimpleQueue()
        self._open = 0
        self._counting = threading.Lock()

    def put(self, job: Future[Any], work: Work[Any], begin: str, server: "_Server", most: int) -> None:
        with self._counting:
            self._open += 1
            short = self._open > len(self.threads)
        self._jobs.put((job, work, begin))
        if short and len(self.threads) < most:
            name = f"stretto-postgres-{len(self.threads)}"
            thread = threading.Thread(target=self._serve, args=(server,), name=name, daemon=True)
            self.threads.append(thread)
            thread.start()

    def end(self) -> None:
        if self.owner == os.getpid():
            for _ in self.threads:
                self._jobs.put(None)

    def _serve(self, server: "_Server") -> None:
        session = _Session(server)
        while (found := self._jobs.get()) is not None:
            job, work, begin = found
            if job.set_running_or_notify_cancel():
                try:
                    result = session.run(work, begin)
                except BaseException as error:  # whoever waits is to have it
                    self._count()
                    job.set_exception(error)
                else:
                    self._count()
                    job.set_result(result)
                    del result
            else:
                self._count()
            del found, job, work
        session.close()

    def _count(self) -> None:
        with self._counting:
            self._open -= 1


class _Server:
    """How to reach the database, and what is known of it."""

    def __init__(
        self,
        url: str,
        prepare: Callable[[PostgresConnection], None],
        refusal: Callable[[str], StrettoError],
        patience: float,
    ) -> None:
        try:
            given: dict[str, Any] = conninfo_to_dict(url)
        except psycopg.Error:
            raise refusal(
                "Postgres, for its URL cannot be read: write postgresql://USER:PASSWORD@HOST:PORT/NAME, "
                "and %40 for an @ in a password"
            ) from None
        self.prepare, self.refusal, self.patience = prepare, refusal, patience
        self.ready = self.reached = False
        self._secrets = [str(given[name]) for name in ("password", "sslpassword") if given.get(name)]
        usual = {"connect_timeout": 10, "tcp_user_timeout": 30_000, "application_name": "stretto"}
        self._given: dict[str, Any] = usual | given | {"client_encoding": "utf8"}
        host, port = given.get("host", "localhost"), given.get("port", 5432)
        self.place = f"postgresql://{host}:{port}/{given.get('dbname', '')}"

    def connect(self) -> "psycopg.Connection[Any]":
        connection = psycopg.connect(**self._given, autocommit=True)
        still, turn = int(self.patience * 1000), int(self.patience * 2000)
        settings = (
            f"SET search_path TO {SCHEMA}; SET idle_in_transaction_session_timeout TO {still}; "
            f"SET lock_timeout TO {turn}"
        )
        try:
            connection.execute(settings.encode())
        except BaseException:
            connection.close()
            raise
        self.reached = True
        return connection

    def refused(self, what: str) -> StrettoError:
        return self.refusal(f"`{self.place}`: {redact(' '.join(what.split()), known=self._secrets)}")


class _Session:
    """One connection, opened when first used, and again when it was lost. For one thread."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._connection: psycopg.Connection[Any] | None = None
        self._committing = False

    def run(self, work: Work[T], begin: str) -> T:
        """What `work` gives in a transaction that was committed."""
        deadline = 0.0
        while True:
            try:
                return self._once(work, begin)
            except psycopg.Error as error:
                deadline = self._until(error, deadline)
            except UnicodeEncodeError as error:
                raise self._server.refused(f"text that is not UTF-8: {error.reason}") from None
            time.sleep(random.uniform(0.005, 0.05))

    def close(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _once(self, work: Work[T], begin: str) -> T:
        self._committing = False
        if self._connection is None:
            self._connection = self._server.connect()
        if not self._server.ready:
            self._transaction(self._connection, self._server.prepare, _begin(True, ""))
            self._server.ready = True
        return self._transaction(self._connection, work, begin)

    def _transaction(self, connection: "psycopg.Connection[Any]", work: Work[T], begin: str) -> T:
        self._committing = False
        try:
            connection.execute(begin.encode())
            result = work(PostgresConnection(connection))
            self._committing = begin != _READ
            ended = connection.execute(b"COMMIT").statusmessage
        except BaseException:
            self._undo(connection)
            raise
        if ended != "COMMIT":
            raise self._server.refused("a statement failed, and the transaction with it")
        return result

    def _undo(self, connection: "psycopg.Connection[Any]") -> None:
        try:
            connection.execute(b"ROLLBACK")
        except psycopg.Error:
            self.close()

    def _until(self, error: psycopg.Error, deadline: float) -> float:
        """The time at which to give up."""
        server, now = self._server, time.monotonic()
        if error.sqlstate == "55P03":
            raise server.refused(f"others write to it for longer than {2 * server.patience:g} s") from None
        lost = self._connection is None and isinstance(error, psycopg.OperationalError)
        if lost and self._committing and error.sqlstate not in _UNDONE:
            raise server.refused(
                "the connection was lost while a transaction ended; look whether it is kept, then try again"
            ) from None
        again = server.reached and (lost or error.sqlstate in _AGAIN)
        if not again or (deadline and now >= deadline):
            raise server.refused(error.diag.message_primary or str(error)) from None
        return deadline or now + server.patience


_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT "


def _begin(writes: bool, key: str) -> str:
    """Begins a transaction: at one moment, or when it is its turn."""
    if not writes:
        return _READ
    if not key:
        return f"{_WRITE}pg_advisory_xact_lock({_ALL})"
    return f"{_WRITE}pg_advisory_xact_lock_shared({_ALL}), pg_advisory_xact_lock({_number(key)})"


def _number(key: str) -> int:
    digest = blake2b(f"{SCHEMA}:{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


_ALL = _number("")


@lru_cache(maxsize=512)
def _marked(statement: str) -> bytes:
    """The statement with `%s` for each `?`, as the driver wants it."""

    def mark(found: re.Match[str]) -> str:
        return "%s" if found[0] == "?" else found[0].replace("%", "%%")

    return _MARK.sub(mark, statement).encode()
