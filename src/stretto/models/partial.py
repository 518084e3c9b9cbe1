"""JSON in a text: found among other words once it is whole, and read while it is still coming in.

Knows no schema and no model.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import jiter
import msgspec

_TRIES = 64
"""Places in one text where a value may begin: the cost stays linear in the text."""

_PAIRS = {"{": "}", "[": "]"}
_TOKEN = re.compile(r'[{}\[\]]|"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def json_in(text: str, opening: str = "{[") -> str:
    """The JSON object or array that `text` holds: all of it, in a fence, or among other words.

    Args:
        text: What a model said.
        opening: The characters that it may begin with.

    Returns:
        The last that can be read, since a model that thinks aloud says its answer last; `text` itself where
        there is none.
    """
    whole = text.strip()
    if whole[:1] in _PAIRS and _reads(whole):
        return whole
    found = ""
    for candidate in _candidates(whole, opening):
        if _reads(candidate):
            found = candidate
    return found or whole


def _reads(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _candidates(text: str, opening: str) -> Iterator[str]:
    """What stands between brackets that match, the outermost, in order."""
    at = 0
    for _ in range(_TRIES):
        at = min((place for mark in opening if (place := text.find(mark, at)) >= 0), default=-1)
        if at < 0:
            return
        end = _end_of(text, at)
        if end:
            yield text[at:end]
        at = end or at + 1


def _end_of(text: str, start: int) -> int:
    """Behind the bracket that closes the one at `start`; 0 where none does."""
    depth: list[str] = []
    for token in _TOKEN.finditer(text, start):
        mark = token.group()
        if mark in _PAIRS:
            depth.append(_PAIRS[mark])
        elif mark in ("}", "]"):
            if depth.pop() != mark:
                return 0
            if not depth:
                return token.end()
    return 0


class PartialJson:
    """A JSON value while its text comes in.

    It is read again only once the text has grown by a sixteenth, or when `every` seconds have passed: all
    readings together cost what seventeen of the whole would, however small the pieces are, or one reading
    in each interval.

    Args:
        opening: The characters that the value may begin with.
        every: Seconds.
        clock: Gives seconds.
    """

    def __init__(
        self, opening: str = "{[", *, every: float = 0.05, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._opening, self._every, self._clock = opening, every, clock
        self.value: Any = None
        """The value as it was last read."""
        self._parts: list[str] = []
        self._length = 0
        self._start = -1
        self._next = 0
        self._read_at = clock()

    def add(self, text: str) -> bool:
        """Takes in more text; whether `value` is another one now."""
        self._parts.append(text)
        self._length += len(text)
        if self._length < self._next and self._clock() - self._read_at < self._every:
            return False
        return self._read()

    def retract(self, length: int) -> bool:
        """Takes back the last `length` code points; whether `value` is another one now."""
        text = "".join(self._parts)[: self._length - length]
        self._parts, self._length = [text], len(text)
        if self._start >= self._length:
            self._start = -1
        before, self.value = self.value, None
        self._read()
        return self.value != before

    def _read(self) -> bool:
        self._next = self._length + self._length // 16 + 1
        self._read_at = self._clock()
        text = "".join(self._parts)
        self._parts = [text]
        if self._start < 0:
            self._start = self._beginning(text)
        if self._start < 0:
            return False
        try:
            value = jiter.from_json(text[self._start :].encode(), partial_mode="trailing-strings")
        except ValueError:
            return False
        if value == self.value:
            return False
        self.value = value
        return True

    def _beginning(self, text: str) -> int:
        """Where the value begins: at once, in a fence, or behind other words and thoughts; -1 if not yet."""
        if text.lstrip().startswith("<think>") and "</think>" not in text:
            return -1
        after = text.rfind("</think>") + 1
        places = [place for mark in self._opening if (place := text.find(mark, after)) >= 0]
        return min(places, default=-1)
