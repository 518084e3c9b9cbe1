"""The sentences of hits, with the words that stand around them, and how a sentence is told. Asks no model."""

from collections.abc import Sequence
from dataclasses import dataclass

from stretto.documents import Hit
from stretto.knowledge.sentences import sentence_spans
from stretto.knowledge.words import content
from stretto.results import Citation


@dataclass(frozen=True)
class Span:
    """One or two sentences of a hit; `near` are the words of its title, headings and table header."""

    hit: int
    start: int
    end: int
    terms: set[str]
    near: set[str]
    double: bool


def spans_of(hits: Sequence[Hit]) -> list[Span]:
    """Every sentence and table row of the hits, and each with the one after it."""
    spans: list[Span] = []
    for index, hit in enumerate(hits):
        text = hit.chunk.text
        own = int(hit.chunk.metadata.get("repeated", 0))
        near = content(" ".join([hit.document.title, *hit.chunk.headings, text[:own]]))
        if "|" in text[own:]:
            near |= content(text[own:].lstrip().split("\n", 1)[0])  # a table's header row
        sentences = sentence_spans(text, own)
        terms = [content(text[start:end]) for start, end in sentences]
        for number, (start, end) in enumerate(sentences):
            if not terms[number] or text[start:end].startswith("#"):
                continue
            spans.append(Span(index, start, end, terms[number], near, False))
            if number + 1 < len(sentences):
                both = terms[number] | terms[number + 1]
                spans.append(Span(index, start, sentences[number + 1][1], both, near, True))
    return spans


def cited_at(
    number: int, hit: Hit, start: int, end: int, *, span: tuple[int, int] = (0, 0), score: float = 0.0
) -> Citation:
    """The citation of `hit.text[start:end]`, with its place in the document."""
    chunk = hit.chunk
    shift = chunk.start - int(chunk.metadata.get("repeated", 0))
    return Citation(
        number=number,
        document=hit.document.id,
        chunk=chunk.id,
        quote=chunk.text[start:end],
        page=chunk.page,
        start=shift + start,
        end=shift + end,
        span=span,
        score=round(min(1.0, max(0.0, score)), 4),
        version=hit.document.version,
        region=chunk.region,
    )


def each_passage(hits: Sequence[Hit]) -> tuple[list[Hit], list[int]]:
    """Every passage once, the neighbours of a hit behind it as hits of their own; and whose each is."""
    passages: list[Hit] = []
    owners: list[int] = []
    seen = {hit.chunk.id for hit in hits}
    for index, hit in enumerate(hits):
        for chunk in (hit.chunk, *hit.around):
            if chunk is not hit.chunk and chunk.id in seen:
                continue
            seen.add(chunk.id)
            passages.append(hit if chunk is hit.chunk else Hit(hit.document, chunk, hit.score))
            owners.append(index)
    return passages, owners


def is_row(text: str) -> bool:
    """Whether this is a row of a Markdown table."""
    return text.lstrip().startswith("|")


def is_header(text: str, end: int) -> bool:
    """Whether the row that ends at `end` is the header of a table: it names, and says nothing."""
    below = text[end:].lstrip().split("\n", 1)[0]
    return is_row(below) and not below.strip(" \t|:-")


def in_words(text: str, start: int, end: int) -> str:
    """`text[start:end]` on one line; a table's rows with their columns' names: `Job: Wash; Price: 28`."""
    said = text[start:end]
    if not is_row(said):
        return " ".join(said.split())
    names: list[str] = []
    for line in reversed(text[:start].rstrip().split("\n")):
        if not is_row(line):
            break
        names = _cells(line)
    return ". ".join(_row(names, _cells(line)) for line in said.splitlines() if is_row(line))


def headed(hit: Hit, start: int, end: int) -> str:
    """A sentence of a hit below its title and headings: what it means where it stands."""
    place = " ".join(dict.fromkeys(part for part in (hit.document.title, *hit.chunk.headings) if part))
    said = in_words(hit.chunk.text, start, end)
    return f"{place}: {said}" if place else said


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def _row(names: list[str], cells: list[str]) -> str:
    if len(names) != len(cells):
        return ", ".join(cell for cell in cells if cell)
    return "; ".join(
        f"{name}: {cell}" if name else cell for name, cell in zip(names, cells, strict=True) if cell
    )
