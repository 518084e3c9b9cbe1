"""The owner's side: answers other processes' calls from the indexes that are open here.

Runs an event loop in a thread of its own, so that it answers whatever the program's loops do. Knows no lock.
"""

import asyncio
import hmac
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import msgspec
import numpy as np

from stretto.errors import StrettoError
from stretto.knowledge.owner.address import Address
from stretto.knowledge.owner.frames import (
    HEAD,
    VERSION,
    Answer,
    Call,
    Hello,
    call_decoder,
    framed,
    hello_decoder,
    length_of,
    packed,
    unpacked,
)
from stretto.knowledge.owner.indexes import Indexes, Scored

_GREETING = 5.0
"""Seconds a client has to say who it is."""
_AT_ONCE = 4


class OwnerServer:
    """Serves `indexes` at `listener` from its making until `close`."""

    def __init__(self, listener: socket.socket, address: Address, indexes: Indexes) -> None:
        self._listener, self._address, self._indexes = listener, address, indexes
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="stretto-owner")
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._clients: set[asyncio.Task[None]] = set()
        self._accepted: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._run, name="stretto-owner", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends all connections; a call that has begun is done, though its answer may not arrive."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()
        self._pool.shutdown()

    def forget(self) -> None:
        """In a forked process: lets go of the parent's sockets."""
        for each in (self._listener, *self._accepted):
            with suppress(OSError):
                os.close(each.fileno())

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        start = asyncio.start_unix_server if self._address.path else asyncio.start_server
        server = await start(self._accept, sock=self._listener)
        await self._ending.wait()
        server.close()
        for task in self._clients:
            task.cancel()
        if self._clients:
            await asyncio.wait(self._clients)
        await asyncio.sleep(0)  # the sockets close in the loop's next round

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        connection: socket.socket = writer.get_extra_info("socket")
        if task is not None:
            self._clients.add(task)
        self._accepted.add(connection)
        try:
            await self._talk(reader, writer)
        except (OSError, EOFError, TimeoutError, msgspec.DecodeError, StrettoError, asyncio.CancelledError):
            pass  # it has gone, it does not speak our language, or we end
        finally:
            self._accepted.discard(connection)
            if task is not None:
                self._clients.discard(task)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = hello_decoder.decode(await asyncio.wait_for(_frame(reader, 1024), _GREETING))
        if hello.version != VERSION or not hmac.compare_digest(hello.token, self._address.token):
            return
        writer.write(framed(Hello(VERSION, os.getpid())))
        while True:
            call = call_decoder.decode(await _frame(reader))
            writer.write(await self._answered(call))
            await writer.drain()

    async def _answered(self, call: Call) -> bytes:
        """The answer's frame. Cancelled, it still waits for the end of the call."""
        work = self._loop.run_in_executor(self._pool, _answer, self._indexes, call)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise


async def _frame(reader: asyncio.StreamReader, *limit: int) -> bytes:
    return await reader.readexactly(length_of(await reader.readexactly(HEAD), *limit))


def _answer(indexes: Indexes, call: Call) -> bytes:
    try:
        return framed(_OPERATIONS[call.operation](indexes, call))
    except StrettoError as error:
        return framed(Answer(error=str(error)))
    except Exception as error:  # the client must hear of it: a connection that ends would have it ask again
        return framed(
            Answer(error=f"the owner, process {os.getpid()}, failed: {type(error).__name__}: {error}")
        )


def _upsert(indexes: Indexes, call: Call) -> Answer:
    if call.ids:
        indexes.upsert(call.generation, call.ids, unpacked(call.vectors, len(call.ids)))
    return Answer()


def _delete(indexes: Indexes, call: Call) -> Answer:
    indexes.delete(call.generation, call.ids)
    return Answer()


def _scored(found: Scored) -> Answer:
    return Answer([key for key, _ in found], [score for _, score in found])


def _query(indexes: Indexes, call: Call) -> Answer:
    return _scored(indexes.query(call.generation, unpacked(call.vectors, 1)[0], call.n))


def _vectors(indexes: Indexes, call: Call) -> Answer:
    found = indexes.vectors(call.generation, call.ids)
    return Answer(list(found), vectors=packed(np.stack(list(found.values())))) if found else Answer()


def _write_words(indexes: Indexes, call: Call) -> Answer:
    indexes.write_words(call.generation, call.rows, call.ids)
    return Answer()


def _settle_words(indexes: Indexes, call: Call) -> Answer:
    indexes.settle_words(call.generation)
    return Answer()


def _score_words(indexes: Indexes, call: Call) -> Answer:
    return _scored(list(indexes.score_words(call.generation, call.text, call.ids).items()))


def _retire(indexes: Indexes, call: Call) -> Answer:
    indexes.retire(call.generation)
    return Answer()


_OPERATIONS: dict[str, Callable[[Indexes, Call], Answer]] = {
    "upsert": _upsert,
    "delete": _delete,
    "query": _query,
    "vectors": _vectors,
    "count": lambda indexes, call: Answer(count=indexes.count(call.generation)),
    "write_words": _write_words,
    "settle_words": _settle_words,
    "count_words": lambda indexes, call: Answer(count=indexes.count_words(call.generation)),
    "query_words": lambda indexes, call: _scored(indexes.query_words(call.generation, call.text, call.n)),
    "score_words": _score_words,
    "retire": _retire,
}
