"""Checks a citation against what was retrieved: nothing is believed because a model wrote it. Asks no model.

Four checks, and a fifth where a function for it is given: the passage was retrieved in this turn; the quote
stands in it, word for word; the numbers and the names of the claim stand there or in the question; the quote
entails the claim. All that fail are told.
"""

import re
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from stretto._internal.plain import Plain
from stretto.documents import Chunk, Hit
from stretto.knowledge.words import content, numbers
from stretto.results import Citation

Fault = Literal["unknown_source", "altered_quote", "missing_number", "missing_name", "not_entailed"]
"""unknown_source: no such passage was retrieved; altered_quote: the passage does not say it so;
missing_number, missing_name: the claim has one that stands neither there nor in the question; not_entailed:
the function that was given says that the quote does not support the claim."""

Entails = Callable[[str, str], Awaitable[bool]]
"""Takes the source's words and the claim; says whether the claim follows."""

_SAME = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u0060\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff"),
    }
)
_NAME = re.compile(r"[^\W\d_][\w'\u2019-]*")
_MARK = re.compile(r"\[\d{1,4}(?:\s*,\s*\d{1,4})*\]")
_GERMAN = re.compile(
    r"\b(?:der|die|das|und|ist|eine?|nicht|mit|von|zu|de[nms]|im|für|auf|wird|werden)\b", re.IGNORECASE
)
"""Words of the one language that writes all its nouns large."""


class Checked(Plain, frozen=True):
    """A citation and what is wrong with it: nothing, where `holds`."""

    citation: Citation
    faults: tuple[Fault, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every check was passed."""
        return not self.faults


async def check_citation(
    citation: Citation,
    hits: Sequence[Hit],
    *,
    answer: str = "",
    question: str = "",
    entails: Entails | None = None,
) -> Checked:
    """A citation, checked against the passages of this turn.

    Args:
        citation: Whoever made it.
        hits: What was retrieved in this turn, with what stands `around` each.
        answer: The text that `citation.span` is a part of; without it there is no claim to check.
        question: What stands in it needs no source.
        entails: A model of yours that compares meanings.
    """
    found = _passage(citation, hits)
    if found is None:
        return Checked(citation, ("unknown_source",))
    hit, chunk = found
    if not stands(citation, chunk):
        return Checked(citation, ("altered_quote",))
    claim = _MARK.sub(" ", answer[slice(*citation.span)])
    if not claim.strip():
        return Checked(citation)
    faults: list[Fault] = []
    near = "\n".join((hit.document.title, *chunk.headings, chunk.text, question))
    if not numbers(content(claim)) <= content(near):
        faults.append("missing_number")
    if not names(claim, near) <= content(near):
        faults.append("missing_name")
    if not faults and entails is not None and not await entails(citation.quote, claim):
        faults.append("not_entailed")
    return Checked(citation, tuple(faults))


def verbatim(quote: str, text: str) -> bool:
    """Whether `text` says `quote`, whatever the white space, the kind of quotation marks and of dashes."""
    wanted = plain(quote)
    return any(map(str.isalnum, wanted)) and wanted in plain(text)


def plain(text: str) -> str:
    """The text with one form of each character, mark and space."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(_SAME).split())


def names(claim: str, source: str) -> set[str]:
    """The words of a claim, in their common form, that are written large inside a sentence.

    None in German, where that says nothing.
    """
    if len({word.lower() for word in _GERMAN.findall(source)}) > 1:
        return set()
    found: set[str] = set()
    for word in _NAME.finditer(claim):
        before = claim[: word.start()].rstrip(" \t\"'([*_\u201c\u2018")
        begins = not before or before[-1] in ".!?:;\n\u2026|-"
        if word.group()[0].isupper() and not begins:
            found |= content(word.group())
    return found


def _passage(citation: Citation, hits: Sequence[Hit]) -> tuple[Hit, Chunk] | None:
    for hit in hits:
        if hit.document.id != citation.document:
            continue
        for chunk in (hit.chunk, *hit.around):
            version = chunk.version or hit.document.version
            if chunk.id == citation.chunk and citation.version in ("", version):
                return hit, chunk
    return None


def stands(citation: Citation, chunk: Chunk) -> bool:
    """Whether the quote stands in the passage, and at its offsets where it has some of the same version."""
    if not verbatim(citation.quote, chunk.text):
        return False
    moved = chunk.version and citation.version and chunk.version != citation.version
    if moved or citation.end <= citation.start:
        return True
    shift = chunk.start - int(chunk.metadata.get("repeated", 0))
    there = chunk.text[max(0, citation.start - shift) : max(0, citation.end - shift)]
    return plain(there) == plain(citation.quote)
