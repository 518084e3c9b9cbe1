"""What every loader gives back: text, and where its headings, pages and regions are. Knows no format."""

from collections.abc import Callable
from contextvars import ContextVar
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
    """The part of the text that stands on page, slide or sheet `number`, from 1."""

    start: int
    end: int
    number: int
    name: str = ""
    """A sheet's name."""


@dataclass(frozen=True, slots=True)
class Region:
    """Where on its page the text from `start` to `end` stands."""

    start: int
    end: int
    box: tuple[float, float, float, float]
    """Left, top, right, bottom as shares of the page's width and height; the origin is at the top left."""


@dataclass(frozen=True)
class Loaded:
    """A document as text. Offsets are in code points; lines end with a line feed."""

    text: str
    title: str
    media_type: str
    headings: tuple[Heading, ...] = ()
    pages: tuple[PageSpan, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    regions: tuple[Region, ...] = ()
    """In the order of the text."""
    warnings: tuple[str, ...] = ()
    """What was lost or left out of it, a sentence each."""


more_time: ContextVar[Callable[[], None]] = ContextVar("more_time", default=lambda: None)
"""Called by a loader before each page that takes as long as a document: a time limit begins anew there."""

Loader = Callable[[bytes, str, IngestLimits], Loaded]
"""Reads `(data, name, limits)`; CPU-bound, called off the event loop. Raises MediaError."""
