"""The events of runs that outlive their reader: each is kept before anyone sees it. Knows no graph.

A reader who comes back with the last number it saw gets the rest, in this process or in another one.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, TypeVar, cast

import msgspec

from stretto._internal.faults import reach
from stretto._internal.loggers import logger
from stretto.errors import ThreadConflict
from stretto.events import Event, Interrupted, NodeStarted, Retracted, RunFinished, TextDelta
from stretto.threads.database import Connection, Database
from stretto.threads.runs import owns
from stretto.threads.seal import covered, uncovered

T = TypeVar("T")
_log = logger("stretto.threads")
_DEEPEST = 100
"""Of what is told of a value that cannot be told whole."""
_MOST = 512
"""Events that a reader is given from one look."""
_ADD = "INSERT INTO events (run_id, number, content) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_NEXT = "SELECT number, content FROM events WHERE run_id = ? AND number > ? ORDER BY number LIMIT ?"


class Recorder:
    """Takes the events of one run and keeps them, many in one transaction where many come at once.

    Those that tell of its end are kept by `keep_last`, in the transaction that ends the run: there is no
    ended run whose events do not say so, and nobody sees the end of one that still has its thread.
    """

    def __init__(self, database: Database, run_id: str, tell: Callable[[], None]) -> None:
        self._database, self._run_id, self._tell = database, run_id, tell
        self._new: list[tuple[str, int, bytes]] = []
        self._last: list[tuple[str, int, bytes]] = []
        self._keeping: asyncio.Task[None] | None = None

    def add(self, event: Event) -> None:
        """One more event; returns at once."""
        content = covered(self._database.seal, packed(event), "events", self._run_id, event.number)
        row = (self._run_id, event.number, content)
        if isinstance(event, RunFinished | Interrupted):
            self._last.append(row)
            return
        self._new.append(row)
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep())
            self._keeping.add_done_callback(self._kept)

    def keep_last(self, connection: Connection) -> None:
        """Keeps the events that tell of the run's end, and what is left of those before."""
        connection.executemany(_ADD, [*self._new, *self._last])

    async def close(self) -> None:
        """Returns once all events before the last are kept; raises ThreadError where they cannot be."""
        while self._keeping is not None:
            await asyncio.wait([self._keeping])
        await self._keep()

    def _kept(self, keeping: asyncio.Task[None]) -> None:
        self._keeping = None
        error = None if keeping.cancelled() else keeping.exception()
        if error is not None:  # they are kept with the next ones
            _log.warning("events of run `%s` could not be kept: %s", self._run_id, error)

    async def _keep(self) -> None:
        while self._new:
            rows = self._new.copy()

            def work(connection: Connection, rows: list[Any] = rows) -> None:
                if not owns(connection, self._run_id):
                    raise ThreadConflict(f"another process plays run `{self._run_id}`, or it was deleted")
                reach("event.append.before")
                connection.executemany(_ADD, rows)
                reach("event.append.after")

            await self._database.transact(work, key=self._run_id)
            del self._new[: len(rows)]
            self._tell()


async def events_after(database: Database, run_id: str, number: int) -> AsyncGenerator[Event]:
    """The events of a run that are kept, from the one behind `number`; it ends where they end today."""
    while True:
        last = number

        def work(connection: Connection, last: int = last) -> list[tuple[int, bytes]]:
            return list(connection.execute(_NEXT, (run_id, last, _MOST)).fetchall())

        rows = await database.transact(work, writes=False)
        for at, content in rows:
            event = _decoder.decode(uncovered(database.seal, content, "events", run_id, at))
            number = event.number
            yield event
        if len(rows) < _MOST:
            return


class Shown:
    """What a reader of a run has been shown: its text, and since where each node has been speaking."""

    def __init__(self) -> None:
        self.number = 0
        self.text = ""
        self.finished = False
        self._since: dict[str, int] = {}

    def add(self, event: Event) -> None:
        """One more event."""
        self.number = event.number
        if isinstance(event, TextDelta):
            self.text += event.text
        elif isinstance(event, Retracted):
            self.text = self.text[: len(self.text) - event.length] if event.length else self.text
        elif isinstance(event, NodeStarted):
            self._since[event.node] = len(self.text)
        elif isinstance(event, RunFinished):
            self.finished = True

    def said_since(self, nodes: frozenset[str]) -> int:
        """How much of the text came since the first of these nodes, or a node inside of it, began."""
        began = [at for node, at in self._since.items() if node.partition("/")[0] in nodes]
        return len(self.text) - min([*began, len(self.text)])


async def shown(database: Database, run_id: str) -> Shown:
    """What the kept events of a run have shown."""
    found = Shown()
    async for event in events_after(database, run_id, 0):
        found.add(event)
    return found


def packed(value: Any) -> bytes:
    """A result as JSON; objects of a user's state as plain data, or as text."""
    try:
        return _encoder.encode(value)
    except Exception:  # whatever is in it, what came of a run has to be kept
        return _encoder.encode(_sayable(value))


def unpacked(content: bytes, kind: type[T]) -> T:
    """What `packed` gave; the state's values stay plain data."""
    return msgspec.json.decode(content, type=kind)


def _plain(value: Any) -> Any:
    for name in ("_asdict", "model_dump"):
        if hasattr(value, name):
            return getattr(value, name)()
    return str(value)


def _sayable(value: Any, depth: int = 0) -> Any:
    """The value without what JSON cannot say: half characters, circles, objects that refuse to be told."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if depth > _DEEPEST:
        return "..."
    if isinstance(value, msgspec.Struct):
        fields = {name: _sayable(getattr(value, name), depth + 1) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **fields)
    if isinstance(value, Mapping):
        given = cast("Mapping[Any, Any]", value)
        return {str(_sayable(key)): _sayable(each, depth + 1) for key, each in given.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_sayable(each, depth + 1) for each in cast("list[Any]", value)]
    try:
        _encoder.encode(value)
    except Exception:
        return f"<{type(value).__name__}>"
    return value


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
