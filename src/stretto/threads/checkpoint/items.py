"""`Items`: the messages of checkpoints, each kept once. Knows no langgraph, and no file.

A list of messages in a checkpoint is kept as ranges of numbers of rows in `items`, so that a checkpoint costs
what is new in it. What a message is does not change: a list that was trimmed, or in which a message was
replaced, has other ranges.

A process remembers the messages that it has read and written. Beside them stands the thread's mark: a row
that changes whenever messages of it go, in the transaction that drops them. As long as it is the same, a
number means the same message, whoever wrote meanwhile.
"""

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple, cast

import msgspec

from stretto.errors import ThreadError
from stretto.messages import Message
from stretto.threads.checkpoint.packed import Packed, named
from stretto.threads.database import Connection

Lists = dict[str, list[Message]]
"""Lists of messages, by channel."""
Spans = Sequence[tuple[int, int]]
"""First number and count."""

_REMEMBERED = 8_000_000
"""Bytes of packed messages that a process remembers unpacked; the thread that was used last stays."""
_MARK = -1
"""The number of the row that holds the mark."""
_GET_MARK = "SELECT content FROM items WHERE thread_id = ? AND item = -1"
_PUT = """INSERT INTO items (thread_id, item, type, content) VALUES (?, ?, ?, ?)
    ON CONFLICT (thread_id, item) DO UPDATE SET content = excluded.content"""
_MARK_AND_LAST = """SELECT content, (SELECT MAX(item) FROM items WHERE thread_id = mark.thread_id)
    FROM items AS mark WHERE thread_id = ? AND item = -1"""
_GET = "SELECT item, type, content FROM items WHERE thread_id = ? AND item BETWEEN ? AND ? ORDER BY item"
_DROP = "DELETE FROM items WHERE thread_id = ? AND item BETWEEN ? AND ?"
_DROP_ALL = "DELETE FROM items WHERE thread_id = ?"
_NAMING = "SELECT type FROM checkpoints WHERE thread_id = ?"
_MOST = 2**63 - 1

_names = msgspec.json.Decoder(dict[str, list[tuple[int, int]]])
_text = msgspec.json.Encoder()


class Fresh(NamedTuple):
    """A message that was written: remembered once its transaction is committed."""

    mark: bytes
    number: int
    message: Message
    weight: int


class _Known:
    """What a process remembers of a thread under one mark."""

    def __init__(self, mark: bytes) -> None:
        self.mark = mark
        self.messages: dict[int, Message] = {}
        self.numbers: dict[int, int] = {}  # by id(): `messages` keeps them alive
        self.weights: dict[int, int] = {}

    def add(self, number: int, message: Message, weight: int) -> int:
        """Remembers a message; gives the bytes that this adds."""
        if number in self.messages:
            return 0
        self.messages[number] = message
        self.numbers[id(message)] = number
        self.weights[number] = weight
        return weight


