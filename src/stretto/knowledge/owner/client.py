"""The client's side: the owner's indexes, asked over its socket. Called off the event loop; knows no lock."""

import os
import socket
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from stretto.errors import KnowledgeError, StoreBusy
from stretto.knowledge.owner.address import Address, connect
from stretto.knowledge.owner.frames import (
    HEAD,
    VERSION,
    Answer,
    Call,
    Hello,
    Operation,
    answer_decoder,
    framed,
    hello_decoder,
    length_of,
    packed,
    unpacked,
)
from stretto.knowledge.owner.indexes import OwnerGone, Scored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

QUIET = 5.0
"""Seconds without a byte after which the owner is asked whether it is still there."""
_BYTES = 1 << 24
"""Of vectors or texts in one call."""
_IDS = 2000


class RemoteIndexes:
    """The indexes at `address`; connections are kept and used by one thread at a time.

    Raises:
        OwnerGone: From every method, when the owner has ended; the call may or may not have been done.
        StoreBusy: From every method, when the owner does not answer.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: list[socket.socket] = []
        self._guard = threading.Lock()
        self._idle.append(self._connected())

    def upsert(self, generation: int, ids: Sequence[str], vectors: "Vectors") -> None:
        """See `Indexes`; so for all that follow."""
        rows = max(1, _BYTES // (4 * max(1, vectors.shape[-1])))
        for start in range(0, len(ids), rows):
            part = slice(start, start + rows)
            self._ask("upsert", generation, ids=list(ids[part]), vectors=packed(vectors[part]))

    def delete(self, generation: int, ids: Sequence[str]) -> None:
        """Removes vectors."""
        for start in range(0, len(ids), _IDS):
            self._ask("delete", generation, ids=list(ids[start : start + _IDS]))

    def query(self, generation: int, vector: "Vectors", n: int) -> Scored:
        """The nearest ids."""
        return _scored(self._ask("query", generation, vectors=packed(vector), n=n))

    def vectors(self, generation: int, ids: Sequence[str]) -> dict[str, "Vectors"]:
        """Vectors by id."""
        found: dict[str, Vectors] = {}
        for start in range(0, len(ids), _IDS):
            answer = self._ask("vectors", generation, ids=list(ids[start : start + _IDS]))
            if answer.ids:
                found.update(zip(answer.ids, unpacked(answer.vectors, len(answer.ids)), strict=True))
        return found

    def count(self, generation: int) -> int:
        """How many vectors."""
        return self._ask("count", generation).count

    def write_words(self, generation: int, rows: Sequence[tuple[str, str]], gone: Sequence[str]) -> None:
        """Writes texts durably."""
        for start in range(0, len(gone), _IDS):
            self._ask("write_words", generation, ids=list(gone[start : start + _IDS]))
        part: list[tuple[str, str]] = []
        size = 0
        for row in rows:
            part.append(row)
            size += len(row[1])
            if size > _BYTES // 4 or len(part) >= _IDS:
                self._ask("write_words", generation, rows=part)
                part, size = [], 0
        if part:
            self._ask("write_words", generation, rows=part)

    def settle_words(self, generation: int) -> None:
        """Ends the writer."""
        self._ask("settle_words", generation)

    def count_words(self, generation: int) -> int:
        """How many texts."""
        return self._ask("count_words", generation).count

    def query_words(self, generation: int, text: str, n: int) -> Scored:
        """The best ids."""
        return _scored(self._ask("query_words", generation, text=text, n=n))

    def score_words(self, generation: int, text: str, ids: Sequence[str]) -> dict[str, float]:
        """Scores by id."""
        return dict(_scored(self._ask("score_words", generation, text=text, ids=list(ids))))

    def retire(self, generation: int) -> None:
        """Closes and deletes the others."""
        self._ask("retire", generation)

    def close(self) -> None:
        """Closes the connections that are not in use. May be called twice."""
        with self._guard:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def forget(self) -> None:
        """In a forked process: lets go of the parent's connections."""
        self.close()

    def _ask(self, operation: Operation, generation: int, **arguments: object) -> Answer:
        frame = framed(msgspec.structs.replace(Call(operation, generation), **arguments))
        with self._guard:
            connection = self._idle.pop() if self._idle else None
        connection = connection or self._connected()
        try:
            self._send(connection, frame)
            answer = answer_decoder.decode(self._receive(connection))
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError | EOFError | msgspec.DecodeError):
                raise OwnerGone from error
            raise
        with self._guard:
            self._idle.append(connection)
        if answer.error:
            raise KnowledgeError(answer.error)
        return answer

    def _connected(self) -> socket.socket:
        """A connection whose other side has answered."""
        try:
            connection = connect(self._address, QUIET)
            try:
                connection.sendall(framed(Hello(VERSION, os.getpid(), self._address.token)))
                hello_decoder.decode(_exactly(connection, length_of(_exactly(connection, HEAD), 1024)))
            except BaseException:
                connection.close()
                raise
        except TimeoutError:
            raise self._silent() from None
        except PermissionError:
            raise StoreBusy(
                f"the knowledge base is in use by process {self._address.pid} of another user; end that "
                "process, or give this one a knowledge base of its own"
            ) from None
        except (OSError, EOFError, msgspec.DecodeError) as error:
            raise OwnerGone from error
        return connection

    def _send(self, connection: socket.socket, frame: bytes) -> None:
        rest = memoryview(frame)
        while rest:
            try:
                rest = rest[connection.send(rest) :]
            except TimeoutError:
                self._check()

    def _receive(self, connection: socket.socket) -> bytes:
        head = self._patiently(connection, HEAD)
        return self._patiently(connection, length_of(head))

    def _patiently(self, connection: socket.socket, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            try:
                data += _some(connection, length - len(data))
            except TimeoutError:
                self._check()
        return bytes(data)

    def _check(self) -> None:
        """Goes on when the owner answers another connection; else raises as `_connected` does."""
        self._connected().close()

    def _silent(self) -> StoreBusy:
        pid = self._address.pid
        return StoreBusy(
            f"the knowledge base is in use by process {pid}, which does not answer; end that process "
            f"(kill {pid}) and this one takes over, or give this one a knowledge base of its own"
        )


def _some(connection: socket.socket, most: int) -> bytes:
    data = connection.recv(min(most, 1 << 20))
    if not data:
        raise EOFError
    return data


def _exactly(connection: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        data += _some(connection, length - len(data))
    return bytes(data)


def _scored(answer: Answer) -> Scored:
    return list(zip(answer.ids, answer.scores, strict=True))
