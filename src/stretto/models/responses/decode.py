"""The events of a Responses answer as pieces and one Reply. Knows no HTTP client.

Lines, text and the joining of pieces are the chat wire's. What was shown is what the Reply says: an item that
comes whole adds to its deltas what they left out, and never takes anything back.
"""

from typing import Any, cast

import msgspec

from stretto.errors import BadRequest, BadResponse, ModelError, ModelUnavailable
from stretto.messages import Message, Reasoning
from stretto.models.protocol import FinishReason, Piece, ReasoningPiece, Reply, TextPiece, ToolCallPiece
from stretto.models.responses.convert import ORIGIN, Item, from_items, take_text
from stretto.models.wire.decode import Answer, is_object, new_call_id
from stretto.models.wire.failures import Secrets, error_of_event
from stretto.usage import Usage

_PLACES = {
    "response.output_text.delta": "output_text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "summary_text",
    "response.reasoning_text.delta": "reasoning_text",
    "response.function_call_arguments.delta": "arguments",
}
"""Events that bring content, and where in its item it belongs."""

_ENDS = ("response.completed", "response.incomplete", "response.failed")

_KINDS = {"arguments": "function_call", "summary_text": "reasoning", "reasoning_text": "reasoning"}
"""The kind of an item that begins with content, unannounced. All else is a message."""

_REFUSED = (
    "invalid_",
    "image_",
    "unsupported_image",
    "empty_image",
    "failed_to_download_image",
    "bio_policy",
)
"""How codes begin that say: the request itself is wrong, and asking again is useless."""