class Items:
    """Reads and writes the lists of messages of one saver's threads. All but `split` run in a transaction.

    Args:
        remembered: Bytes of packed messages.
    """

    def __init__(self, *, remembered: int = _REMEMBERED) -> None:
        self._most, self._held = remembered, 0
        self._threads: OrderedDict[str, _Known] = OrderedDict()
        self._lock = Lock()  # a database may work in threads

    def split(self, checkpoint: Mapping[str, Any]) -> tuple[Mapping[str, Any], Lists]:
        """The checkpoint with None for its lists of messages, and the lists."""
        values: Mapping[str, Any] = checkpoint["channel_values"]
        lists: Lists = {name: value for name, value in values.items() if _are_messages(value)}
        if not lists:
            return checkpoint, lists
        return {**checkpoint, "channel_values": {**values, **dict.fromkeys(lists)}}, lists

    def keep(
        self, connection: Connection, thread_id: str, lists: Lists, packed: Packed
    ) -> tuple[str, list[Fresh]]:
        """Writes the messages that are not there yet; gives the names of all, and what to `remember`."""
        if not lists:
            return "", []
        fresh: dict[int, Fresh] = {}
        rows: list[tuple[Any, ...]] = []
        mark, following = connection.execute(_MARK_AND_LAST, (thread_id,)).fetchone() or (b"", _MARK)
        if not mark:
            mark = os.urandom(8)
            rows.append((thread_id, _MARK, "mark", mark))
        known = self._known(thread_id, bytes(mark))
        if following > _MARK and not known.messages:
            self._recognise(connection, thread_id, known, lists, packed)
        names: dict[str, Spans] = {}
        for channel, messages in lists.items():
            numbers: list[Any] = list(map(known.numbers.get, map(id, messages)))
            first = numbers.index(None) if None in numbers else len(numbers)
            for place, message in enumerate(messages[first:], first):
                if numbers[place] is not None:
                    continue
                if id(message) not in fresh:
                    following += 1
                    bare = packed.bare(message)
                    rows.append((thread_id, following, *packed.row("items", thread_id, bare)))
                    fresh[id(message)] = Fresh(known.mark, following, message, len(bare[1]))
                numbers[place] = fresh[id(message)].number
            names[channel] = _spans(numbers)
        if rows:
            connection.executemany(_PUT, rows)
        return _text.encode(names).decode(), list(fresh.values())

    def remember(self, thread_id: str, fresh: Iterable[Fresh]) -> None:
        """Remembers what a committed transaction has written."""
        known = self._threads.get(thread_id)
        if known is not None:
            found = [each[1:] for each in fresh if each.mark == known.mark]
            self._add(thread_id, known, found)

    def forget(self, thread_ids: Iterable[str]) -> None:
        """Remembers nothing of these threads any more."""
        with self._lock:
            for thread_id in thread_ids:
                known = self._threads.pop(thread_id, None)
                self._held -= sum(known.weights.values()) if known else 0

    def fill(self, connection: Connection, thread_id: str, kind: str, checkpoint: Any, packed: Packed) -> Any:
        """The checkpoint with the lists of messages that its `type` names.

        Raises:
            ThreadError: A message is missing or damaged.
        """
        names = named(kind)
        if not names:
            return checkpoint
        known = self._known(thread_id, _mark(connection, thread_id) or b"")
        for channel, spans in _names.decode(names).items():
            messages: list[Message] = []
            for first, count in spans:
                numbers = range(first, first + count)
                try:
                    messages += list(map(known.messages.__getitem__, numbers))
                except KeyError:
                    messages += self._load(connection, thread_id, known, numbers, packed)
            checkpoint["channel_values"][channel] = messages
        return checkpoint

    def sweep(self, connection: Connection, thread_id: str) -> None:
        """Drops the messages that no checkpoint names any more."""
        kinds = [kind for (kind,) in connection.execute(_NAMING, (thread_id,)).fetchall()]
        if not kinds:
            connection.execute(_DROP_ALL, (thread_id,))
            return
        spans = [
            span
            for kind in kinds
            if named(kind)
            for each in _names.decode(named(kind)).values()
            for span in each
        ]
        edge = gone = 0
        for first, count in sorted(spans):
            if first > edge:
                gone += connection.execute(_DROP, (thread_id, edge, first - 1)).rowcount
            edge = max(edge, first + count)
        gone += connection.execute(_DROP, (thread_id, edge, _MOST)).rowcount
        if gone:
            self._renew(connection, thread_id, spans)

    def _renew(self, connection: Connection, thread_id: str, spans: Spans) -> None:
        """Gives a thread another mark, under which what `spans` name is remembered still."""
        before = self._known(thread_id, _mark(connection, thread_id) or b"")
        after = self._known(thread_id, _new_mark(connection, thread_id))
        kept: list[tuple[int, Message, int]] = []
        for number in {number for first, count in spans for number in range(first, first + count)}:
            message = before.messages.get(number)
            if message is not None:
                kept.append((number, message, before.weights[number]))
        self._add(thread_id, after, kept)

    def _recognise(
        self, connection: Connection, thread_id: str, known: _Known, lists: Lists, packed: Packed
    ) -> None:
        """Finds out, by what they hold, which messages are kept already: nothing is remembered of them."""
        there: dict[bytes, int] = {}
        for number, kind, content in connection.execute(_GET, (thread_id, 0, _MOST)).fetchall():
            there[packed.read("items", thread_id, kind, content)[1]] = number
        for message in (message for messages in lists.values() for message in messages):
            bare = packed.bare(message)[1]
            if bare in there:
                self._add(thread_id, known, [(there[bare], message, len(bare))])

    def _load(
        self, connection: Connection, thread_id: str, known: _Known, numbers: range, packed: Packed
    ) -> list[Message]:
        found = {number: known.messages.get(number) for number in numbers}
        missing = [number for number, message in found.items() if message is None]
        rows = connection.execute(_GET, (thread_id, missing[0], missing[-1])).fetchall()
        read: list[tuple[int, Message, int]] = []
        for number, kind, content in rows:
            if found[number] is None:
                found[number] = message = packed.value("items", thread_id, kind, content)
                read.append((number, message, len(content)))
        self._add(thread_id, known, read)
        messages = [message for message in found.values() if message is not None]
        if len(messages) < len(numbers):
            raise ThreadError(f"thread `{thread_id}` is damaged: messages of a checkpoint are missing")
        return messages

    def _known(self, thread_id: str, mark: bytes) -> _Known:
        with self._lock:
            known = self._threads.get(thread_id)
            if known is None or known.mark != mark:
                self._held -= sum(known.weights.values()) if known else 0
                known = self._threads[thread_id] = _Known(mark)
            self._threads.move_to_end(thread_id)
            return known

    def _add(self, thread_id: str, known: _Known, read: Iterable[tuple[int, Message, int]]) -> None:
        with self._lock:
            added = sum(known.add(*each) for each in read)
            if self._threads.get(thread_id) is not known:
                return  # of a mark that is not the thread's any more
            self._held += added
            while self._held > self._most and len(self._threads) > 1:
                self._held -= sum(self._threads.popitem(last=False)[1].weights.values())


def _are_messages(value: Any) -> bool:
    return type(value) is list and set(map(type, cast("list[Any]", value))) == {Message}


def mark_anew(connection: Connection, thread_id: str) -> None:
    """Gives a thread another mark: whoever remembers messages of it forgets them."""
    _new_mark(connection, thread_id)


def _mark(connection: Connection, thread_id: str) -> bytes | None:
    found = connection.execute(_GET_MARK, (thread_id,)).fetchone()
    return found and bytes(found[0])


def _new_mark(connection: Connection, thread_id: str) -> bytes:
    mark = os.urandom(8)
    connection.execute(_PUT, (thread_id, _MARK, "mark", mark))
    return mark


def _spans(numbers: Sequence[int]) -> Spans:
    first = numbers[0]
    if numbers == list(range(first, first + len(numbers))):
        return [(first, len(numbers))]
    spans: list[tuple[int, int]] = []
    for number in numbers:
        if spans and number == sum(spans[-1]):
            spans[-1] = spans[-1][0], spans[-1][1] + 1
        else:
            spans.append((number, 1))
    return spans


def lists_in(kind: str) -> dict[str, bool]:
    """The channels of a checkpoint whose lists of messages its `type` names; whether there is any in it."""
    names = named(kind)
    return {channel: bool(spans) for channel, spans in _names.decode(names).items()} if names else {}
