"""What an answer claims of its sources, checked while it comes: marks such as [2], and quotations.

A model says [7] where three passages were shown, or puts its own words between quotation marks. Both are held
back until they were checked; what fails is taken out, or marked, before anybody sees it. Knows no prompt.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, cast

import msgspec

from stretto.context import RunContext
from stretto.documents import Hit
from stretto.events import Cited, Retracted, TextDelta
from stretto.knowledge.check import Entails, check_citation, verbatim
from stretto.knowledge.cite import attribute
from stretto.knowledge.evidence import answerable
from stretto.knowledge.rerank import Embeds
from stretto.knowledge.sentences import sentence_spans
from stretto.knowledge.words import content
from stretto.messages import Message, Text, ToolSpec
from stretto.models.protocol import (
    ChatModel,
    OutputSchema,
    Piece,
    Reply,
    RetractPiece,
    TextPiece,
)
from stretto.models.wrapping import WrappingModel
from stretto.nodes.node import State, Update
from stretto.results import Citation
from stretto.settings import ModelSettings

_MARK = re.compile(r" ?\[([1-9]\d{0,3}(?:\s*,\s*[1-9]\d{0,3})*)\]")
_MARK_BEGUN = re.compile(r" ?\[[\d,\s]{0,40}$")
_CLOSING = {'"': '"', "\u201c": "\u201d", "\u201e": "\u201c\u201d", "\u00ab": "\u00bb", "\u300c": "\u300d"}
_OPENING = re.compile(r" ?\[| $|(?<!\w)[\"\u201c\u201e\u00ab\u300c]")
_LONGEST = 600
"""Characters that are held back for a quotation's end."""
_WORDS = 4
"""Shorter quotations name something rather than quote it."""

Policy = Literal["remove", "mark"]
"""remove: a mark that fails is left out, a false quotation loses its marks; mark: both get a `?`."""


@dataclass(frozen=True)
class Citing:
    """How an answer is tied to its sources."""

    embedder: Embeds | None = None
    """Compares meanings too, where words differ."""
    policy: Policy = "remove"
    """What becomes of a mark or a quotation that is not true."""
    threshold: float = 0.5
    """The share of a sentence's words, weighted by rarity, that its source must hold, in 0..1."""
    entails: Entails | None = None
    """Takes a source's words and the claim; says whether the claim follows. Asked last."""
    abstain: float | None = None
    """Below this value of `answerable` no model is asked, and an answer without any source is taken back or
    marked. None: never. `scripts/abstain.py` finds the value."""
    abstention: str = "I found nothing about this in the documents."
    """What is said then."""


def _citing(cite: Citing | Embeds | bool) -> Citing | None:
    """The settings that `cite=` stands for."""
    if isinstance(cite, bool):
        return Citing() if cite else None
    return cite if isinstance(cite, Citing) else Citing(embedder=cite)


