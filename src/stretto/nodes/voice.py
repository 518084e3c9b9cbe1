"""One model call with what a person sees of it while it comes: its text, or the object it grows into.

Knows no tools and no prompts.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from stretto.context import RunContext
from stretto.errors import BadResponse, ModelError, OutputInvalid
from stretto.events import OutputDelta, ReasoningDelta, Retracted, TextDelta
from stretto.messages import Message, Reasoning, Refusal, Text, ToolCall, ToolSpec
from stretto.models.output import Form, again
from stretto.models.partial import PartialJson
from stretto.models.protocol import (
    ChatModel,
    FinishReason,
    OutputSchema,
    ReasoningPiece,
    Reply,
    RetractPiece,
    TextPiece,
    complete,
)
from stretto.settings import ModelSettings
from stretto.steps import Place
from stretto.usage import Usage


class Voice:
    """Tells what a model says, as `TextDelta`s; with a form as `OutputDelta`s, the raw text not at all."""

    def __init__(self, ctx: RunContext, form: Form | None = None) -> None:
        self._ctx, self._form = ctx, form
        self._said = 0
        self._partial = PartialJson(form.opening) if form else None

    def text(self, text: str, chunks: int) -> None:
        """More of the answer."""
        if self._partial is None:
            self._said += len(text)
            self._ctx.emit(TextDelta(text=text, chunks=chunks))
        elif self._partial.add(text):
            self._show()

    def retract(self, length: int) -> None:
        """The last `length` code points are taken back."""
        if self._partial is None:
            self._said -= length
            self._ctx.emit(Retracted(length=length, reason="it broke off and begins anew"))
        elif self._partial.retract(length):
            self._show()

    def fall_silent(self) -> None:
        """All that was shown is taken back."""
        if self._said:
            self._ctx.emit(Retracted(length=self._said, reason="the model failed"))
        elif self._partial is not None and self._partial.value is not None:
            self._ctx.emit(OutputDelta(partial=None))

    def _show(self) -> None:
        assert self._partial is not None
        self._ctx.emit(OutputDelta(partial=self._partial.value))


async def spoken(
    model: ChatModel,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    form: Form | None,
    settings: ModelSettings | None,
    ctx: RunContext,
) -> Reply:
    """One model call, shown as it comes; what was shown is taken back when the call fails.

    A node that runs again is given the reply that it had: its text is told at once, and costs nothing.
    """
    voice = Voice(ctx, form)
    schema = form.schema if form else None
    place, kept = await _place(model, messages, tools, schema, ctx)
    if kept is not None:
        _tell_again(kept, voice if form is None else None, ctx)
        return kept
    reply: Reply | None = None
    try:
        # read to its end, past the reply: a stream that is left behind costs a task that closes it
        async for piece in model.stream(messages, tools=tools, schema=schema, settings=settings):
            if isinstance(piece, TextPiece):
                voice.text(piece.text, piece.chunks)
            elif isinstance(piece, RetractPiece):
                voice.retract(piece.length)
            elif isinstance(piece, Reply):
                reply = piece
            elif isinstance(piece, ReasoningPiece):
                ctx.emit(ReasoningDelta(text=piece.text))
        if reply is None:
            raise ModelError(f"{model.name} ended its answer without a reply")
        ctx.spend(reply.usage, model=reply.model or model.name)
        if not reply.message.text.strip() and not _says_otherwise(reply.message):
            raise BadResponse(f"{model.name} answered nothing; it ended by `{reply.finish}`")
    except ModelError:
        voice.fall_silent()
        raise
    await _record(place, reply, ctx)
    return reply


async def replied(
    model: ChatModel,
    messages: Sequence[Message],
    ctx: RunContext,
    *,
    schema: OutputSchema | None = None,
    settings: ModelSettings | None = None,
) -> Reply:
    """One model call of which nobody hears. A node that runs again is given the reply that it had."""
    place, kept = await _place(model, messages, (), schema, ctx)
    if kept is not None:
        return kept
    reply = await complete(model, messages, schema=schema, settings=settings)
    ctx.spend(reply.usage, model=reply.model or model.name)
    await _record(place, reply, ctx)
    return reply


class _Kept(msgspec.Struct, array_like=True):
    """A reply as it is kept: what it cost is paid."""

    message: Message
    finish: FinishReason
    model: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


async def _place(
    model: ChatModel,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    schema: OutputSchema | None,
    ctx: RunContext,
) -> tuple[Place, Reply | None]:
    """The step that a call is, and the reply that it had when the node ran before."""
    names = ",".join(tool.name for tool in tools)
    label = f"{model.name}|{schema.name if schema else ''}|{names}"
    place = await ctx.steps.reply(label, lambda: messages)
    if place.content is None:
        return place, None
    kept = _decode(place.content)
    return place, Reply(kept.message, Usage(), kept.finish, kept.model)


def kept_message(content: bytes) -> Message:
    """What a model said, from a step as it is kept; raises msgspec's DecodeError for another step."""
    return _decode(content).message


async def _record(place: Place, reply: Reply, ctx: RunContext) -> None:
    if ctx.steps.kept:
        await ctx.steps.record(place, _encode(_Kept(reply.message, reply.finish, reply.model)))


def _tell_again(reply: Reply, voice: Voice | None, ctx: RunContext) -> None:
    for part in reply.message.parts:
        if isinstance(part, Reasoning):
            ctx.emit(ReasoningDelta(text=part.text))
        elif isinstance(part, Text) and voice is not None:
            voice.text(part.text, 0)


def _says_otherwise(message: Message) -> bool:
    """Whether a message without text calls a tool or declines."""
    return any(isinstance(part, ToolCall | Refusal) for part in message.parts)


async def fitting(
    model: ChatModel,
    asked: Sequence[Message],
    reply: Reply,
    form: Form,
    settings: ModelSettings | None,
    ctx: RunContext,
) -> tuple[Any, Message]:
    """The object that a reply holds, and the message that holds it.

    A model whose answer does not fit is shown it, told why, and asked once more.

    Args:
        model: Who answers.
        asked: What the reply answers to.
        reply: Its answer.
        form: What the answer has to fit.
        settings: How it is asked again.
        ctx: The run.

    Raises:
        OutputInvalid: It does not fit, with the raw text of the last answer.
    """
    try:
        try:
            value, message = form.parse(reply.message.text), reply.message
        except OutputInvalid as error:
            _refuse_hopeless(reply, form)
            second = await spoken(model, [*asked, reply.message, again(error)], (), form, settings, ctx)
            _refuse_hopeless(second, form)
            value, message = form.parse(second.message.text), second.message
    except OutputInvalid:
        ctx.emit(OutputDelta(partial=None))
        raise
    ctx.emit(OutputDelta(partial=form.plain(message.text)))
    return value, message


def _refuse_hopeless(reply: Reply, form: Form) -> None:
    """Raises for an answer that asking again would not mend."""
    text, name = reply.message.text, form.schema.name
    refusals = [part.text for part in reply.message.parts if isinstance(part, Refusal)]
    if refusals:
        raise OutputInvalid(f"the model declines to answer for `{name}`: {refusals[0]}", partial=text)
    if reply.message.tool_calls:
        raise OutputInvalid(f"the model calls tools instead of answering for `{name}`", partial=text)
    if reply.finish == "length":
        raise OutputInvalid(
            f"the answer for `{name}` was cut off; raise `max_tokens` in its settings, "
            "or take a model with more context",
            partial=text,
        )
