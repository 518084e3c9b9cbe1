"""`ChatServer`: a real HTTP server on 127.0.0.1 that speaks Chat Completions, and Responses, from a script.

In a test: `async with ChatServer("Hello.") as server: Model("compatible:x", base_url=server.url)`.
As a process of its own: `python -m stretto.testing.chat_server --port 0 --answer echo`, which prints its
address. Knows no client. `stretto.testing.faulty_server` is the same with what goes wrong told from outside.
"""

import argparse
import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from stretto.errors import BadRequest, BadResponse, ContextOverflow
from stretto.messages import Message, Text
from stretto.testing import completions, responses
from stretto.testing.completions import Completion, event_of, status_of, vector_of
from stretto.testing.faults import BEFORE, Fault, broken, halves, headers_of, log_normal
from stretto.testing.http_server import Exchange, HttpServer, Served
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

__all__ = ["ANSWERS", "ChatServer", "Fault", "Served", "arguments", "serve"]

_PAGE = b"<!doctype html><html><body>Sign in to go on.</body></html>"
_WORDS = "These words come before the fault."
_PING = b": ping\n\n"
_EMPTY = event_of({"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": None}]})


class _Api(NamedTuple):
    """What an API reads and writes."""

    read: Callable[[Mapping[str, Any]], Request]
    whole: Callable[[Completion], dict[str, Any]]
    events: Callable[..., Iterable[bytes]]
    broken: Callable[[Sequence[bytes], Fault], list[bytes]]
    empty: bytes


_COMPLETIONS = _Api(completions.read_request, completions.whole_of, completions.events_of, broken, _EMPTY)
_RESPONSES = _Api(
    responses.read_request, responses.response_of, responses.events_of, responses.broken, responses.EMPTY
)

_FIRST_TOKEN = 0.05
"""Seconds that a slow answer multiplies where no delay is given."""
_APART = 0.001
"""Seconds between two writes that have to be two reads."""


