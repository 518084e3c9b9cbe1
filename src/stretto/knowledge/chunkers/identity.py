"""What a chunk is called, and the text it is found by. A passage keeps its name when text around it moves."""

import hashlib
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Any

from stretto.documents import Chunk
from stretto.knowledge.chunkers.passages import Passage, PassageSizes, find_passages
from stretto.knowledge.chunkers.places import Places
from stretto.knowledge.loaders.protocol import Loaded

RECIPE = "2"
"""Changes when loaders or chunkers change so much that stored documents should be read again."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chunk, the text that both indexes see, and a hash of that text."""

    chunk: Chunk
    indexed: str
    fingerprint: str


def normalised(text: str) -> str:
    """The text with one form of each character and single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def chunk_id(document: str, text: str, before: int) -> str:
    """The id of the passage `text` of `document` that has `before` equal ones before it."""
    key = f"{document}\x00{normalised(text)}\x00{before}"
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def indexed_text(title: str, headings: tuple[str, ...], text: str) -> str:
    """What is embedded and searched: title and heading path above the passage."""
    path = [heading for heading in headings if heading != title]
    return "\n".join(part for part in (title, " > ".join(path), text) if part)


def prepare(
    document: str, loaded: Loaded, sizes: PassageSizes | None = None, *, version: str = "", taint: str = ""
) -> list[Prepared]:
    """The chunks of a document, in order, each with its id.

    Args:
        document: The document's id.
        loaded: Its text, and where things stand in it.
        sizes: How long chunks are.
        version: sha256 of the content that the text came from.
        taint: The door that the text came in by; see `Chunk.taint`.
    """
    told = {key: value for key, value in (("version", version), ("taint", taint)) if value}
    places = Places(loaded)
    seen: Counter[str] = Counter()
    prepared: list[Prepared] = []
    for passage in find_passages(loaded, sizes):
        text = passage.head + loaded.text[passage.start : passage.end]
        key = normalised(text)
        chunk = Chunk(
            id=chunk_id(document, text, seen[key]),
            document=document,
            text=text,
            start=passage.start,
            end=passage.end,
            page=passage.page,
            headings=passage.headings,
            metadata=_noted(passage) | places.of(passage) | told,
        )
        seen[key] += 1
        indexed = indexed_text(loaded.title, passage.headings, text)
        prepared.append(
            Prepared(chunk, indexed, hashlib.sha256(indexed.encode("utf-8", "replace")).hexdigest()[:16])
        )
    return prepared


def _noted(passage: Passage) -> dict[str, Any]:
    """`repeated`: how many characters at the head of the chunk's text stand elsewhere (a table's header)."""
    return {"repeated": len(passage.head)} if passage.head else {}
