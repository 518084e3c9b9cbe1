"""One call of a pool: what was asked, what was shown of the answer so far, and who has failed it.

Knows no member's state: it says what an attempt sends, and joins what several attempts gave into one answer.
"""

from collections.abc import Sequence

import msgspec

from stretto.errors import ModelError
from stretto.messages import Audio, Image, Message, Part, Text, ToolSpec
from stretto.models.protocol import (
    Capabilities,
    OutputSchema,
    Piece,
    ReasoningPiece,
    Reply,
    RetractPiece,
    TextPiece,
    ToolCallPiece,
)
from stretto.settings import ModelSettings

_PROVIDER_SIDE = frozenset(
    ("background", "conversation", "previous_response_id", "store", "tools", "web_search_options")
)
"""Fields of `settings.extra` by which a request does something at the endpoint: it is never sent twice."""


class Call:
    """A call under way. `deadline` is on the pool's clock."""

    def __init__(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        schema: OutputSchema | None,
        settings: ModelSettings,
        *,
        tenant: str,
        now: float,
    ) -> None:
        self.messages, self.tools, self.schema, self.settings = messages, tools, schema, settings
        self.tenant, self.deadline = tenant, now + settings.timeout
        self.errors: dict[str, ModelError] = {}
        """The last failure of each member that failed it, by the member's name."""
        self.attempts = 0
        self.rescued = False
        """It was taken over once after text was shown."""
        self.waited = False
        """It waited once for as long as an endpoint said."""
        self.least_context = 0
        self.read = 0
        """Tokens of the prompt, estimated; 0 where nobody counts."""
        self.taken: dict[str, float] = {}
        """Tokens counted ahead against each member's rate, by its name."""
        self._shown: list[str] = []
        self._chunks = 0
        self._before = "", 0
        self._tool_calls = False
        media = {type(part) for message in messages for part in message.media}
        self._vision, self._audio = Image in media, Audio in media

    @property
    def begun(self) -> bool:
        """Whether something of the answer was shown."""
        return bool(self._shown) or self._tool_calls

    @property
    def text(self) -> str:
        """The text that is shown now."""
        return "".join(self._shown)

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does nothing twice."""
        extra = self.settings.extra
        return not any(extra.get(name) for name in _PROVIDER_SIDE)

    def fits(self, capabilities: Capabilities) -> bool:
        """Whether a model that can do this can answer it."""
        return (
            (capabilities.vision or not self._vision)
            and (capabilities.audio or not self._audio)
            and (capabilities.tools or not self.tools)
            and (capabilities.json_schema or self.schema is None)
            and capabilities.context >= self.least_context
        )

    def continues(self, capabilities: Capabilities) -> bool:
        """Whether such a model can go on behind the text that is shown. Never once a tool call began."""
        return capabilities.prefill and not self._tool_calls and self.schema is None and bool(self._shown)

    def conversation(self) -> Sequence[Message]:
        """What is sent: with the text that is shown at its end, for a model that goes on behind it."""
        return [*self.messages, Message.assistant(self.text)] if self._shown else self.messages

    def settings_at(self, now: float, own: ModelSettings, patience: float | None) -> ModelSettings:
        """How a member is asked now: by the deadline, with the tokens left.

        Args:
            now: on the pool's clock.
            own: the member's settings, under those of the call.
            patience: seconds that it may be silent where nobody said, while another could take over.
        """
        asked, left = own.merged(self.settings), max(0.001, self.deadline - now)
        changed: dict[str, float | int | None] = {}
        if left < asked.timeout - 0.05:
            changed["timeout"] = left
        if patience is not None:
            changed["first_token"] = asked.first_token or min(patience, left / 2)
            changed["idle"] = asked.idle or min(patience, left / 2)
        if self._shown and asked.max_tokens is not None:
            changed["max_tokens"] = max(1, asked.max_tokens - self._chunks)
        return msgspec.structs.replace(self.settings, **changed) if changed else self.settings

    def heard(self, piece: Piece) -> None:
        """Notes what is shown, or taken back."""
        if isinstance(piece, TextPiece):
            self._shown.append(piece.text)
            self._chunks += piece.chunks
        elif isinstance(piece, ToolCallPiece):
            self._tool_calls = True
        elif isinstance(piece, RetractPiece):
            text = self.text
            left = text[: max(0, len(text) - piece.length)]
            self._chunks = round(self._chunks * len(left) / len(text)) if left else 0
            self._shown, self._tool_calls = [left] if left else [], False

    def go_on(self) -> None:
        """An attempt begins: what is shown now stands before what it gives."""
        self._before = self.text, self._chunks

    def whole(self, reply: Reply) -> Reply:
        """The reply with the text of earlier attempts before its own, and all attempts counted."""
        before, chunks = self._before
        usage = msgspec.structs.replace(reply.usage, calls=max(1, reply.usage.calls) + self.attempts)
        if not before:
            return msgspec.structs.replace(reply, usage=usage) if self.attempts else reply
        message = _after(before, reply.message)
        return msgspec.structs.replace(reply, message=message, usage=usage, chunks=reply.chunks + chunks)

    def late(self, now: float) -> bool:
        """Whether its deadline is over."""
        return now >= self.deadline


def _after(before: str, message: Message) -> Message:
    parts: list[Part] = list(message.parts)
    for place, part in enumerate(parts):
        if isinstance(part, Text):
            parts[place] = msgspec.structs.replace(part, text=before + part.text)
            break
    else:
        place = next((i for i, part in enumerate(parts) if not hasattr(part, "text")), len(parts))
        parts.insert(place, Text(before))
    return msgspec.structs.replace(message, parts=tuple(parts))


def is_content(piece: Piece) -> bool:
    """Whether the model has spoken, by text, reasoning or a tool call, or ended."""
    return isinstance(piece, TextPiece | ReasoningPiece | ToolCallPiece | Reply)
