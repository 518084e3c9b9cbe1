"""`HttpServer`: a small real HTTP server on 127.0.0.1, for test doubles. Knows no model and no client.

It counts connections, and an answer can wait for its client to leave: a test sees both ends of a socket.
"""

import asyncio
import functools
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any, Self

import msgspec

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
_JSON = {"Content-Type": "application/json"}
_CHUNKED = {"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked"}
_TLS = b"\x16"
"""The first byte of a client that wants to speak TLS."""


class Served(msgspec.Struct):
    """One HTTP request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: Any
    at: float = 0.0
    """When it came, in seconds of `time.monotonic()`."""


class Exchange:
    """One request, and the ways to answer it. Each way returns whether the connection goes on."""

    def __init__(self, served: Served, writer: asyncio.StreamWriter, gone: asyncio.Future[None]) -> None:
        self.served = served
        self._writer = writer
        self._gone = gone

    @property
    def gone(self) -> bool:
        """Whether the client closed its end."""
        return self._gone.done()

    async def wait(self, seconds: float | None) -> bool:
        """Waits that long, or without an end; False as soon as the client is gone."""
        await asyncio.wait([self._gone], timeout=seconds)
        return not self._gone.done()

    def begin(self, headers: Mapping[str, str] | None = None) -> None:
        """Sends the head of an answer in chunks."""
        self._writer.write(_head(200, {**_CHUNKED, **(headers or {})}))

    def send(self, *chunks: bytes) -> None:
        """Sends the chunks in one write."""
        self._writer.write(b"".join([b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]))

    async def end(self) -> bool:
        """Ends an answer in chunks."""
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()
        return True

    async def tear(self, *, reset: bool = False) -> bool:
        """Sends what was written and closes the socket in the middle of the answer; may reset it."""
        await self._writer.drain()
        if reset:
            raw = self._writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        return False

    def json(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> bool:
        """A whole answer."""
        return self.data(status, msgspec.json.encode(body), {**_JSON, **(headers or {})})

    def data(self, status: int, body: bytes, headers: Mapping[str, str]) -> bool:
        """A whole answer of any kind."""
        self._writer.write(_head(status, {**headers, "Content-Length": str(len(body))}) + body)
        return True


class _Connection(asyncio.StreamReaderProtocol):
    """Tells at once when the client is gone, and answers TLS in plain bytes."""

    def __init__(self, server: "HttpServer") -> None:
        loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = loop.create_future()
        self._plain: asyncio.BaseTransport | None = None
        connected = functools.partial(server.connected, self._gone)
        super().__init__(asyncio.StreamReader(loop=loop), connected, loop=loop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._plain = transport
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if data[:1] == _TLS and isinstance(self._plain, asyncio.Transport):
            self._plain.write(_head(400, {"Content-Length": "0"}))
            self._plain.close()
            return
        super().data_received(data)

    def eof_received(self) -> bool | None:
        self._leave()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        if not self._gone.done():
            self._gone.set_result(None)


class HttpServer:
    """Serves requests one after the other on each connection; subclasses say what to `answer`.

    Args:
        port: 0 takes a free one, which is kept: it can be entered again at the same address.
    """

    def __init__(self, *, port: int = 0) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.served: list[Served] = []
        """Every HTTP request."""
        self.connections = 0
        """Connections opened so far."""
        self.open = 0
        """Connections open now."""
        self.active = 0
        """Requests that are being answered now."""
        self.busiest = 0
        """The most requests that were answered at one time."""
        self.left = 0
        """Answers whose client went away before the end."""
        self.changed = asyncio.Event()
        """Set whenever a connection ends."""

    @property
    def url(self) -> str:
        """Its `base_url`."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def __aenter__(self) -> Self:
        """Starts to listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stops, and ends what is still open: from now on a connection is refused."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def all_left(self) -> None:
        """Waits until no connection is open."""
        while self.open:
            self.changed.clear()
            await self.changed.wait()

    async def connected(
        self, gone: asyncio.Future[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serves one connection until either side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            while await self._serve(reader, writer, gone):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()
            self.open -= 1
            self.changed.set()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Future[None]
    ) -> bool:
        """One request and its answer; whether the connection goes on."""
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        try:
            body = msgspec.json.decode(raw) if raw else None
        except msgspec.DecodeError as error:
            served = Served(method, path, headers, None, time.monotonic())
            told = {"error": {"message": f"the body is no JSON: {error}"}}
            return Exchange(served, writer, gone).json(400, told)
        served = Served(method, path, headers, body, time.monotonic())
        self.served.append(served)
        self.active += 1
        self.busiest = max(self.busiest, self.active)
        exchange = Exchange(served, writer, gone)
        try:
            return await self.answer(exchange)
        finally:
            self.active -= 1
            self.left += exchange.gone

    async def answer(self, exchange: Exchange) -> bool:
        """Answers one request; returns whether the connection goes on."""
        raise NotImplementedError


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
