"""`quote`: takes back an answer that no passage supports and gives the nearest passage's own words instead.

What small models make up is not shown as knowledge. Does nothing where nothing was found, or pictures spoke.
"""

import msgspec

from stretto.context import RunContext
from stretto.documents import Hit
from stretto.events import Cited, Retracted, TextDelta
from stretto.knowledge import nearest_quote
from stretto.messages import Message, Text
from stretto.models.protocol import Embedder
from stretto.nodes.node import NodeFunction, State, Update, declares, question_of


def quote(embedder: Embedder, *, least: float = 0.35) -> NodeFunction:
    """A node behind the one that answers with `cite=`.

    Args:
        embedder: Finds the sentences nearest to the question.
        least: The cosine from which they are worth quoting; below it the answer stays, without a source.
    """

    @declares(
        reads=("messages", "question", "hits", "looks", "missing", "citations", "output"),
        writes=("messages", "output", "citations"),
    )
    async def support(state: State, ctx: RunContext) -> Update:
        hits: list[Hit] = state.get("hits") or []
        answer = state.get("output")
        spoken_for = state.get("citations") or state.get("looks") or state.get("missing")
        if not hits or spoken_for or not isinstance(answer, str):
            return {}
        citation = await nearest_quote(question_of(state), hits, embedder, least=least)
        if citation is None:
            return {}
        title = next(hit.document.title or hit.document.id for hit in hits if hit.chunk.id == citation.chunk)
        text = f"{title}: “{' '.join(citation.quote.split())}”"
        citation = msgspec.structs.replace(citation, span=(0, len(text)))
        ctx.emit(Retracted(length=len(answer)))
        ctx.emit(TextDelta(text=text, chunks=0))
        ctx.run.citations.append(citation)
        ctx.emit(Cited(citation=citation))
        last: Message = state["messages"][-1]
        return {
            "messages": [msgspec.structs.replace(last, parts=(Text(text),))],
            "output": text,
            "citations": [citation],
        }

    return support
