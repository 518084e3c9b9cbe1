"""Words compared across sentences: folded, roughly stemmed, numbers in one form. Knows no documents.

Where a script has no spaces, pairs of letters stand for words; see `segments`.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from stretto.knowledge.segments import segmented

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['\u2019][^\W\d_]+)?", re.UNICODE)
_SPELT = dict(
    zip(
        re.findall(r"\S+", "zero one two three four five six seven eight nine ten eleven twelve"),
        map(str, range(13)),
        strict=True,
    )
) | {
    "fourteen": "14",
    "fifteen": "15",
    "twenty": "20",
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
}
_COMMON = frozenset(
    re.findall(
        r"\S+",
        "a about after again all also am an and any are as at be because been before being but by can "
        "could did do does doing down for from further get had has have having he her here hers him his "
        "how i if in into is it its just may me might more most must my no nor not now of off on once "
        "only or other our out over own per please same shall she should so some such than that the their "
        "them then there these they this those through to too under until up upon us very was we were "
        "what when where which while who whom why will with would you your yes sure okay happy help "
        "assist assistance glad know let need want like question answer ask thank sorry information "
        "provided context passage according based source document following ",
    )
)


def words(text: str) -> list[str]:
    """The words of a text in their common form; a number always begins with a digit."""
    return [_form(word) for word in _told(text)]


def content(text: str) -> set[str]:
    """The words that carry meaning: without the most common ones and single letters."""
    return {_form(word) for word in _told(text) if word not in _COMMON and (len(word) > 1 or word.isdigit())}


def _told(text: str) -> list[str]:
    return _WORD.findall(segmented(unicodedata.normalize("NFKC", text)).lower())


def numbers(terms: Iterable[str]) -> set[str]:
    """Those of `terms` that are numbers."""
    return {term for term in terms if term[0].isdigit()}


def rarity(sentences: Sequence[set[str]]) -> "Rarity":
    """How much a word tells, from how few of the sentences have it."""
    return Rarity(Counter(term for terms in sentences for term in terms), len(sentences))


class Rarity:
    """The weight of words among some sentences."""

    def __init__(self, counts: Counter[str], total: int) -> None:
        self._counts, self._total = counts, total

    def count(self, term: str) -> int:
        """How many of the sentences have the word."""
        return self._counts[term]

    def weight(self, terms: Iterable[str]) -> float:
        """The sum of the words' weights; words that stand nowhere weigh most."""
        return sum(math.log(1 + (self._total + 1) / (1 + self._counts[term])) for term in terms)


def _form(word: str) -> str:
    if word[0].isdigit():
        return _number(word)
    if word in _SPELT:
        return _SPELT[word]
    word = re.sub(r"['\u2019]s?$", "", word)
    for ending, least, put in (("ies", 5, "y"), ("ing", 6, ""), ("ed", 5, ""), ("es", 5, ""), ("s", 4, "")):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            word = word[: -len(ending)] + put
            break
    return word.removesuffix("e") if len(word) > 3 else word


def _number(word: str) -> str:
    """`1,000` and `1000` are one number, and so are `3.50` and `3,5`."""
    whole, mark, rest = word.replace(",", ".").rpartition(".")
    if not mark:
        return word.lstrip("0") or "0"
    if len(rest) == 3 and whole and not whole.startswith("0"):
        return whole.replace(".", "") + rest
    return f"{whole.replace('.', '').lstrip('0') or '0'}.{rest}".rstrip("0").rstrip(".")
