"""`ChatServer`: a real HTTP server on 127.0.0.1 that speaks Chat Completions from a script.

In a test: `async with ChatServer("Hello.") as server: Model("compatible:x", base_url=server.url)`.
As a process of its own: `python -m stretto.testing.chat_server --port 0 --answer echo`, which prints its
address. Knows no client.
"""

import argparse
import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, cast

import msgspec

from stretto.errors import BadRequest, BadResponse, ContextOverflow
from stretto.messages import Message
from stretto.testing.completions import (
    Completion,
    Fault,
    event_of,
    events_of,
    read_request,
    status_of,
    vector_of,
    whole_of,
)
from stretto.testing.prefix import PrefixCache
from stretto.testing.scripted import (
    Request,
    Script,
    ScriptUsedUp,
    contract_answer,
    count_tokens,
    cut_to,
    echo_answer,
)

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
_PAGE = b"<!doctype html><html><body>Sign in to go on.</body></html>"
_CHUNKED = {"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked"}
_JSON = {"Content-Type": "application/json"}


class Served(msgspec.Struct):
    """One HTTP request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: Any


class ChatServer:
    """An endpoint that plays a script.

    Args:
        turns: answers in order, as `ScriptedModel` takes them, and `Fault`s.
        otherwise: answers once the turns are used up; without it the endpoint says 500 and what was asked.
        chunks: text deltas an answer is cut into; a token each where None.
        pace: seconds between two chunks; with 0 an answer leaves in one write.
        context: tokens a conversation may have.
        api_key: the key it asks for, as bearer token or in `api-key`.
        dimensions: of its embeddings.
        prefix_cache: report as cached the tokens that a request has in common with the beginning of an
            earlier one.
        port: 0 takes a free one.
    """

    def __init__(
        self,
        *turns: Any,
        otherwise: Callable[[Request], Any] | None = None,
        chunks: int | None = None,
        pace: float = 0.0,
        context: int = 8192,
        api_key: str | None = None,
        dimensions: int = 32,
        prefix_cache: bool = False,
        port: int = 0,
    ) -> None:
        self._script = Script(turns, otherwise)
        self._chunks = chunks
        self._pace = pace
        self._context = context
        self._key = api_key
        self._dimensions = dimensions
        self._prefixes = PrefixCache() if prefix_cache else None
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.served: list[Served] = []
        """Every HTTP request."""
        self.connections = 0
        """Connections opened so far."""
        self.open = 0
        """Connections open now."""
        self.left = 0
        """Answers whose client went away before the end."""
        self.changed = asyncio.Event()
        """Set whenever a connection ends."""

    @property
    def requests(self) -> list[Request]:
        """The calls for a completion, in order."""
        return self._script.requests

    @property
    def url(self) -> str:
        """Its `base_url`."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def __aenter__(self) -> Self:
        """Starts to listen."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stops, and ends what is still open."""
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

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            while await self._serve(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()
            self.open -= 1
            self.changed.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection goes on."""
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        body = msgspec.json.decode(raw) if raw else None
        self.served.append(Served(method, path, headers, body))
        path = path.partition("?")[0]
        if self._key is not None:
            shown = headers.get("api-key") or headers.get("authorization", "").removeprefix("Bearer ")
            if shown != self._key:
                return self._refuse(writer, BadRequest(f"Incorrect API key provided: {shown}", status=401))
        if path.endswith("/chat/completions"):
            return await self._complete(body, reader, writer)
        if path.endswith("/embeddings"):
            return self._embed(body, writer)
        if path.endswith("/models"):
            return self._whole(
                writer, 200, {"object": "list", "data": [{"id": "scripted", "object": "model"}]}
            )
        return self._refuse(writer, BadRequest(f"no such path: {path}", status=404))

    def _embed(self, body: Any, writer: asyncio.StreamWriter) -> bool:
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        data = [
            {"object": "embedding", "index": index, "embedding": vector_of(text, self._dimensions)}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        # the order of `data` is not promised: `index` is, and a client has to look at it
        return self._whole(writer, 200, {"object": "list", "data": data[::-1], "usage": usage})

    async def _complete(self, body: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            request = read_request(body)
            turn: Any = self._script.next(request)
            read = count_tokens(request.messages)
            if read > self._context:
                raise ContextOverflow(f"maximum context length is {self._context} tokens, you sent {read}")
        except (BadResponse, KeyError, TypeError) as error:
            return self._refuse(writer, BadRequest(f"malformed request: {error!r}"))
        except (ScriptUsedUp, ContextOverflow) as error:
            return self._refuse(writer, error)
        if isinstance(turn, BaseException):
            return self._refuse(writer, turn)
        fault: Fault | None = turn if isinstance(turn, Fault) else None
        said = cast("Message", turn) if fault is None else Message.assistant(fault.answer)
        message, written, finish = cut_to(said, request.settings.max_tokens)
        cached = self._prefixes.read(request) if self._prefixes else None
        completion = Completion(message, finish, read, written, body["model"], cached)
        if fault is not None and fault.kind == "status":
            error = {"error": {"message": fault.message, "code": None}}
            return self._whole(writer, fault.status, error, fault.headers)
        if fault is not None and fault.kind == "html":
            return self._bytes(writer, 200, {"Content-Type": "text/html"}, _PAGE)
        if not body.get("stream") or (fault is not None and fault.kind == "whole"):
            return self._whole(writer, 200, whole_of(completion))
        options: Mapping[str, Any] = body.get("stream_options") or {}
        usage = bool(options.get("include_usage"))
        events = list(events_of(completion, chunks=self._chunks, usage=usage))
        return await self._stream(events, fault, reader, writer)

    async def _stream(
        self,
        events: list[bytes],
        fault: Fault | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        if fault is not None:
            events = events[: fault.after]
            if fault.kind == "malformed":
                events.append(b'data: {"choices": [{"delta": {"content": "cut of\n\n')
            elif fault.kind == "shapeless":
                events.append(event_of({"id": "chatcmpl-1", "object": "chat.completion.chunk"}))
            elif fault.kind == "error":
                events.append(event_of({"error": {"message": fault.message, "code": fault.status}}))
        writer.write(_head(200, _CHUNKED))
        if not await self._send(events, reader, writer):
            return False
        if fault is not None and fault.kind == "abort":
            await writer.drain()
            writer.transport.abort()
            return False
        if fault is not None and fault.kind == "stall":
            await writer.drain()
            await reader.read()
            self.left += 1
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _send(
        self, events: list[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Sends the events at the pace; False when the client went away meanwhile."""
        if not self._pace:
            writer.write(b"".join(_framed(event) for event in events))
            return True
        gone = asyncio.create_task(reader.read(1))
        try:
            for event in events:
                writer.write(_framed(event))
                await asyncio.wait([gone], timeout=self._pace)
                if gone.done():
                    self.left += 1
                    return False
        finally:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await gone
        return True

    def _refuse(self, writer: asyncio.StreamWriter, error: BaseException) -> bool:
        status, headers, body = status_of(error)
        return self._whole(writer, status, body, headers)

    def _whole(
        self, writer: asyncio.StreamWriter, status: int, body: Any, headers: Mapping[str, str] | None = None
    ) -> bool:
        return self._bytes(writer, status, {**_JSON, **(headers or {})}, msgspec.json.encode(body))

    def _bytes(
        self, writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str], body: bytes
    ) -> bool:
        writer.write(_head(status, {**headers, "Content-Length": str(len(body))}) + body)
        return True


def _framed(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def serve(server: ChatServer) -> None:
    """Serves until cancelled, and prints the address first."""
    async with server:
        print(server.url, flush=True)  # noqa: T201 (the program's output)
        await asyncio.Event().wait()


ANSWERS: dict[str, Callable[[Request], Any]] = {"echo": echo_answer, "contract": contract_answer}
"""What `--answer` names."""


def main(arguments: Iterable[str] | None = None) -> None:
    """The command `python -m stretto.testing.chat_server`."""
    parser = argparse.ArgumentParser(description="A Chat Completions endpoint on 127.0.0.1 for tests.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--answer", choices=sorted(ANSWERS), default="echo", help="what it says")
    parser.add_argument("--chunks", type=int, default=None, help="text deltas an answer is cut into")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds between two chunks")
    parser.add_argument("--context", type=int, default=8192, help="tokens a conversation may have")
    parser.add_argument("--api-key", default=None, help="the key it asks for")
    given = parser.parse_args(None if arguments is None else list(arguments))
    server = ChatServer(
        otherwise=ANSWERS[given.answer],
        chunks=given.chunks,
        pace=given.pace,
        context=given.context,
        api_key=given.api_key,
        port=given.port,
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(server))


if __name__ == "__main__":
    main()
