"""`Cached`: a model whose answers are kept, and that is asked once by all who ask the same at the same time.

Knows nothing of where the model runs. Two tenants never share an answer, kept or coming in.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec

from stretto._internal.loggers import logger
from stretto.context import current_context
from stretto.errors import ConfigError
from stretto.messages import Message, Part, Reasoning, Refusal, ToolCall, ToolSpec
from stretto.models.cached.flight import Flight
from stretto.models.cached.key import key_of
from stretto.models.cached.stores import AnswerStore, MemoryStore, SqliteStore
from stretto.models.factory import as_model
from stretto.models.protocol import (
    ChatModel,
    FinishReason,
    OutputSchema,
    Piece,
    ReasoningPiece,
    Reply,
    TextPiece,
    ToolCallPiece,
)
from stretto.models.wrapping import WrappingModel
from stretto.settings import ModelSettings
from stretto.usage import Usage

_log = logger("stretto.models")


class _Kept(msgspec.Struct):
    """An answer as it is kept."""

    message: Message
    finish: FinishReason
    model: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


def _store(given: object) -> AnswerStore:
    if given is None:
        return MemoryStore()
    if isinstance(given, str | Path):
        return SqliteStore(given)
    if isinstance(given, type) or not isinstance(given, AnswerStore):
        raise ConfigError(
            f"`store` is a `{type(given).__name__}`; give a path, or MemoryStore(...) or SqliteStore(...) of "
            "stretto.models.cached"
        )
    return given


class Cached(WrappingModel):
    """A `ChatModel` around another.

    Who asks exactly what was asked before, with the same tools, schema and settings on behalf of the same
    tenant, is given the kept answer, whatever the temperature: wrap a model only where that is wanted. Who
    asks while the same call is under way follows it; it goes on while anyone listens. An answer that is kept
    or followed costs nothing: its usage is zero. Errors, refusals and answers that were cut are not kept.

    Args:
        model: Who answers; a model, or its name.
        store: Where answers are kept: a store, or the path of a `SqliteStore`; in memory where None. It is
            closed with the model.
        ttl: Seconds an answer is kept.
        scope: What tells this model from others of its name in the same store, such as its address.
    """

    def __init__(
        self,
        model: ChatModel | str,
        store: AnswerStore | Path | str | None = None,
        *,
        ttl: float = 3600.0,
        scope: str = "",
    ) -> None:
        if not ttl > 0:
            raise ConfigError(f"ttl is {ttl!r}; give the seconds that an answer is kept, more than 0")
        super().__init__(as_model(model))
        self._store, self._ttl = _store(store), ttl
        self._scope = scope
        self._flights: dict[object, Flight] = {}

    @property
    def members(self) -> tuple[Any, ...]:
        """Those of the model where it is a pool: budgets price them."""
        return getattr(self._model, "members", ())

    @property
    def settings(self) -> ModelSettings | None:
        """The model's own, where it has some."""
        return getattr(self._model, "settings", None)

    def __repr__(self) -> str:
        return f"Cached({self._model!r})"

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: OutputSchema | None = None,
        settings: ModelSettings | None = None,
    ) -> AsyncIterator[Piece]:
        """The answer piece by piece: the kept one, that of a call under way, or a new one."""
        scope = current_context().run.tenant, self.name, self._scope
        key = key_of(scope, messages, tools, schema, settings)
        kept = self._recall(key)
        if kept is not None:
            for piece in _replayed(kept):
                yield piece
            return
        asked = settings or ModelSettings()
        same = asyncio.get_running_loop(), key, asked.timeout, asked.first_token, asked.idle
        flight = self._flights.get(same)
        names: dict[str, str] | None = None if flight is None else {}
        if flight is None:

            def ended(reply: Reply | None) -> None:
                del self._flights[same]
                if reply is not None:
                    self._keep(key, reply)

            stream = self._model.stream(messages, tools=tools, schema=schema, settings=settings)
            flight = self._flights[same] = Flight(stream, ended)
        async with aclosing(flight.listen()) as pieces:
            async for piece in pieces:
                yield piece if names is None else _renamed(piece, names)

    def _recall(self, key: str) -> _Kept | None:
        found = self._store.get(key)
        if found is None:
            return None
        try:
            return _decode(found)
        except (msgspec.DecodeError, RecursionError) as error:  # of another version, or damaged
            _log.warning("a kept answer of %s cannot be read: %s", self.name, error)
            return None

    def _keep(self, key: str, reply: Reply) -> None:
        refused = any(isinstance(part, Refusal) for part in reply.message.parts)
        if reply.finish in ("stop", "tool_calls") and reply.message.parts and not refused:
            self._store.put(key, _encode(_Kept(reply.message, reply.finish, reply.model)), ttl=self._ttl)

    async def close(self) -> None:
        """Closes the model and the store. May be called twice."""
        await self._model.close()
        self._store.close()


def _replayed(kept: _Kept) -> Iterator[Piece]:
    """A kept answer as a stream, its tool calls under new ids, as a model would give them."""
    names: dict[str, str] = {}
    message = _with_names(kept.message, names)
    for part in message.parts:
        if isinstance(part, Reasoning):
            yield ReasoningPiece(part.text)
    if message.text:
        yield TextPiece(message.text, 0)
    for index, call in enumerate(message.tool_calls):
        yield ToolCallPiece(index, call.id, call.name, call.arguments)
    yield Reply(message, Usage(), kept.finish, kept.model)


def _renamed(piece: Piece, names: dict[str, str]) -> Piece:
    """The piece for one who follows: tool calls under ids of its own."""
    if isinstance(piece, ToolCallPiece) and piece.id:
        return msgspec.structs.replace(piece, id=_name_of(piece.id, names))
    if isinstance(piece, Reply) and piece.message.tool_calls:
        return msgspec.structs.replace(piece, message=_with_names(piece.message, names))
    return piece


def _with_names(message: Message, names: dict[str, str]) -> Message:
    parts: list[Part] = [
        msgspec.structs.replace(part, id=_name_of(part.id, names)) if isinstance(part, ToolCall) else part
        for part in message.parts
    ]
    return msgspec.structs.replace(message, parts=tuple(parts))


def _name_of(call_id: str, names: dict[str, str]) -> str:
    return names.setdefault(call_id, f"call_{secrets.token_hex(8)}")
