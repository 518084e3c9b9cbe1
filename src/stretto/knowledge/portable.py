"""A knowledge base as one file, and back: a zip of JSON lines and plain numbers; nothing in it is run.

`base.json` says what it is, `documents.jsonl` holds each document with its passages, `vectors.f32` the
passages' vectors in the same order (little-endian, 4 bytes a number). So a base is moved to another machine
without embedding anything again. A file from elsewhere is believed in nothing that can be checked.
"""

import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from stretto.documents import Chunk
from stretto.errors import EmbedderMismatch, KnowledgeError
from stretto.knowledge.chunkers.identity import indexed_text
from stretto.knowledge.manifest import ChunkRow, DocumentRow
from stretto.knowledge.opened import Opened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = 1
_BATCH = 200  # documents that are read and written together
_LINE = 1 << 28  # bytes of a document at most
_DATE = (1980, 1, 1, 0, 0, 0)  # so that equal bases give equal files


class Head(msgspec.Struct, forbid_unknown_fields=True):
    """What a file holds."""

    format: int
    embedder: str
    dimensions: int
    documents: int
    chunks: int


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """A line: a document with its passages."""

    row: DocumentRow
    chunks: list[ChunkRow]


def write_base(opened: Opened, path: Path) -> Head:
    """Writes everything that `opened` shows to `path`; an existing file is replaced only when all is written.

    Raises:
        KnowledgeError: The base is empty, or the file cannot be written.
    """
    name, dimensions = opened.manifest.embedder() or ("", 0)
    ids = list(opened.manifest.documents())
    if not ids:
        raise KnowledgeError("there is nothing in this knowledge base to export")
    head = Head(FORMAT, name, dimensions, len(ids), 0)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as file:
            with file.open(_named("documents.jsonl"), "w", force_zip64=True) as lines:
                for key in ids:
                    head.chunks += _write_document(opened, key, lines)
            with file.open(_named("vectors.f32"), "w", force_zip64=True) as numbers:
                for key in ids:
                    _write_vectors(opened, key, dimensions, numbers)
            file.writestr(_named("base.json"), msgspec.json.encode(head))
        unfinished.replace(path)
    except OSError as error:
        raise KnowledgeError(f"`{path}` cannot be written: {error.strerror or error}") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return head


def read_base(opened: Opened, path: Path, embedder: str) -> Head:
    """Takes in everything of a file; documents of the same id are replaced, others stay.

    Args:
        opened: Where it goes; the caller is its one writer.
        path: The file.
        embedder: The name of the embedder that this base is used with.

    Raises:
        KnowledgeError: It is no such file, or damaged. What was read before the damage is in.
        EmbedderMismatch: Its vectors are another embedder's.
    """
    with _reading(path) as file:
        head = msgspec.json.decode(file.read("base.json"), type=Head)
        if head.format != FORMAT:
            raise KnowledgeError(f"`{path}` has format {head.format}; this version reads {FORMAT}")
        mine = opened.manifest.embedder() or (embedder, head.dimensions)
        if (head.embedder, head.dimensions) != mine:
            raise EmbedderMismatch(
                f"`{path}` was made with `{head.embedder}` ({head.dimensions} dimensions), "
                f"not `{mine[0]}` ({mine[1]})"
            )
        if opened.manifest.embedder() is None:
            opened.manifest.set_embedder(head.embedder, head.dimensions)
        with file.open("documents.jsonl") as lines, file.open("vectors.f32") as numbers:
            for batch in _batches(lines):
                count = sum(len(entry.chunks) for entry in batch)
                _take(opened, batch, _vectors(numbers, count, head.dimensions))
    return head


@contextmanager
def _reading(path: Path) -> Generator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as file:
            yield file
    except OSError as error:
        raise KnowledgeError(f"`{path}` cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, msgspec.MsgspecError, NotImplementedError):
        raise KnowledgeError(f"`{path}` is no exported knowledge base, or it is damaged") from None


def _named(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info


def _write_document(opened: Opened, key: str, lines: IO[bytes]) -> int:
    row = opened.manifest.whole(key)
    if row is None:
        raise KnowledgeError(f"`{key}` was removed while the base was exported; export it again")
    chunks = opened.manifest.chunks_of(key)
    lines.write(msgspec.json.encode(_Entry(row, chunks)) + b"\n")
    return len(chunks)


def _write_vectors(opened: Opened, key: str, dimensions: int, numbers: IO[bytes]) -> None:
    ids = [row.chunk.id for row in opened.manifest.chunks_of(key)]
    found = opened.vectors.vectors(ids)
    for chunk in ids:
        vector = found.get(chunk)
        if vector is None or len(vector) != dimensions:
            raise KnowledgeError(f"`{key}` has no vector for a passage; add its source again, then export")
        numbers.write(vector.astype("<f4").tobytes())


def _batches(lines: IO[bytes]) -> Iterator[list[_Entry]]:
    batch: list[_Entry] = []
    decode = msgspec.json.Decoder(_Entry).decode
    while line := lines.readline(_LINE + 1):
        if len(line) > _LINE:
            raise ValueError("a line is too long")
        batch.append(decode(line))
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _vectors(numbers: IO[bytes], count: int, dimensions: int) -> "NDArray[np.float32]":
    import numpy as np  # noqa: PLC0415 (loads with the first import of a base)

    raw = numbers.read(4 * count * dimensions)
    if dimensions < 1 or len(raw) != 4 * count * dimensions:
        raise EOFError
    found = np.frombuffer(raw, dtype="<f4").reshape(count, dimensions).astype(np.float32)
    if not np.isfinite(found).all():
        raise ValueError("a vector is not finite")
    return found


def _take(opened: Opened, batch: list[_Entry], vectors: "NDArray[np.float32]") -> None:
    """As an ingest does it: name what comes, write the indexes, then show it."""
    rows: list[tuple[str, str]] = []
    for entry in batch:
        title = entry.row.document.title
        for one in entry.chunks:
            _check(one.chunk, entry.row.document.id)
            rows.append((one.chunk.id, indexed_text(title, one.chunk.headings, one.chunk.text)))
    ids = [key for key, _ in rows]
    if len(set(ids)) < len(ids):
        raise ValueError("two passages have one id")
    opened.manifest.expect(ids)
    if ids:
        opened.vectors.upsert(ids, vectors)
        opened.keywords.upsert(rows)
        opened.keywords.commit()
    opened.manifest.put([(entry.row, entry.chunks) for entry in batch])


def _check(chunk: Chunk, document: str) -> None:
    good = len(chunk.id) == 32 and set(chunk.id) <= set("0123456789abcdef")
    if not good or not document or chunk.document != document:
        raise ValueError("a passage without its document")


def told(head: Head) -> dict[str, Any]:
    """For JSON and for people."""
    return {name: getattr(head, name) for name in ("embedder", "dimensions", "documents", "chunks")}
