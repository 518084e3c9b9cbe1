"""What every loader gives back: text, and where its headings and pages are. Knows no format."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stretto.knowledge.limits import IngestLimits


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading's line in the text, from `start` to `end`; `level` is 1 for the outermost."""

    start: int
    end: int
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class PageSpan:
    """The part of the text that stands on page `number`, from 1."""

    start: int
    end: int
    number: int


@dataclass(frozen=True)
class Loaded:
    """A document as text. Offsets are in code points; lines end with a line feed."""

    text: str
    title: str
    media_type: str
    headings: tuple[Heading, ...] = ()
    pages: tuple[PageSpan, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])


Loader = Callable[[bytes, str, IngestLimits], Loaded]
"""Reads `(data, name, limits)`; CPU-bound, called off the event loop. Raises MediaError."""
