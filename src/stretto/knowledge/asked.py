"""What a base does to a question before it is searched: its checks, its vector, how far it can be read.

Knows no index. Vectors of the latest questions are remembered: asking again embeds nothing.
"""

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from stretto.errors import ConfigError
from stretto.models.protocol import Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REMEMBERED = 512
"""Questions whose vectors are kept: under 1 MB at 384 dimensions."""
_WORD = re.compile(r"[^\W\d_]+")


class QueryVectors:
    """An embedder's vectors of the latest questions, the least recently asked dropped first."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], NDArray[np.float32]] = OrderedDict()

    async def of(self, embedder: Embedder, query: str) -> "NDArray[np.float32]":
        """The vector of `query`."""
        key = (embedder.name, query)
        found = self._known.get(key)
        if found is None:
            found = (await embedder.embed([query]))[0]
            self._known[key] = found
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return found


def check_query(query: Any) -> None:
    """Raises ConfigError for what is no text."""
    if not isinstance(query, str):
        raise ConfigError(f"`query` is a {type(query).__name__}; give text")
    if any("\ud800" <= letter <= "\udfff" for letter in query):
        raise ConfigError("`query` holds half a character (a lone surrogate); decode the text as UTF-8 first")


def unread(embedder: Embedder, query: str) -> float | None:
    """The share of the query's words that an embedder for English cannot know; None for one of all languages.

    An embedder says what it reads by `languages`, such as `("en",)`; one that says nothing reads all.
    """
    if tuple(getattr(embedder, "languages", ())) != ("en",):
        return None
    words: list[str] = _WORD.findall(query)
    return sum(not word.isascii() for word in words) / len(words) if words else 0.0