class ChatServer(HttpServer):
    """An endpoint that plays a script.

    Args:
        turns: answers in order, as `ScriptedModel` takes them, and `Fault`s.
        otherwise: answers once the turns are used up; without it the endpoint says 500 and what was asked.
        chunks: text deltas an answer is cut into; a token each where None.
        pace: seconds between two chunks; with 0 an answer leaves in one write.
        first_token: gives the seconds before an answer's first byte, such as `log_normal(0.3)`.
        prefill: goes on with an assistant message that stands last in a request, and does not repeat it. The
            script is asked without that message, for the whole answer; `prefilled` keeps its text.
        headers: sent with each completion, `x-ratelimit-*` for instance.
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
        first_token: Callable[[], float] | None = None,
        prefill: bool = False,
        headers: Mapping[str, str] | None = None,
        context: int = 8192,
        api_key: str | None = None,
        dimensions: int = 32,
        prefix_cache: bool = False,
        port: int = 0,
    ) -> None:
        super().__init__(port=port)
        self._script = Script(turns, otherwise)
        self._chunks = chunks
        self._pace = pace
        self._first_token = first_token
        self._prefill = prefill
        self.headers = dict(headers or {})
        """Sent with each completion; may be changed at any time."""
        self._context = context
        self._key = api_key
        self._dimensions = dimensions
        self._prefixes = PrefixCache() if prefix_cache else None
        self.prefilled: list[str] = []
        """The texts that answers went on behind, one for each continuation that was asked for."""

    @property
    def requests(self) -> list[Request]:
        """The calls for a completion, in order."""
        return self._script.requests

    async def answer(self, exchange: Exchange) -> bool:
        """Answers one request; returns whether the connection goes on."""
        served = exchange.served
        path = served.path.partition("?")[0]
        if self._key is not None:
            shown = served.headers.get("api-key")
            shown = shown or served.headers.get("authorization", "").removeprefix("Bearer ")
            if shown != self._key:
                return _refuse(exchange, BadRequest(f"Incorrect API key provided: {shown}", status=401))
        if path.endswith("/chat/completions"):
            return await self._complete(served.body, exchange, _COMPLETIONS)
        if path.endswith("/responses"):
            return await self._complete(served.body, exchange, _RESPONSES)
        if path.endswith("/embeddings"):
            return self._embed(served.body, exchange)
        if path.endswith("/models"):
            return exchange.json(
                200, {"object": "list", "data": [{"id": "scripted", "object": "model"}]}, self.headers
            )
        return _refuse(exchange, BadRequest(f"no such path: {path}", status=404))

    def fault(self, number: int) -> Fault | None:
        """What goes wrong with the completion of this number, counted from 0; here only the script's."""
        return None

    def _embed(self, body: Any, exchange: Exchange) -> bool:
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        data = [
            {"object": "embedding", "index": index, "embedding": vector_of(text, self._dimensions)}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        # the order of `data` is not promised: `index` is, and a client has to look at it
        return exchange.json(200, {"object": "list", "data": data[::-1], "usage": usage})

    async def _complete(self, body: Any, exchange: Exchange, api: _Api) -> bool:
        try:
            request = api.read(body)
            prefix = ""
            if self._prefill and request.messages and request.messages[-1].role == "assistant":
                prefix = request.messages[-1].text
                self.prefilled.append(prefix)
                request = msgspec.structs.replace(request, messages=request.messages[:-1])
            fault, said = self._turn(request)
            read = count_tokens(request.messages)
            if read > self._context:
                raise ContextOverflow(f"maximum context length is {self._context} tokens, you sent {read}")
        except (BadResponse, KeyError, TypeError) as error:
            return _refuse(exchange, BadRequest(f"malformed request: {error!r}"))
        except (ScriptUsedUp, ContextOverflow) as error:
            return _refuse(exchange, error)
        if fault is not None and fault.kind in BEFORE:
            return await _instead(fault, exchange)
        if isinstance(said, BaseException):
            return _refuse(exchange, said)
        message, written, finish = cut_to(_behind(said, prefix), request.settings.max_tokens)
        cached = self._prefixes.read(request) if self._prefixes else None
        completion = Completion(message, finish, read, written, body["model"], cached)
        if not await self._begins(fault, exchange):
            return False
        if not body.get("stream") or (fault is not None and fault.kind == "whole"):
            return exchange.json(200, api.whole(completion), self.headers)
        options: Mapping[str, Any] = body.get("stream_options") or {}
        usage = bool(options.get("include_usage"))
        events = list(api.events(completion, chunks=self._chunks, usage=usage))
        return await self._stream(events, fault, exchange, api)

    def _turn(self, request: Request) -> tuple[Fault | None, Any]:
        """What goes wrong with this request, and the whole answer."""
        fault = self.fault(len(self.requests))
        if fault is not None and (fault.kind in BEFORE or fault.answer is not None):
            self.requests.append(request)
            return fault, self._script.as_message(fault.answer)
        turn: Any = self._script.next(request)
        if isinstance(turn, Fault):
            return turn, self._script.as_message(_WORDS if turn.answer is None else turn.answer)
        return fault, turn

    async def _begins(self, fault: Fault | None, exchange: Exchange) -> bool:
        """Waits as long as the first token takes; False when the client went away meanwhile."""
        delay = self._first_token() if self._first_token is not None else 0.0
        if fault is not None and fault.kind == "slow":
            delay = fault.times * (delay or _FIRST_TOKEN)
        return not delay or await exchange.wait(delay)

    async def _stream(self, events: list[bytes], fault: Fault | None, exchange: Exchange, api: _Api) -> bool:
        kind = "sound" if fault is None else fault.kind
        exchange.begin(self.headers)
        if fault is None or kind in ("sound", "slow"):
            return await self._send(events, exchange) and await exchange.end()
        if kind == "split":
            for part in halves(events):
                exchange.send(part)
                if not await exchange.wait(_APART):
                    return False
            return await exchange.end()
        if not await self._send(api.broken(events, fault), exchange):
            return False
        if kind in ("abort", "reset"):
            return await exchange.tear(reset=kind == "reset")
        if kind == "stall":
            return await exchange.wait(None)
        if kind in ("pings", "empty"):
            while await exchange.wait(fault.every):
                exchange.send(_PING if kind == "pings" else api.empty)
            return False
        return await exchange.end()

    async def _send(self, events: list[bytes], exchange: Exchange) -> bool:
        """Sends the events at the pace; False when the client went away meanwhile."""
        if not self._pace:
            exchange.send(*events)
            return True
        for event in events:
            exchange.send(event)
            if not await exchange.wait(self._pace):
                return False
        return True


async def _instead(fault: Fault, exchange: Exchange) -> bool:
    """Sends what comes instead of an answer."""
    if fault.kind == "status":
        error = {"error": {"message": fault.message, "code": None}}
        return exchange.json(fault.status, error, headers_of(fault))
    if fault.kind == "html":
        return exchange.data(200, _PAGE, {"Content-Type": "text/html"})
    if fault.kind == "choiceless":
        return exchange.json(200, {"id": "chatcmpl-1", "object": "chat.completion"})
    return await exchange.wait(None) if fault.kind == "silent" else await exchange.tear()


def _behind(said: Message, prefix: str) -> Message:
    """The answer without the text that is there already."""
    if not prefix or not said.text.startswith(prefix):
        return said
    rest = said.text[len(prefix) :]
    others = [part for part in said.parts if not isinstance(part, Text)]
    return Message.assistant(*([rest] if rest else []), *others)


def _refuse(exchange: Exchange, error: BaseException) -> bool:
    status, headers, body = status_of(error)
    return exchange.json(status, body, headers)


async def serve(server: HttpServer) -> None:
    """Serves until cancelled, and prints the address first."""
    async with server:
        print(server.url, flush=True)  # noqa: T201 (the program's output)
        await asyncio.Event().wait()


ANSWERS: dict[str, Callable[[Request], Any]] = {"echo": echo_answer, "contract": contract_answer}
"""What `--answer` names."""


def arguments(parser: argparse.ArgumentParser, given: Iterable[str] | None) -> tuple[Any, dict[str, Any]]:
    """The parsed command line, and what of it a `ChatServer` takes."""
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--answer", choices=sorted(ANSWERS), default="echo", help="what it says")
    parser.add_argument("--chunks", type=int, default=None, help="text deltas an answer is cut into")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds between two chunks")
    parser.add_argument("--first-token", type=float, default=0.0, help="median of a log-normal delay in s")
    parser.add_argument("--sigma", type=float, default=0.5, help="deviation of the delay's logarithm")
    parser.add_argument("--seed", type=int, default=1, help="of the delays")
    parser.add_argument("--times", type=float, default=1.0, help="how many times slower the first token is")
    parser.add_argument("--prefill", action="store_true", help="go on with a last assistant message")
    parser.add_argument("--context", type=int, default=8192, help="tokens a conversation may have")
    parser.add_argument("--api-key", default=None, help="the key it asks for")
    found = parser.parse_args(None if given is None else list(given))
    delay = log_normal(found.first_token, sigma=found.sigma, seed=found.seed, times=found.times)
    return found, {
        "otherwise": ANSWERS[found.answer],
        "chunks": found.chunks,
        "pace": found.pace,
        "first_token": delay if found.first_token else None,
        "prefill": found.prefill,
        "context": found.context,
        "api_key": found.api_key,
        "port": found.port,
    }


def main(given: Iterable[str] | None = None) -> None:
    """The command `python -m stretto.testing.chat_server`."""
    parser = argparse.ArgumentParser(description="A Chat Completions endpoint on 127.0.0.1 for tests.")
    _, options = arguments(parser, given)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(ChatServer(**options)))


if __name__ == "__main__":
    main()
