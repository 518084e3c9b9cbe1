"""Finds the sentences that a question is about, among hits: what stands beside an answer, or instead of it.

A sentence is compared below its title and headings, by meaning and by the question's rare words: each alone
is wrong more often (measured in `benchmarks/outside.py`). Asks no chat model; knows no answer.
"""

from collections.abc import Collection, Sequence

from stretto.documents import Hit
from stretto.knowledge.rerank import Embeds
from stretto.knowledge.spans import Span, cited_at, headed, is_header, spans_of
from stretto.knowledge.words import content, rarity
from stretto.results import Citation

WORDS = 0.3
"""What the question's words count beside the cosine, when a sentence has all of them."""
BESIDE = 0.2
"""How much less than the nearest sentence another may be worth to be told too."""


def answerable(question: str, hits: Sequence[Hit]) -> float:
    """How far the hits speak of what is asked, 0..2: the best one's cosine and its share of the rare words.

    On XQuAD-en with half of its paragraphs taken away it tells questions with an answer from those without
    by an area under the curve of .97, where the cosine alone has .84; `scripts/abstain.py` finds the value
    to part them at for a knowledge base of yours.
    """
    asked = content(question)
    terms = [content("\n".join((hit.document.title, *hit.chunk.headings, hit.text))) for hit in hits]
    rare = rarity(terms)
    whole = rare.weight(asked) or 1.0
    return max(
        (
            max(0.0, hit.scores.get("dense", hit.score)) + rare.weight(asked & own) / whole
            for hit, own in zip(hits[:3], terms[:3], strict=True)
        ),
        default=0.0,
    )


async def nearest_quotes(
    question: str,
    hits: Sequence[Hit],
    embedder: Embeds,
    *,
    least: float = 0.3,
    most: int = 2,
    among: Collection[str] = (),
) -> list[Citation]:
    """The sentences nearest to `question`, in the order of the hits; neighbours are one quote.

    Args:
        question: What is asked.
        hits: Where to look.
        embedder: Compares meanings.
        least: The cosine that the nearest one needs; below it nothing is found.
        most: How many sentences at most.
        among: Ids of documents that may speak beside the nearest sentence's own.
    """
    sentences = [
        span
        for span in spans_of(hits)
        if not span.double and not is_header(hits[span.hit].chunk.text, span.end)
    ]
    if not sentences:
        return []
    texts = [headed(hits[span.hit], span.start, span.end) for span in sentences]
    vectors = await embedder.embed([question, *texts])
    closeness: list[float] = (vectors[1:] @ vectors[0]).tolist()
    asked, rare = content(question), rarity([span.terms for span in sentences])
    whole = rare.weight(asked) or 1.0
    values = [
        cosine + WORDS * rare.weight(asked & (span.terms | span.near)) / whole
        for cosine, span in zip(closeness, sentences, strict=True)
    ]
    ranked = sorted(range(len(sentences)), key=lambda index: -values[index])
    if closeness[ranked[0]] < least:
        return []
    speak = {hits[sentences[ranked[0]].hit].document.id, *among}
    chosen = [
        index
        for index in ranked[:most]
        if values[index] >= values[ranked[0]] - BESIDE and hits[sentences[index].hit].document.id in speak
    ]
    joined = _joined([sentences[index] for index in sorted(chosen)], hits)
    return [
        cited_at(number, hits[hit], start, end, score=closeness[ranked[0]])
        for number, (hit, start, end) in enumerate(joined, 1)
    ]


def _joined(spans: Sequence[Span], hits: Sequence[Hit]) -> list[tuple[int, int, int]]:
    """Hit, start and end of each span; what has only white space between it is one."""
    joined: list[tuple[int, int, int]] = []
    for span in spans:
        if joined:
            hit, start, end = joined[-1]
            if hit == span.hit and not hits[hit].chunk.text[end : span.start].strip():
                joined[-1] = (hit, start, span.end)
                continue
        joined.append((span.hit, span.start, span.end))
    return joined
