"""Ties an answer to the passages it came from, sentence by sentence, once it is written. Asks no model.

A sentence is cited where its rare words and all its numbers stand in one or two neighbouring sentences
of a hit. Small models write no marks such as [2]; where a model does, its mark is checked in the same way.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from stretto.documents import Hit
from stretto.knowledge.rerank import Embeds
from stretto.knowledge.sentences import sentence_spans
from stretto.knowledge.spans import Span, cited_at, each_passage, spans_of
from stretto.knowledge.words import Rarity, content, numbers, rarity
from stretto.results import Citation

_MARK = re.compile(r"\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]")
_MARKED_THRESHOLD = 0.6
"""A sentence that the model marked needs only this share of `threshold`."""
_CLOSE = 0.8
"""With an embedder: a cosine from which half of `threshold` is enough."""
_NEAR = 0.35
"""With an embedder: the cosine of question and answer to a sentence from which it is their source."""
_LOOKED_AT = 4
"""Candidates of a sentence that are compared by their cosine."""


@dataclass
class _Support:
    """How well a span supports a sentence: `share` of its words by weight, and the value to choose by."""

    span: Span
    share: float
    value: float


@dataclass(frozen=True)
class _Claim:
    """A sentence of the answer, without its marks."""

    start: int
    end: int
    text: str
    terms: set[str]
    marks: tuple[int, ...]


async def attribute(
    answer: str,
    hits: Sequence[Hit],
    *,
    embedder: Embeds | None = None,
    threshold: float = 0.5,
    question: str = "",
) -> list[Citation]:
    """The citations of an answer, in its order; sentences without support get none.

    Args:
        answer: What the model wrote.
        hits: The passages it was given, in the order it saw them: [2] means the second.
        embedder: Compares meanings too, where words differ.
        threshold: The share of a sentence's words, weighted by rarity, that its source must hold, in 0..1.
        question: Words and numbers that stand in it need no source.

    Returns:
        Citations numbered by first use, or by the model's own marks where it wrote some. `quote` is verbatim.
    """
    hits, owners = each_passage(hits)
    spans = spans_of(hits)
    claims = _claims(answer)
    rare = rarity([span.terms for span in spans if not span.double])
    asked = content(question)
    marked = any(claim.marks for claim in claims)
    order: list[int] = []
    citations: list[Citation] = []
    for claim in claims:
        supports = await _supports(claim, spans, hits, owners, rare, asked, threshold, embedder)
        if not supports and embedder is not None and question:
            supports = await _nearest(claim, question, spans, hits, asked, embedder)
        for support in supports:
            span, index = support.span, owners[support.span.hit]
            if index not in order:
                order.append(index)
            number = index + 1 if marked else order.index(index) + 1
            place = (claim.start, claim.end)
            told = cited_at(number, hits[span.hit], span.start, span.end, span=place, score=support.share)
            citations.append(told)
    return citations


async def _supports(
    claim: _Claim,
    spans: Sequence[Span],
    hits: Sequence[Hit],
    owners: Sequence[int],
    rare: Rarity,
    asked: set[str],
    threshold: float,
    embedder: Embeds | None,
) -> list[_Support]:
    if not claim.terms or claim.text.endswith("?"):
        return []
    found = [support for span in spans if (support := _support(claim, span, hits[span.hit], rare, asked))]
    needed = {id(support): threshold for support in found}
    if embedder is not None and found:
        found = sorted(found, key=lambda support: -support.value)[:_LOOKED_AT]
        texts = [hits[support.span.hit].text[support.span.start : support.span.end] for support in found]
        vectors = await embedder.embed([claim.text, *texts])
        for support, vector in zip(found, vectors[1:], strict=True):
            cosine = float(vectors[0] @ vector)
            support.value += 0.3 * cosine
            needed[id(support)] = threshold * (0.5 if cosine >= _CLOSE else 1)
    chosen: list[_Support] = []
    for mark in claim.marks:
        own = [support for support in found if owners[support.span.hit] == mark - 1]
        best = max(own, key=lambda support: support.value, default=None)
        if best and best.share >= _MARKED_THRESHOLD * needed[id(best)]:
            chosen.append(best)
    if not chosen:
        enough = [support for support in found if support.share >= needed[id(support)]]
        chosen = sorted(enough, key=lambda support: -support.value)[:1]
    return chosen


async def _nearest(
    claim: _Claim,
    question: str,
    spans: Sequence[Span],
    hits: Sequence[Hit],
    asked: set[str],
    embedder: Embeds,
) -> list[_Support]:
    """For answers with few words of their own ("No.", "54"): the sentence nearest to question and answer.

    It has to hold the answer's numbers, and a word of the answer unless all of them are the question's.
    """
    own = claim.terms - asked
    fit = [
        span
        for span in spans
        if not span.double
        and numbers(claim.terms) <= span.terms | span.near | asked
        and (not own or own & (span.terms | span.near))
    ]
    if not fit or claim.text.endswith("?"):
        return []
    texts = [hits[span.hit].text[span.start : span.end] for span in fit]
    vectors = await embedder.embed([f"{question} {claim.text}", *texts])
    closeness, span = max(
        zip((vectors[1:] @ vectors[0]).tolist(), fit, strict=True), key=lambda pair: pair[0]
    )
    return [_Support(span, closeness, closeness)] if closeness >= _NEAR else []


def _support(claim: _Claim, span: Span, hit: Hit, rare: Rarity, asked: set[str]) -> _Support | None:
    """How well the span supports the claim; None where a number is missing or too little is said at all."""
    shared = claim.terms & span.terms
    if not shared or not numbers(claim.terms) <= span.terms | span.near | asked:
        return None
    own = claim.terms - asked or claim.terms
    telling = shared & own
    if not telling:
        return None
    if len(shared) < 2 and not (
        len(claim.terms) == 1 and (rare.count(next(iter(shared))) <= 2 or numbers(shared))
    ):
        return None
    # Words of the question count where the source has them, and are not missed where it has not.
    supported = claim.terms & (span.terms | span.near)
    share = rare.weight(supported) / rare.weight(supported | (claim.terms - asked))
    heart = rare.weight(telling) / rare.weight(own)
    if heart < 0.25:
        return None
    value = share + 0.3 * heart + 0.1 * rare.weight(shared) / rare.weight(claim.terms) + 0.05 * hit.score
    return _Support(span, share, value - (0.08 if span.double else 0.0))


def _claims(answer: str) -> list[_Claim]:
    claims: list[_Claim] = []
    for start, end in sentence_spans(answer):
        text = answer[start:end]
        marks = tuple(int(number) for found in _MARK.findall(text) for number in found.split(","))
        words = _MARK.sub(" ", text).strip()
        if not any(map(str.isalnum, words)):
            if claims and marks:  # "It takes 5 days. [2]"
                last = claims[-1]
                claims[-1] = _Claim(last.start, last.end, last.text, last.terms, (*last.marks, *marks))
            continue
        claims.append(_Claim(start, end, words, content(words), marks))
    return claims