class Sources:
    """What one answer may rest on.

    Args:
        cite: How it is checked; an embedder compares meanings too, False leaves everything as it is.
        hits: The passages that the model is shown, in its order.
        question: What stands in it needs no source.
        ctx: The run.
        checks: Whether the answer is text, of which a part can be taken out or back.
    """

    def __init__(
        self,
        cite: Citing | Embeds | bool,
        hits: Sequence[Hit],
        question: str,
        ctx: RunContext,
        *,
        checks: bool,
    ) -> None:
        self._citing, self._hits, self._question, self._ctx = _citing(cite), hits, question, ctx
        self._checks = self._citing if checks else None

    def checked(self, model: ChatModel) -> ChatModel:
        """The model, its claims checked as they come."""
        if self._checks is None:
            return model
        return CheckedModel(model, self._hits, self._question, self._checks)

    def are_silent(self, state: State) -> bool:
        """Whether the hits speak so little of what is asked that no answer should be tried."""
        if self._checks is None or self._checks.abstain is None or _other_sources(state, self._ctx):
            return False
        return answerable(self._question, self._hits) < self._checks.abstain

    def abstained(self, before: str) -> Update:
        """The update of a node that asks no model."""
        told = (self._citing or Citing()).abstention
        self._ctx.emit(TextDelta(text=told, chunks=0))
        message = Message.assistant(told)
        message = msgspec.structs.replace(message, id=f"{self._ctx.run_id}:{self._ctx.node}")
        return {"messages": [message], "output": before + told, "citations": []}

    async def settled(
        self, text: str, added: list[Message], state: State
    ) -> tuple[str, list[Message], list[Citation]]:
        """An answer with its sources, each told as it is found; taken back or marked if it needs some.

        Args:
            text: The answer.
            added: Its messages; with more than one a tool spoke too.
            state: What else the answer may rest on.
        """
        citing = self._citing
        citations: list[Citation] = []
        if citing is not None and self._hits:
            citations = await _attributed(text, self._hits, self._question, citing)
        for citation in citations:
            self._ctx.run.citations.append(citation)
            self._ctx.emit(Cited(citation=citation))
        if not citations and len(added) == 1 and (told := self._unsupported(text, state)) is not None:
            return told, [Message.assistant(told)], []
        return text, added, citations

    def _unsupported(self, text: str, state: State) -> str | None:
        """What becomes of an answer that no passage supports, told to the person; None if it may stay."""
        citing = self._checks
        if citing is None or citing.abstain is None or _other_sources(state, self._ctx):
            return None
        if not _claims_something(text, self._question):
            return None
        if citing.policy == "mark":
            note = f"\n\n({citing.abstention})"
            self._ctx.emit(TextDelta(text=note, chunks=0))
            return text + note
        self._ctx.emit(Retracted(length=len(text), reason="no source supports it"))
        self._ctx.emit(TextDelta(text=citing.abstention, chunks=0))
        return citing.abstention


def _other_sources(state: State, ctx: RunContext) -> bool:
    """Whether pictures speak too, or something was down and its silence means nothing."""
    return bool(state.get("looks") or state.get("missing") or ctx.run.missing)


async def _attributed(text: str, hits: Sequence[Hit], question: str, citing: Citing) -> list[Citation]:
    """The citations of a text that pass every check."""
    found = await attribute(
        text, hits, embedder=citing.embedder, threshold=citing.threshold, question=question
    )
    checked = [
        await check_citation(citation, hits, answer=text, question=question, entails=citing.entails)
        for citation in found
    ]
    return [one.citation for one in checked if one.holds]


def _claims_something(text: str, question: str) -> bool:
    """Whether a text says anything that is not in the question, and is not itself a question."""
    asked = content(question)
    return any(
        len(content(text[start:end]) - asked) > 1 and not text[start:end].endswith("?")
        for start, end in sentence_spans(text)
    )


