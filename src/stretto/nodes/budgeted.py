"""`affordable`: a model that asks the run's budgets before each call and takes the ladder's rungs.

It wraps any `ChatModel`; without budgets it is the model itself. Counts nothing: that is the ledger's.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple, cast

import msgspec

from stretto.budgets import Ledger, Reservation, expected_input
from stretto.context import RunContext
from stretto.documents import Hit
from stretto.errors import LimitReached
from stretto.events import BudgetLow
from stretto.messages import Image, Message, Text, ToolSpec
from stretto.models.protocol import (
    ChatModel,
    OutputSchema,
    Piece,
    ReasoningPiece,
    Reply,
    RetractPiece,
    TextPiece,
    ToolCallPiece,
)
from stretto.models.wrapping import WrappingModel
from stretto.settings import ModelSettings, Rung
from stretto.usage import Usage


def affordable(model: ChatModel, ctx: RunContext) -> ChatModel:
    """`model`, whose calls are held to the budgets of the run that `ctx` is of."""
    ledger = ctx.run.ledger
    return model if ledger is None or not ledger.counts_calls else _Affordable(model, ledger, ctx)


async def context_for(
    hits: Sequence[Hit], ctx: RunContext, *, passages: int, history: int
) -> tuple[Sequence[Hit], int]:
    """Which hits and how many turns a model is shown, now that so much of the budgets is spent."""
    ledger = ctx.run.ledger
    if ledger is not None and any(rung.take == "less_context" for rung in ledger.ladder):
        share, budget = await ledger.shares(ctx.node)
        for rung in _reached(ledger, share):
            if rung.take == "less_context":
                _tell(rung, share, budget, ledger, ctx)
                history = min(history, rung.history or history)
                passages = passages if rung.passages is None else min(passages, rung.passages)
    return hits[:passages], history


class _Call(NamedTuple):
    """One call, as the rungs leave it."""

    model: ChatModel
    tools: Sequence[ToolSpec]
    settings: ModelSettings
    partial: bool = False
    """A shorter answer is better than none."""

    @property
    def answer(self) -> int | None:
        """Tokens the answer may have at most, as the call or the model says."""
        return self.settings.max_tokens or _usual_answer(self.model)

    def with_rung(self, rung: Rung, models: Mapping[str, ChatModel], messages: Sequence[Message]) -> "_Call":
        if rung.take == "no_tools":
            return self._replace(tools=())
        if rung.take == "partial_answer":
            return self._replace(partial=True, tools=())
        if rung.take == "cheaper_model":
            tier = self.settings.tier if rung.tier is None else rung.tier
            call = self._replace(settings=msgspec.structs.replace(self.settings, tier=tier))
            cheaper = models.get(rung.model or "")
            if cheaper is None or (_pictures(messages) and not cheaper.capabilities.vision):
                return call
            return call._replace(model=cheaper)
        return self


class _Affordable(WrappingModel):
    """A model within the budgets of one run."""

    def __init__(self, model: ChatModel, ledger: Ledger, ctx: RunContext) -> None:
        super().__init__(model)
        self._ledger, self._ctx = ledger, ctx

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: OutputSchema | None = None,
        settings: ModelSettings | None = None,
    ) -> AsyncGenerator[Piece]:
        """The model's answer; raises LimitReached before the call where it cannot be afforded."""
        wanted = _Call(self._model, tools, settings or ModelSettings())
        try:
            call, reserved = await self._reserve(wanted, messages, schema)
        except LimitReached as refused:
            if schema is not None or not self._ctx.run.usage.calls or not self._partial():
                raise
            async for piece in _only(_notice(refused.limit)):
                yield piece
            return
        settings = call.settings
        if reserved.bounded and (reserved.cut or call.answer is None):
            settings = msgspec.structs.replace(settings, max_tokens=reserved.output_tokens)
        pieces = call.model.stream(messages, tools=call.tools, schema=schema, settings=settings)
        async with aclosing(self._settled(pieces, reserved)) as settled:
            async for piece in settled:
                if isinstance(piece, Reply):
                    cut = reserved.cut and piece.finish == "length"
                    if call.partial and schema is None and (cut or (tools and not call.tools)):
                        said = _notice(self._share[1], before="\n\n")
                        yield TextPiece(said, chunks=0)
                        message = piece.message
                        message = msgspec.structs.replace(message, parts=(*message.parts, Text(said)))
                        piece = msgspec.structs.replace(piece, message=message)
                    elif cut:
                        self._ctx.spend(piece.usage, model=piece.model or call.model.name)
                        raise self._ledger.cut_off(reserved)
                yield piece

    async def _reserve(
        self, wanted: _Call, messages: Sequence[Message], schema: OutputSchema | None
    ) -> tuple[_Call, Reservation]:
        """The call with the rungs that hold, reserved; where that fails, with every rung there is."""
        ledger = self._ledger
        self._share = share, budget = await ledger.shares(self._ctx.node) if ledger.ladder else (0.0, "")
        rungs = _reached(ledger, share)
        last = len(rungs) == len(ledger.ladder)
        try:
            return await self._take(wanted, rungs, messages, schema, last=last)
        except LimitReached as refused:
            if last:
                raise
            self._share = max(1.0, share), refused.limit or budget
            return await self._take(wanted, ledger.ladder, messages, schema, last=True)

    async def _take(
        self,
        call: _Call,
        rungs: Sequence[Rung],
        messages: Sequence[Message],
        schema: OutputSchema | None,
        *,
        last: bool,
    ) -> tuple[_Call, Reservation]:
        for rung in rungs:
            call = call.with_rung(rung, self._ledger.models, messages)
        reserved = await self._ledger.reserve(
            self._ctx.node,
            priced(call.model),
            expected_input(messages, call.tools),
            answer=call.answer,
            shrink=(call.partial and schema is None) or (last and call.answer is None),
        )
        for rung in rungs:
            if rung.take != "less_context":
                _tell(rung, *self._share, self._ledger, self._ctx)
        return call, reserved

    def _partial(self) -> bool:
        return any(rung.take == "partial_answer" for rung in self._ledger.ladder)

    async def _settled(self, pieces: AsyncIterator[Piece], reserved: Reservation) -> AsyncGenerator[Piece]:
        """The pieces; what was reserved is settled by the Reply, or by what came of the answer."""
        received = 0
        done = False
        try:
            async with aclosing(cast("AsyncGenerator[Piece]", pieces)) as stream:
                async for piece in stream:
                    if isinstance(piece, Reply):
                        usage = await self._ledger.settle(reserved, piece.usage, model=piece.model)
                        piece = msgspec.structs.replace(piece, usage=usage)  # others may hear the same reply
                        done = True
                    elif not isinstance(piece, RetractPiece):
                        received += _size(piece)
                    yield piece
        finally:
            if not done:
                await self._ledger.abandon(reserved, received)


