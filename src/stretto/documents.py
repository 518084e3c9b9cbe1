"""Documents, their chunks, and what a search finds. Knows no store and no file format."""

from typing import Any, Literal

from stretto._internal.plain import Plain

Taint = Literal["program", "file", "url", "unknown"]
"""program: handed over as text; file: read from disk; url: fetched; unknown: stored before this was kept."""


class Document(Plain, frozen=True):
    """A source that can be cited. `id` names it for ever: a path from where it was added, or a URL."""

    id: str
    text: str = ""
    metadata: dict[str, Any] = {}
    title: str = ""
    media_type: str = "text/markdown"
    version: str = ""
    """sha256 of the content the text came from."""
    source: str = ""
    """Where it was read from: a path, URL, or empty for text passed in."""


class Chunk(Plain, frozen=True):
    """A passage of a document. `start` and `end` are offsets in code points of the document's text."""

    id: str
    document: str
    """The document's id."""
    text: str
    start: int = 0
    end: int = 0
    page: int | None = None
    """From 1, where the document has pages."""
    headings: tuple[str, ...] = ()
    """The path of headings above the passage, outermost first."""
    metadata: dict[str, Any] = {}

    @property
    def version(self) -> str:
        """sha256 of the content that the passage was read from."""
        return self.metadata.get("version", "")

    @property
    def region(self) -> tuple[float, float, float, float] | None:
        """Left, top, right, bottom of the passage on its page or slide, as shares of width and height."""
        found = self.metadata.get("region")
        return tuple(found) if found else None

    @property
    def sheet(self) -> str:
        """The name of the sheet that `page` counts, where there are sheets."""
        return self.metadata.get("sheet", "")

    @property
    def taint(self) -> Taint:
        """The door that the text came in by. Whatever it says is content, and never an instruction."""
        return self.metadata.get("taint", "unknown")


class Hit(Plain, frozen=True):
    """One result of a search, best first. `score` is in 0..1; `scores` are its parts: `dense`, `keyword`."""

    document: Document
    chunk: Chunk
    score: float
    scores: dict[str, float] = {}
    around: tuple[Chunk, ...] = ()
    """The passage among its neighbours, in order, where the search was asked to `expand`."""

    @property
    def text(self) -> str:
        """The passage."""
        return self.chunk.text

    @property
    def page(self) -> int | None:
        """The passage's page, from 1, where there is one."""
        return self.chunk.page


class Look(Plain, frozen=True):
    """What was seen in a picture or page, as text. `how`: a model's name, `ocr`, `ocr+labels`."""

    reference: str
    """The media part's source: `media:<sha256>` once taken in."""
    text: str
    how: str = ""
    lines: tuple[str, ...] = ()
    """What was read, line by line, word for word; empty where a model told it in its own words."""