class _Gate:
    """Lets text through; holds back what claims a source until it is whole, and checks it."""

    def __init__(self, hits: Sequence[Hit], question: str, citing: Citing) -> None:
        self._hits, self._question, self._citing = hits, question, citing
        self.raw, self.clean, self._done = "", "", 0

    async def feed(self, text: str, *, ended: bool = False) -> str:
        """More of the answer; what may be shown now."""
        self.raw += text
        before = len(self.clean)
        while self._done < len(self.raw):
            found = _OPENING.search(self.raw, self._done)
            if found is None:
                self._pass(len(self.raw))
                break
            self._pass(found.start())
            end = self._end_of(found)
            if end is None and not ended:
                break
            if end is None or end <= found.start() or self.clean.count("```") % 2:
                self._pass(found.end())
            elif "[" in found.group():
                await self._mark(end)
            else:
                self._quotation(end)
        return self.clean[before:]

    def _pass(self, end: int) -> None:
        self.clean += self.raw[self._done : end]
        self._done = end

    def _end_of(self, found: re.Match[str]) -> int | None:
        """Where what begins here ends; its start where it is nothing of ours, None where it goes on."""
        start = found.start()
        if found.group() == " ":  # a mark may follow, and take it along
            return None
        if "[" in found.group():
            whole = _MARK.match(self.raw, start)
            if whole:
                return whole.end()
            return None if _MARK_BEGUN.match(self.raw, start) else start
        closing = _CLOSING[self.raw[start]]
        for at in range(start + 1, min(len(self.raw), start + _LONGEST)):
            if self.raw[at] in closing:
                return at + 1
            if self.raw[at] == "\n":
                return start
        return None if len(self.raw) < start + _LONGEST else start

    async def _mark(self, end: int) -> None:
        said = self.raw[self._done : end]
        wanted = [int(number) for number in re.findall(r"\d+", said)]
        held = await self._held(said)
        kept = [str(number) for number in wanted if number in held]
        if self._citing.policy == "mark":
            kept = [str(number) if number in held else f"{number}?" for number in wanted]
        if kept:
            self.clean += f"{' ' * said.startswith(' ')}[{', '.join(kept)}]"
        self._done = end

    async def _held(self, mark: str) -> set[int]:
        """The numbers of a mark whose passages support the sentence before it."""
        spans = sentence_spans(self.clean)
        if not spans:
            return set()
        sentence = self.clean[spans[-1][0] : spans[-1][1]]
        claim = f"{_MARK.sub('', sentence).rstrip()} {mark}"
        found = await _attributed(claim, self._hits, self._question, self._citing)
        return {citation.number for citation in found}

    def _quotation(self, end: int) -> None:
        said = self.raw[self._done : end]
        inner = said[1:-1].strip().rstrip(".,;:!?")
        short = len(inner.split()) < _WORDS and len(inner) < 4 * _WORDS
        told = (chunk.text for hit in self._hits for chunk in (hit.chunk, *hit.around))
        if short or verbatim(inner, self._question) or any(verbatim(inner, text) for text in told):
            self.clean += said
        else:
            self.clean += f"{said} [?]" if self._citing.policy == "mark" else said[1:-1]
        self._done = end


class CheckedModel(WrappingModel):
    """A model whose claims of sources are checked as they come; without hits it has none to claim.

    Args:
        model: Who answers.
        hits: The passages that it is shown, in its order.
        question: What stands in it needs no source.
        citing: How it is checked.
    """

    def __init__(self, model: ChatModel, hits: Sequence[Hit], question: str, citing: Citing) -> None:
        super().__init__(model)
        self._hits, self._question, self._citing = hits, question, citing

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: OutputSchema | None = None,
        settings: ModelSettings | None = None,
    ) -> AsyncGenerator[Piece]:
        """The model's answer, its text as far as it was checked."""
        stream = self._model.stream(messages, tools=tools, schema=schema, settings=settings)
        gate = self._gate()
        async with aclosing(cast("AsyncGenerator[Piece]", stream)) as pieces:
            async for piece in pieces:
                if isinstance(piece, TextPiece):
                    shown = await gate.feed(piece.text)
                    if shown:
                        yield TextPiece(shown, chunks=piece.chunks)
                elif isinstance(piece, RetractPiece):
                    before, gate = gate, self._gate()
                    await gate.feed(before.raw[: len(before.raw) - piece.length])
                    yield RetractPiece(len(before.clean) - len(gate.clean))
                elif isinstance(piece, Reply):
                    rest = await gate.feed("", ended=True)
                    if rest:
                        yield TextPiece(rest, chunks=0)
                    yield await self._checked(piece, gate)
                else:
                    yield piece

    def _gate(self) -> _Gate:
        return _Gate(self._hits, self._question, self._citing)

    async def _checked(self, reply: Reply, gate: _Gate) -> Reply:
        text = reply.message.text
        if text != gate.raw:
            gate = self._gate()
            await gate.feed(text, ended=True)
        if gate.clean == text:
            return reply
        others = tuple(part for part in reply.message.parts if not isinstance(part, Text))
        parts = (Text(gate.clean), *others) if gate.clean else others
        message = msgspec.structs.replace(reply.message, parts=parts)
        return msgspec.structs.replace(reply, message=message)