class _Event(msgspec.Struct):
    type: str = ""
    delta: str | None = None
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    item: dict[str, Any] | None = None
    response: msgspec.Raw = msgspec.Raw()
    error: Any = None
    code: str | int | None = None
    message: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Tokens(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Reason(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    status: str | None = None
    model: str | None = None
    output: list[dict[str, Any]] | None = None
    error: Any = None
    incomplete_details: _Reason | None = None
    usage: _Tokens | None = None


_event = msgspec.json.Decoder(_Event).decode
_response = msgspec.json.Decoder(_Response).decode


class _Growing:
    """An output item while it comes in: as the endpoint last gave it, and what its deltas brought."""

    __slots__ = ("call", "deltas", "item")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.deltas: dict[tuple[str, int], list[str]] = {}
        self.call = -1
        """Which tool call of the answer it is."""

    def parts(self, place: str) -> list[str]:
        """What came so far in this place, a text a part."""
        found = sorted(spot for spot in self.deltas if spot[0] == place)
        return ["".join(self.deltas[spot]) for spot in found]

    def missing(self, place: str, whole: str) -> str:
        """What of `whole` was not shown yet; kept as shown. Empty where the two do not agree."""
        shown = "".join(self.parts(place))
        if len(whole) <= len(shown) or not whole.startswith(shown):
            return ""
        spot = max((spot for spot in self.deltas if spot[0] == place), default=(place, 0))
        self.deltas.setdefault(spot, []).append(whole[len(shown) :])
        return whole[len(shown) :]

    def settled(self) -> Item:
        """The item with what was shown of it, without what only its endpoint could look up."""
        kind = self.item.get("type")
        kept = {name: value for name, value in self.item.items() if value is not None and name != "status"}
        if kind == "function_call":
            kept |= {"arguments": "".join(self.parts("arguments"))}
        elif kind == "reasoning":
            for name, place in (("summary", "summary_text"), ("content", "reasoning_text")):
                if not kept.get(name) and self.parts(place):
                    kept[name] = [{"type": place, "text": text} for text in self.parts(place)]
            return kept
        elif kind == "message":
            kept |= {"role": "assistant", "content": self._content()}
        else:
            return kept
        kept.pop("id", None)
        return kept

    def _content(self) -> list[Item]:
        given: list[Item] = self.item.get("content") or []
        said = _joined([part for part in given if part.get("type") == "output_text"])
        refused = "".join(part["refusal"] for part in given if part.get("type") == "refusal")
        if said == "".join(self.parts("output_text")) and refused.startswith("".join(self.parts("refusal"))):
            return [{name: value for name, value in part.items() if value != []} for part in given]
        texts = [{"type": "output_text", "text": text} for text in self.parts("output_text")]
        return texts + [{"type": "refusal", "refusal": text} for text in self.parts("refusal")]


def _joined(parts: list[Item]) -> str:
    return "".join(part["text"] for part in parts)


class ResponsesAnswer(Answer):
    """One answer while it comes in.

    Args:
        where: the model and endpoint, for the errors.
        secrets: what the errors must not show.
        origin: the address, which reasoning is marked with: no other can read it.
    """

    def __init__(self, where: str, secrets: Secrets, *, origin: str = "") -> None:
        super().__init__(where, secrets)
        self._origin = origin
        self._items: dict[int, _Growing] = {}
        self._tools = 0
        self._spot = (-1, "", -1)
        self._now: list[str] = []  # where the deltas of this spot are kept
        self._last: _Response | None = None
        self._heard = False

    @property
    def finished(self) -> bool:
        """Whether the last event came."""
        return self._last is not None

    def _take(self, content: bytes, pieces: list[Piece]) -> None:
        try:
            event = _event(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            content = content.strip()
            if content and content != b"[DONE]":
                self._broken(f"sent an event that cannot be read: {error}")
            self.done = content != b""
            return
        self._heard = True
        place = _PLACES.get(event.type)
        if place is not None:
            if event.delta:
                self._bring(event, event.delta, place, pieces)
        elif event.item is not None:
            self._see(event.output_index, event.item, pieces)
        elif event.type in _ENDS:
            self._close(event, pieces)
        elif event.type == "error" or event.error is not None:
            said = event.error if event.error is not None else {"code": event.code, "message": event.message}
            raise self._failure(said)
        elif not event.type:
            self._broken("sent an event without `type`; does it speak the Responses API?")

    def _bring(self, event: _Event, delta: str, place: str, pieces: list[Piece]) -> None:
        """Content of an item: it is shown, and kept where it belongs."""
        self.chunks += 1
        part = event.summary_index if place == "summary_text" else event.content_index
        spot = (event.output_index, place, part)
        if spot != self._spot:
            self._spot, self._now = spot, self._place(spot)
        self._now.append(delta)
        if place == "output_text":
            self._texts.append(delta)
        elif place == "arguments":
            _call_piece(self._items[event.output_index].call, delta, pieces)
        elif place == "refusal":
            self.moved = True
        else:
            self._thoughts.append(delta)

    def _place(self, spot: tuple[int, str, int]) -> list[str]:
        """The list that the deltas of `spot` are kept in."""
        index, place, part = spot
        growing = self._items.get(index)
        if growing is None:
            growing = self._items[index] = _Growing({"type": _KINDS.get(place, "message")})
        if place == "arguments" and growing.call < 0:
            self._broken("sent arguments of a tool call that it did not begin")
        if place == "summary_text" and growing.deltas and (place, part) not in growing.deltas:
            self._thoughts.append("\n\n")
        return growing.deltas.setdefault((place, part), [])

    def _see(self, index: int, item: Item, pieces: list[Piece]) -> None:
        """An item begins or is whole: what its deltas did not bring is shown now."""
        growing = self._items.setdefault(index, _Growing({}))
        missing = ""
        try:
            if item["type"] == "function_call":
                item["call_id"] = item.get("call_id") or growing.item.get("call_id") or new_call_id()
                if growing.call < 0:
                    growing.call, self._tools = self._tools, self._tools + 1
                    called, name = take_text(dict(item), "call_id"), take_text(dict(item), "name")
                    pieces.append(ToolCallPiece(growing.call, called, name))
                missing = growing.missing("arguments", item.get("arguments") or "")
                if missing:
                    _call_piece(growing.call, missing, pieces)
            elif item["type"] == "message":
                said = [part for part in item.get("content") or () if part["type"] == "output_text"]
                missing = growing.missing("output_text", _joined(said))
                if missing:
                    self._texts.append(missing)
            elif item["type"] == "reasoning" and not growing.deltas:
                thought: list[Item] = item.get("summary") or item.get("content") or []
                place = thought[0]["type"] if thought else ""
                missing = growing.missing(place, "\n\n".join(part["text"] for part in thought))
                if missing:
                    self._thoughts.append(missing)
        except (KeyError, TypeError, AttributeError) as error:
            self._broken(f"sent an item that cannot be read ({type(error).__name__}: {error})")
        growing.item = item
        self.chunks += bool(missing)

    def _close(self, event: _Event, pieces: list[Piece]) -> None:
        """The last event: how it ended, and what it cost."""
        try:
            self._last = last = _response(event.response)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._broken(f"sent an end that cannot be read: {error}")
        if event.type == "response.failed" or last.status == "failed" or last.error is not None:
            raise self._failure(last.error or {})
        last.status = last.status or event.type.removeprefix("response.")
        self.done = True
        if not self._items:
            for index, item in enumerate(last.output or ()):
                self._see(index, item, pieces)

    def _failure(self, said: Any) -> ModelError:
        found = error_of_event(said, where=self._where, secrets=self._secrets, partial=self.text)
        code = str(cast("Item", said).get("code")) if isinstance(said, dict) else ""
        return BadRequest(str(found)) if code.startswith(_REFUSED) else found

    def end(self) -> Reply:
        """The Reply, once nothing more comes.

        Raises:
            ModelUnavailable: the stream ended before the answer did.
            BadResponse: what came was no stream of events, its items cannot be read, or it ended inside a
                tool call.
        """
        if self._rest.strip():
            self.feed(b"\n")
        if not self._heard and self._bytes:
            raise BadResponse(f"{self._where} sent {self._bytes} bytes that hold no event of an answer")
        if self._last is None:
            raise self.broken_off("ended its stream before the answer")
        return self._replied(self._last)

    def broken_off(self, how: str) -> ModelError:
        """The error for an answer that goes no further, with what was received: `how` says what happened."""
        for growing in self._items.values():
            if growing.call >= 0 and not is_object("".join(growing.parts("arguments"))):
                inside = f"{self._where} {how}, inside the call of `{growing.item.get('name')}`"
                return BadResponse(inside, partial=self.text)
        return ModelUnavailable(f"{self._where} {how}", partial=self.text)

    def _replied(self, last: _Response) -> Reply:
        try:
            messages = from_items(self._items[index].settled() for index in sorted(self._items))
        except (BadResponse, KeyError, TypeError, AttributeError) as error:
            raise BadResponse(f"{self._where}: {error}", partial=self.text) from None
        message = messages[0] if messages else Message("assistant")
        for part in message.parts:
            if isinstance(part, Reasoning) and ("encrypted_content" in part.extra or "type" in part.extra):
                part.extra[ORIGIN] = self._origin
        finish: FinishReason = "tool_calls" if message.tool_calls else "stop"
        if last.status == "incomplete":
            reason = last.incomplete_details and last.incomplete_details.reason
            finish = "content_filter" if reason == "content_filter" else "length"
        usage = _usage_of(last.usage)
        return Reply(message, usage, finish, last.model or "", self.chunks, self.headroom)

    def whole(self, body: bytes) -> list[Piece]:
        """The pieces of an answer that came as one JSON object, though a stream was asked for.

        Raises:
            BadResponse: it is no response.
            ModelError: it holds an error.
        """
        if not body.lstrip().startswith(b"{"):
            raise BadResponse(f"{self._where} sent an answer that is no JSON object")
        pieces: list[Piece] = []
        self._close(_Event("response.completed", response=msgspec.Raw(body)), pieces)
        if self._last is None or self._last.output is None:
            raise BadResponse(f"{self._where} sent an answer without `output`")
        self.chunks = 1
        shown: list[Piece] = [ReasoningPiece(thought) for thought in self._thoughts]
        shown += [TextPiece(self.text)] if self._texts else []
        return [*shown, *pieces, self._replied(self._last)]


def _call_piece(index: int, arguments: str, pieces: list[Piece]) -> None:
    """Adds to the last piece where it belongs to the same call."""
    last = pieces[-1] if pieces else None
    if isinstance(last, ToolCallPiece) and last.index == index:
        last.arguments += arguments
    else:
        pieces.append(ToolCallPiece(index, arguments=arguments))


def _usage_of(tokens: _Tokens | None) -> Usage:
    if tokens is None:
        return Usage(calls=1)
    read, written = tokens.input_tokens_details, tokens.output_tokens_details
    return Usage(
        tokens.input_tokens or 0,
        tokens.output_tokens or 0,
        (read.cached_tokens if read else 0) or 0,
        (written.reasoning_tokens if written else 0) or 0,
        calls=1,
    )