def priced(model: ChatModel) -> tuple[str, ...]:
    """The names by which a model is priced: its own, or those of a pool's members."""
    members = getattr(model, "members", ())
    return tuple(name for member in members for name in priced(member.model)) or (model.name,)


def _usual_answer(model: ChatModel) -> int | None:
    """What the model's own settings say of `max_tokens`; the most of a pool's members."""
    members = getattr(model, "members", ())
    if members:
        usual = [_usual_answer(member.model) for member in members]
        return None if None in usual else max(each for each in usual if each is not None)
    settings: ModelSettings | None = getattr(model, "settings", None)
    return settings.max_tokens if settings is not None else None


def _reached(ledger: Ledger, share: float) -> list[Rung]:
    return [rung for rung in ledger.ladder if share >= rung.at]


def _tell(rung: Rung, share: float, budget: str, ledger: Ledger, ctx: RunContext) -> None:
    """Says once in a run that a step of the ladder is taken."""
    if rung.take not in ledger.told:
        ledger.told.add(rung.take)
        ctx.emit(BudgetLow(budget=budget, share=round(share, 4), step=rung.take))


def _notice(budget: str, *, before: str = "") -> str:
    return f"{before}(This answer is not complete: the budget `{budget}` is nearly used up.)"


async def _only(text: str) -> AsyncGenerator[Piece]:
    """An answer without a call."""
    yield TextPiece(text, chunks=0)
    yield Reply(Message.assistant(text), Usage())


def _size(piece: Piece) -> int:
    if isinstance(piece, TextPiece | ReasoningPiece):
        return len(piece.text.encode())
    return len(piece.name) + len(piece.arguments.encode()) if isinstance(piece, ToolCallPiece) else 0


def _pictures(messages: Sequence[Message]) -> bool:
    return any(isinstance(part, Image) for message in messages for part in message.parts)
