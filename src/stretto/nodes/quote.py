"""`quote`: puts the source's own words below an answer that does not say them, or instead of a made-up one.

A small model reads its passages badly: it drops the number, or answers from the wrong sentence. The person
then sees what the documents say, word for word and named. Does nothing where nothing near was found.
"""

from collections.abc import Sequence

import msgspec

from stretto.context import RunContext
from stretto.documents import Chunk, Document, Hit, Look
from stretto.events import Cited, Retracted, TextDelta
from stretto.knowledge import attribute, nearest_quotes
from stretto.knowledge.rerank import Embeds
from stretto.knowledge.sentences import sentence_spans
from stretto.knowledge.spans import in_words, is_row
from stretto.knowledge.words import content, numbers
from stretto.messages import Message, Text
from stretto.nodes.node import NodeFunction, State, Update, declares, last_turns, question_of
from stretto.nodes.retrieve import query_of
from stretto.results import Citation

SAID = 0.7
"""The share of a quote's words, beside those of the question, that an answer holds which already says it."""
LINE = 0.2
"""The cosine from which a line of a picture is worth quoting: such lines are short and have no sentence."""
LINES = 2
"""How many lines of pictures are quoted at most."""


def quote(embedder: Embeds, *, least: float = 0.3, most: int = 3, passages: int = 4) -> NodeFunction:
    """A node behind the one that answers with `cite=`.

    An answer that no passage supports is taken back for the quotes, unless pictures spoke or something was
    down. Below any other answer stand those quotes that it does not say already; the documents' only if no
    picture holds the answer.

    Args:
        embedder: Finds the sentences nearest to the question; a KnowledgeBase is one.
        least: The cosine from which they are worth quoting; below it the answer stays as it is.
        most: How many sentences of the documents are quoted; of the lines of pictures at most `LINES`.
        passages: In how many hits they are looked for; more than the model was shown does no harm.
    """

    @declares(
        reads=("messages", "question", "hits", "looks", "missing", "citations", "output"),
        writes=("messages", "output", "citations"),
    )
    async def support(state: State, ctx: RunContext) -> Update:
        answer = state.get("output")
        hits: list[Hit] = list(state.get("hits") or [])[:passages]
        looks: Sequence[Look] = state.get("looks") or ()
        if not isinstance(answer, str) or _acted(state["messages"]):
            return {}
        question = question_of(state)
        lines = _lines(looks)
        read = await nearest_quotes(question, lines, embedder, least=LINE, most=min(most, LINES))
        seen = bool(lines) and await _all_of(answer, lines, embedder, question)
        cited: list[Citation] = list(state.get("citations") or [])
        found: list[Citation] = []
        if not seen:
            among = {citation.document for citation in cited}
            found = await nearest_quotes(query_of(state), hits, embedder, least=least, most=most, among=among)
        made_up = bool(found) and not (cited or looks or state.get("missing"))
        page = _Page("" if made_up else answer, content(question), cited)
        for line in read:
            title = next(hit.document.title for hit in lines if hit.chunk.id == line.chunk)
            page.add(f"In the picture “{title}”", f"“{line.quote}”")
        for citation in found:
            hit = next(hit for hit in hits if hit.chunk.id == citation.chunk)
            page.add(hit.document.title or hit.document.id, _told(hit, citation), citation)
        return page.shown(state, answer, ctx)

    return support


async def _all_of(answer: str, lines: Sequence[Hit], embedder: Embeds, question: str) -> bool:
    """Whether every sentence of the answer stands in the lines that were read."""
    held = {found.span for found in await attribute(answer, lines, embedder=embedder, question=question)}
    return all(span in held for span in sentence_spans(answer))


def _acted(messages: Sequence[Message]) -> bool:
    """Whether a tool spoke in this turn: then the answer has another source."""
    return "tool" in (message.role for message in last_turns(messages, 1))


class _Page:
    """An answer, and the quotes that are put below it."""

    def __init__(self, text: str, asked: set[str], cited: Sequence[Citation]) -> None:
        self.text, self._asked, self._cited = text, asked, list(cited)
        self._told = len(cited)
        self._quoted = False

    def add(self, name: str, line: str, citation: Citation | None = None) -> None:
        """Puts a quote below, unless the text says it already."""
        own, said = content(line) - self._asked, content(self.text)
        if numbers(own) <= said and len(own & said) >= SAID * len(own):
            return
        if self.text:
            self.text += "\n" if self._quoted else "\n\n"
        self._quoted, start = True, len(self.text)
        self.text += f"{name}: {line}"
        if citation is not None:
            self._cited.append(
                msgspec.structs.replace(citation, number=self._number(citation), span=(start, len(self.text)))
            )

    def _number(self, citation: Citation) -> int:
        same = (other.number for other in self._cited if other.chunk == citation.chunk)
        return next(same, max((other.number for other in self._cited), default=0) + 1)

    def shown(self, state: State, answer: str, ctx: RunContext) -> Update:
        """Tells what was taken back and added; the update, empty where nothing was."""
        if self.text == answer:
            return {}
        kept = len(answer) if self.text.startswith(answer) else 0
        if kept < len(answer):
            ctx.emit(Retracted(length=len(answer), reason="no source supports it"))
        ctx.emit(TextDelta(text=self.text[kept:], chunks=0))
        for citation in self._cited[self._told :]:
            ctx.run.citations.append(citation)
            ctx.emit(Cited(citation=citation))
        last: Message = state["messages"][-1]
        return {
            "messages": [msgspec.structs.replace(last, parts=(Text(self.text),))],
            "output": self.text,
            "citations": self._cited,
        }


def _lines(looks: Sequence[Look]) -> list[Hit]:
    """The lines that were read in pictures, as passages of one line; the first one names its picture."""
    return [
        Hit(
            Document(look.reference, title=look.lines[0]),
            Chunk(f"{look.reference}:{number}", look.reference, line),
            1.0,
        )
        for look in looks
        for number, line in enumerate(look.lines)
    ]


def _told(hit: Hit, citation: Citation) -> str:
    """The quote in quotation marks; rows of a table with the names of their columns."""
    if not is_row(citation.quote):
        return f"“{' '.join(citation.quote.split())}”"
    shift = hit.chunk.start - int(hit.chunk.metadata.get("repeated", 0))
    return in_words(hit.chunk.text, citation.start - shift, citation.end - shift)
