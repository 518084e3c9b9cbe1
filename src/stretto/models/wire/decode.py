"""The bytes of a Chat Completions answer as pieces and one Reply. Knows no HTTP client.

`Answer.feed` takes what one socket read brought, wherever it was cut, and gives few pieces: all text of
the read is one `TextPiece`.
"""

import uuid
from typing import Any, NoReturn

import msgspec

from stretto.errors import BadResponse, ModelError, ModelUnavailable
from stretto.messages import Message, Part, Reasoning, Refusal, Text, ToolCall
from stretto.models.protocol import (
    FinishReason,
    Headroom,
    Piece,
    ReasoningPiece,
    Reply,
    TextPiece,
    ToolCallPiece,
)
from stretto.models.wire.convert import message_from_wire
from stretto.models.wire.failures import Secrets, error_of_event
from stretto.usage import Usage

MAX_LINE = 16 * 1024 * 1024
"""Bytes one line of a stream may have."""

_FINISH: dict[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None
    extra_content: dict[str, Any] | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_Call] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None
    model: str | None = None


class _WholeChoice(msgspec.Struct):
    message: dict[str, Any]
    finish_reason: str | None = None


class _Whole(msgspec.Struct):
    choices: list[_WholeChoice] | None = None
    usage: _Usage | None = None
    error: Any = None
    model: str | None = None


_chunk = msgspec.json.Decoder(_Chunk).decode
_whole = msgspec.json.Decoder(_Whole).decode


class _Growing:
    """A tool call while it comes in."""

    __slots__ = ("arguments", "extra", "id", "name")

    def __init__(self, id: str, name: str) -> None:
        self.id = id
        self.name = name
        self.arguments: list[str] = []
        self.extra: dict[str, Any] = {}


class Answer:
    """One answer while it comes in.

    Args:
        where: the model and endpoint, for the errors.
        secrets: what the errors must not show.

    `headroom` is what the endpoint's headers said of its limits, set by whoever reads them.
    """

    def __init__(self, where: str, secrets: Secrets) -> None:
        self.headroom: Headroom | None = None
        self._where = where
        self._secrets = secrets
        self._rest = b""
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._refusals: list[str] = []
        self._calls: list[_Growing] = []
        self._at: dict[int, int] = {}  # the endpoint's index of a call to ours
        self._usage: _Usage | None = None
        self._finish: str | None = None
        self._model = ""
        self._bytes = 0
        self.chunks = 0
        self.done = False
        """The endpoint said that nothing more comes."""
        self.moved = False
        """There was content since this was last set to False."""

    @property
    def finished(self) -> bool:
        """Whether the endpoint said why the answer ends: what may follow is its usage and its end."""
        return self._finish is not None or (self.done and self.chunks > 0)

    @property
    def text(self) -> str:
        """The text received so far."""
        return "".join(self._texts)

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that `data` completes.

        Raises:
            BadResponse: a line is not what the protocol promises.
            ModelError: the endpoint reports an error.
        """
        self._bytes += len(data)
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE:
            raise BadResponse(f"{self._where} sent a line of over {MAX_LINE} bytes", partial=self.text)
        told, thought = len(self._texts), len(self._thoughts)
        pieces: list[Piece] = []
        for line in lines:
            if line[:5] == b"data:" and not self.done:
                self._take(line[5:], pieces)
        if len(self._texts) > told:
            texts = self._texts[told:]
            pieces.insert(0, TextPiece("".join(texts), len(texts)))
        if len(self._thoughts) > thought:
            pieces.insert(0, ReasoningPiece("".join(self._thoughts[thought:])))
        if pieces:
            self.moved = True
        return pieces

    def _take(self, content: bytes, pieces: list[Piece]) -> None:
        """One event of the stream: its text and thoughts are kept, its calls are added to `pieces`."""
        try:
            chunk = _chunk(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            content = content.strip()
            if content and content != b"[DONE]":
                self._broken(f"sent a chunk that cannot be read: {error}")
            self.done = content != b""
            return
        self.chunks += 1
        choices = chunk.choices
        if chunk.usage is not None:
            self._usage = chunk.usage
        elif chunk.error is not None:
            raise error_of_event(chunk.error, where=self._where, secrets=self._secrets, partial=self.text)
        elif choices is None:
            self._broken("sent a chunk without `choices`")
        if not self._model and chunk.model:
            self._model = chunk.model
        for choice in choices or ():
            if choice.index == 0:
                self._hear(choice, pieces)

    def _hear(self, choice: _Choice, pieces: list[Piece]) -> None:
        if choice.finish_reason:
            self._finish = choice.finish_reason
        delta = choice.delta
        if delta is None:
            return
        if delta.content:
            self._texts.append(delta.content)
        if delta.reasoning_content or delta.reasoning:
            self._thoughts.append(delta.reasoning_content or delta.reasoning or "")
        if delta.refusal:
            self._refusals.append(delta.refusal)
            self.moved = True
        if delta.tool_calls:
            self._add(delta.tool_calls, pieces)

    def _broken(self, what: str) -> NoReturn:
        raise BadResponse(f"{self._where} {what}", partial=self.text) from None

    def _add(self, calls: list[_Call], pieces: list[Piece]) -> None:
        for call in calls:
            piece = self._grow(call)
            last = pieces[-1] if pieces else None
            if isinstance(last, ToolCallPiece) and last.index == piece.index:
                last.id, last.name = last.id or piece.id, last.name or piece.name
                last.arguments += piece.arguments
            else:
                pieces.append(piece)

    def _grow(self, call: _Call) -> ToolCallPiece:
        function = call.function or _Function()
        index = self._index_of(call, function)
        growing = self._calls[index]
        arguments = function.arguments
        if isinstance(arguments, dict):  # some servers send the object itself
            arguments = msgspec.json.encode(arguments).decode()
        arguments = arguments or ""
        if arguments:
            growing.arguments.append(arguments)
        if call.extra_content:
            growing.extra["extra_content"] = call.extra_content
        if growing.id and growing.name and not call.id and not function.name:
            return ToolCallPiece(index, arguments=arguments)
        first = not growing.id
        growing.id = growing.id or call.id or new_call_id()
        growing.name = growing.name or function.name or ""
        return ToolCallPiece(index, growing.id if first else "", function.name or "", arguments)

    def _index_of(self, call: _Call, function: _Function) -> int:
        """Ours for this piece: a new id is a new call, even where the endpoint repeats or omits the index."""
        theirs = call.index if call.index is not None else -1
        known = self._at.get(theirs)
        if known is None and theirs == -1 and self._calls and not call.id and not function.name:
            known = len(self._calls) - 1
        if known is not None:
            growing = self._calls[known]
            repeated = bool(call.id and function.name and growing.id and call.id != growing.id)
            if not repeated:
                return known
        self._calls.append(_Growing("", ""))
        self._at[theirs] = len(self._calls) - 1
        return self._at[theirs]

    def end(self) -> Reply:
        """The Reply, once nothing more comes.

        Raises:
            ModelUnavailable: the stream ended before the answer did.
            BadResponse: what came was no stream of chunks, or the stream ended inside a tool call.
        """
        if self._rest.strip():
            self.feed(b"\n")
        if not self.chunks and self._bytes:
            raise BadResponse(f"{self._where} sent {self._bytes} bytes that hold no chunk of an answer")
        if not self.finished:
            raise self.broken_off("ended its stream before the answer")
        parts: list[Part] = []
        if self._thoughts:
            parts.append(Reasoning("".join(self._thoughts)))
        if self._texts:
            parts.append(Text("".join(self._texts)))
        if self._refusals:
            parts.append(Refusal("".join(self._refusals)))
        parts.extend(ToolCall(c.id, c.name, "".join(c.arguments), c.extra) for c in self._calls)
        return self._reply(Message("assistant", tuple(parts)))

    def broken_off(self, how: str) -> ModelError:
        """The error for an answer that goes no further, with what was received: `how` says what happened."""
        call = next((call for call in self._calls if not is_object("".join(call.arguments))), None)
        if call is None:
            return ModelUnavailable(f"{self._where} {how}", partial=self.text)
        return BadResponse(f"{self._where} {how}, inside the call of `{call.name}`", partial=self.text)

    def _reply(self, message: Message) -> Reply:
        finish = _FINISH.get(self._finish or "", "stop")
        if message.tool_calls and finish == "stop":
            finish = "tool_calls"
        usage = _usage_of(self._usage)
        return Reply(message, usage, finish, self._model, self.chunks, self.headroom)

    def whole(self, body: bytes) -> list[Piece]:
        """The pieces of an answer that came as one JSON object, though a stream was asked for.

        Raises:
            BadResponse: it is no completion.
            ModelError: it holds an error.
        """
        try:
            whole = _whole(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadResponse(f"{self._where} sent an answer that cannot be read: {error}") from None
        if whole.error is not None:
            raise error_of_event(whole.error, where=self._where, secrets=self._secrets)
        if not whole.choices:
            raise BadResponse(f"{self._where} sent an answer without `choices`")
        choice = whole.choices[0]
        try:
            message = message_from_wire(_tidy(choice.message))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise BadResponse(f"{self._where} sent a message that cannot be read: {error}") from None
        self._usage, self._finish, self._model = whole.usage, choice.finish_reason, whole.model or ""
        self.chunks = 1
        return [*_pieces_of(message), self._reply(message)]


def _tidy(fields: dict[str, Any]) -> dict[str, Any]:
    """A whole message without the fields the endpoint left empty, and with an id on each call."""
    full = {"role": "assistant", **{name: value for name, value in fields.items() if value}}
    for call in full.get("tool_calls", ()):
        call["id"] = call.get("id") or new_call_id()
    return full


def is_object(arguments: str) -> bool:
    """Whether the arguments of a call are one whole JSON object."""
    try:
        return isinstance(msgspec.json.decode(arguments), dict)
    except (msgspec.DecodeError, UnicodeError):
        return False


def new_call_id() -> str:
    """An id for a tool call that came without one."""
    return f"call_{uuid.uuid4().hex[:16]}"


def _pieces_of(message: Message) -> list[Piece]:
    pieces: list[Piece] = [ReasoningPiece(p.text) for p in message.parts if isinstance(p, Reasoning)]
    if message.text:
        pieces.append(TextPiece(message.text))
    for index, call in enumerate(message.tool_calls):
        pieces.append(ToolCallPiece(index, call.id, call.name, call.arguments))
    return pieces


def _usage_of(usage: _Usage | None) -> Usage:
    if usage is None:
        return Usage(calls=1)
    cached = usage.prompt_tokens_details
    thought = usage.completion_tokens_details
    return Usage(
        usage.prompt_tokens or 0,
        usage.completion_tokens or 0,
        (cached.cached_tokens if cached else 0) or 0,
        (thought.reasoning_tokens if thought else 0) or 0,
        calls=1,
    )
