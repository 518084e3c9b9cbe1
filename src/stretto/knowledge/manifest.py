"""What a knowledge base holds: documents, chunks and what is still to be cleaned up, in one sqlite file.

A search shows only what stands here, so this is committed last, and deletions begin here. `pending` names the
ids that an index may hold although no chunk has them: written before an index is touched, cleared after.
Knows no index, no format and no embedding beyond the embedder's name.
"""

import json
import sqlite3
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from stretto._internal.private import private_file
from stretto.documents import Chunk, Document
from stretto.errors import KnowledgeError
from stretto.knowledge.loaders.protocol import Heading, PageSpan

SCHEMA = 2

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    id TEXT PRIMARY KEY, version TEXT NOT NULL, fingerprint TEXT NOT NULL, title TEXT NOT NULL,
    media_type TEXT NOT NULL, source TEXT NOT NULL, origin TEXT NOT NULL, metadata TEXT NOT NULL,
    pages TEXT NOT NULL, headings TEXT NOT NULL, text TEXT NOT NULL, access INTEGER NOT NULL DEFAULT 0);
CREATE INDEX documents_source ON documents (source);
CREATE INDEX documents_origin ON documents (origin);
CREATE TABLE chunks (
    id TEXT PRIMARY KEY, document TEXT NOT NULL REFERENCES documents (id), position INTEGER NOT NULL,
    start INTEGER NOT NULL, stop INTEGER NOT NULL, page INTEGER, headings TEXT NOT NULL,
    metadata TEXT NOT NULL, fingerprint TEXT NOT NULL, text TEXT NOT NULL, access INTEGER NOT NULL DEFAULT 0);
CREATE INDEX chunks_document ON chunks (document, position);
CREATE TABLE pending (id TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_ACCESS_TABLES = """
CREATE TABLE access_lists (id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE);
INSERT INTO access_lists VALUES (0, '[]');
CREATE INDEX chunks_access ON chunks (access);
"""
_FROM_1 = """
ALTER TABLE documents ADD COLUMN access INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chunks ADD COLUMN access INTEGER NOT NULL DEFAULT 0;
"""


class DocumentRow(msgspec.Struct, frozen=True):
    """What is kept of a document beside its text."""

    document: Document
    fingerprint: str
    """Changes when the document has to be read again."""
    origin: str = ""
    """The folder or glob that brought it; empty for a single source."""
    pages: tuple[PageSpan, ...] = ()
    headings: tuple[Heading, ...] = ()
    access: tuple[str, ...] = ()
    """Who may see it, sorted; empty: everyone who may see the base."""


class ChunkRow(msgspec.Struct, frozen=True):
    """A chunk and the hash of the text that the indexes saw."""

    chunk: Chunk
    fingerprint: str


class Manifest:
    """The file. One connection writes, another reads and never sees a transaction half done."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing, self._reading = threading.RLock(), threading.RLock()
        try:
            private_file(path)
            self._writer = self._connect()
            self._prepare()
            self._reader = self._connect()
        except (OSError, sqlite3.DatabaseError) as error:
            raise KnowledgeError(
                f"`{path}` cannot be opened: {error}; delete its folder and add again"
            ) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=30)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def _prepare(self) -> None:
        with self._transaction() as write:  # another process may be making them too
            version = write.execute("PRAGMA user_version").fetchone()[0]
            if version < SCHEMA:
                for statement in f"{_FROM_1 if version else _TABLES}{_ACCESS_TABLES}".split(";"):
                    write.execute(statement)
                write.execute(f"PRAGMA user_version={SCHEMA}")
        if version > SCHEMA:
            raise KnowledgeError(
                f"`{self._path}` has format {version} and this version of Stretto reads {SCHEMA}; "
                "delete its folder and add the documents again"
            )

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._reading:
            return self._reader.execute(query, values).fetchall()

    # what is read

    def state(self) -> int:
        """Another number after each write: what was read between two equal ones goes together."""
        return self._rows("PRAGMA data_version")[0][0]

    def embedder(self) -> tuple[str, int] | None:
        """Name and dimensions of the embedder that made the vectors, or None before the first."""
        found = dict(self._rows("SELECT key, value FROM meta"))
        return (found["embedder"], int(found["dimensions"])) if "embedder" in found else None

    def generation(self) -> int:
        """Which generation of the indexes belongs to the chunks."""
        rows = self._rows("SELECT value FROM meta WHERE key = 'generation'")
        return int(rows[0][0]) if rows else 0

    def sizes(self) -> dict[str, int]:
        """How long passages are made, where that was chosen; see `PassageSizes`."""
        rows = self._rows("SELECT value FROM meta WHERE key = 'sizes'")
        return json.loads(rows[0][0]) if rows else {}

    def whole(self, document: str) -> DocumentRow | None:
        """All that is kept of a document, with its text; None: there is no such document."""
        query = f"SELECT {_columns(True)}, fingerprint, origin, pages, headings FROM documents WHERE id = ?"
        rows = self._rows(query, document)
        if not rows:
            return None
        *_, fingerprint, origin, pages, headings = rows[0]
        return DocumentRow(
            _document(rows[0]),
            fingerprint,
            origin,
            msgspec.json.decode(pages, type=tuple[PageSpan, ...]),
            msgspec.json.decode(headings, type=tuple[Heading, ...]),
            self.access_of(document) or (),
        )

    def tenant(self) -> str | None:
        """Whose base this is, where that was noted."""
        rows = self._rows("SELECT value FROM meta WHERE key = 'tenant'")
        return rows[0][0] if rows else None

    def counts(self) -> tuple[int, int]:
        """How many documents and chunks there are."""
        return self._rows("SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM chunks)")[0]

    def document(self, key: str, *, text: bool = True) -> Document | None:
        """The document called `key`, or None; without its text when that is not asked for."""
        rows = self._rows(f"SELECT {_columns(text)} FROM documents WHERE id = ?", key)
        return _document(rows[0]) if rows else None

    def documents(
        self, keys: Iterable[str] | None = None, lists: Sequence[int] | None = None
    ) -> dict[str, Document]:
        """All documents, or those called `keys` and under access `lists`, by id, without their texts."""
        where, values = _only(("id", keys), ("access", lists))
        query = f"SELECT {_columns(False)} FROM documents WHERE {where} ORDER BY id"
        return {row[0]: _document(row) for row in self._rows(query, *values)}

    def known(self, key: str) -> tuple[str, str, str] | None:
        """Fingerprint, source and origin of the document called `key`, or None."""
        rows = self._rows("SELECT fingerprint, source, origin FROM documents WHERE id = ?", key)
        return tuple(rows[0]) if rows else None

    def id_of_source(self, source: str) -> str | None:
        """The id of the document that was read from `source`, or None."""
        rows = self._rows("SELECT id FROM documents WHERE source = ?", source)
        return rows[0][0] if rows else None

    def from_origin(self, origin: str) -> list[tuple[str, str]]:
        """Id and source of every document that a folder or glob brought."""
        return [tuple(row) for row in self._rows("SELECT id, source FROM documents WHERE origin = ?", origin)]

    def from_below(self, folder: str) -> list[tuple[str, str]]:
        """Id and source of every document from below a folder; of the project's own for an empty name."""
        query = "SELECT id, source FROM documents WHERE origin != '' OR source != ''"
        inside = f"{folder}/" if folder else ""
        rows = [tuple(row) for row in self._rows(query)]
        return [row for row in rows if row[1].startswith(inside) and "://" not in row[1]]

    def chunks_of(self, document: str) -> list[ChunkRow]:
        """The chunks of a document, in order."""
        query = f"SELECT {_CHUNK} FROM chunks WHERE document = ? ORDER BY position"
        return [_chunk(row) for row in self._rows(query, document)]

    def chunks(self, keys: Sequence[str]) -> dict[str, Chunk]:
        """Those of the chunks called `keys` that there are, by id."""
        query = f"SELECT {_CHUNK} FROM chunks WHERE id IN (SELECT value FROM json_each(?))"
        return {row[0]: _chunk(row).chunk for row in self._rows(query, json.dumps(list(keys)))}

    def present(self, keys: Sequence[str], lists: Sequence[int] | None = None) -> set[str]:
        """Which of `keys` are chunks; given access `lists`, only those that are under one of them."""
        query = "SELECT id FROM chunks WHERE id IN (SELECT value FROM json_each(?))"
        if lists is None:
            return {row[0] for row in self._rows(query, json.dumps(list(keys)))}
        query += " AND +access IN (SELECT value FROM json_each(?))"  # by id, not by the index on access
        return {row[0] for row in self._rows(query, json.dumps(list(keys)), json.dumps(list(lists)))}

    def access_lists(self) -> list[tuple[int, frozenset[str], int]]:
        """Every access list: its number, who is on it, and how many chunks are under it."""
        query = """SELECT id, names, (SELECT count(*) FROM chunks WHERE access = access_lists.id)
            FROM access_lists"""
        return [(row[0], frozenset(json.loads(row[1])), row[2]) for row in self._rows(query)]

    def fingerprints(
        self, documents: Iterable[str] | None = None, lists: Sequence[int] | None = None
    ) -> dict[str, str]:
        """The fingerprint of each chunk, of these documents and under these access lists, by id."""
        where, values = _only(("document", documents), ("access", lists))
        return dict(self._rows(f"SELECT id, fingerprint FROM chunks WHERE {where}", *values))

    def access_of(self, document: str) -> tuple[str, ...] | None:
        """Who may see the document; empty: everyone; None: there is no such document."""
        query = (
            "SELECT names FROM documents JOIN access_lists ON access_lists.id = access WHERE documents.id = ?"
        )
        rows = self._rows(query, document)
        return tuple(json.loads(rows[0][0])) if rows else None

    def all_chunks(self) -> Iterator[tuple[Chunk, str]]:
        """Every chunk with its document's title, in batches of documents, for building an index anew."""
        for key, document in self.documents().items():
            for row in self.chunks_of(key):
                yield row.chunk, document.title

    def leftovers(self) -> list[str]:
        """Ids that an index may hold although no chunk has them."""
        return [
            row[0] for row in self._rows("SELECT id FROM pending WHERE id NOT IN (SELECT id FROM chunks)")
        ]

    # what is written

    def set_embedder(self, name: str, dimensions: int) -> None:
        """Keeps which embedder makes the vectors."""
        with self._transaction() as write:
            rows = [("embedder", name), ("dimensions", str(dimensions))]
            write.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def set_tenant(self, name: str) -> None:
        """Notes whose base this is."""
        with self._transaction() as write:
            write.execute("INSERT OR REPLACE INTO meta VALUES ('tenant', ?)", (name,))

    def expect(self, ids: Iterable[str]) -> None:
        """Says that `ids` are about to be written to the indexes."""
        with self._transaction() as write:
            write.executemany("INSERT OR IGNORE INTO pending VALUES (?)", ((key,) for key in ids))

    def put(self, documents: Sequence[tuple[DocumentRow, Sequence[ChunkRow]]]) -> None:
        """Shows these documents with exactly these chunks, at once; earlier chunks become leftovers."""
        with self._transaction() as write:
            for row, chunks in documents:
                _forget_chunks(write, row.document.id)
                access = _list_number(write, row.access)
                write.execute(
                    f"INSERT OR REPLACE INTO documents VALUES ({','.join('?' * 12)})",
                    (*_document_values(row), access),
                )
                values = ((*_chunk_values(chunk, position), access) for position, chunk in enumerate(chunks))
                write.executemany(f"INSERT INTO chunks VALUES ({','.join('?' * 11)})", values)

    def set_access(self, document: str, names: Sequence[str]) -> None:
        """Keeps who may see a document and its chunks."""
        with self._transaction() as write:
            number = _list_number(write, names)
            write.execute("UPDATE documents SET access = ? WHERE id = ?", (number, document))
            write.execute("UPDATE chunks SET access = ? WHERE document = ?", (number, document))

    def set_source(self, document: str, source: str, origin: str) -> None:
        """Keeps where a document is now, and which folder or glob brings it."""
        with self._transaction() as write:
            values = (source, origin, document)
            write.execute("UPDATE documents SET source = ?, origin = ? WHERE id = ?", values)

    def remove(self, documents: Iterable[str]) -> None:
        """Hides documents at once; their chunks become leftovers."""
        with self._transaction() as write:
            for key in documents:
                _forget_chunks(write, key)
                write.execute("DELETE FROM documents WHERE id = ?", (key,))

    def begin_next(self) -> None:
        """Makes room for other chunks beside those that are shown."""
        with self._transaction() as write:
            write.execute("DROP TABLE IF EXISTS next_chunks")
            write.execute("CREATE TABLE next_chunks AS SELECT * FROM chunks WHERE 0")

    def put_next(self, rows: Iterable[tuple[int, ChunkRow]]) -> None:
        """Keeps `(position, chunk)` beside those that are shown."""
        values = ((*_chunk_values(row, position), 0) for position, row in rows)
        with self._transaction() as write:
            write.executemany(f"INSERT INTO next_chunks VALUES ({','.join('?' * 11)})", values)

    def show_next(self, meta: Mapping[str, str]) -> None:
        """Shows the other chunks instead, at once, and keeps what `meta` says of them."""
        with self._transaction() as write:
            write.execute(
                "UPDATE next_chunks SET access = (SELECT access FROM documents WHERE id = document)"
            )
            write.execute("DELETE FROM chunks")
            write.execute("INSERT INTO chunks SELECT * FROM next_chunks")
            write.execute("DROP TABLE next_chunks")
            write.execute("DELETE FROM pending")
            write.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta.items())

    def settled(self) -> None:
        """Says that the indexes hold no leftovers any more."""
        with self._transaction() as write:
            write.execute("DELETE FROM pending")

    def close(self) -> None:
        """Closes the file."""
        with self._writing, self._reading:
            self._reader.close()
            self._writer.close()


_CHUNK = "id, document, text, start, stop, page, headings, metadata, fingerprint"


_pages = msgspec.json.Decoder(tuple[PageSpan, ...]).decode
_headings = msgspec.json.Decoder(tuple[Heading, ...]).decode


def _only(*wanted: tuple[str, Iterable[Any] | None]) -> tuple[str, list[str]]:
    """The condition that each column has one of its values, where it is given some, and what it asks for."""
    given = [(column, json.dumps(list(values))) for column, values in wanted if values is not None]
    conditions = [f"{column} IN (SELECT value FROM json_each(?))" for column, _ in given]
    return " AND ".join(conditions) or "1", [values for _, values in given]


def _columns(text: bool) -> str:
    return f"id, {'text' if text else repr('')}, metadata, title, media_type, version, source"


def _document(row: Sequence[Any]) -> Document:
    return Document(row[0], row[1], json.loads(row[2]), row[3], row[4], row[5], row[6])


def _document_values(row: DocumentRow) -> tuple[Any, ...]:
    document = row.document
    return (
        document.id, document.version, row.fingerprint, document.title, document.media_type, document.source,
        row.origin, msgspec.json.encode(document.metadata).decode(), msgspec.json.encode(row.pages).decode(),
        msgspec.json.encode(row.headings).decode(), document.text,
    )  # fmt: skip


def _chunk(row: Sequence[Any]) -> ChunkRow:
    headings, metadata = tuple(json.loads(row[6])), json.loads(row[7])
    return ChunkRow(Chunk(row[0], row[1], row[2], row[3], row[4], row[5], headings, metadata), row[8])


def _chunk_values(row: ChunkRow, position: int) -> tuple[Any, ...]:
    chunk = row.chunk
    return (
        chunk.id, chunk.document, position, chunk.start, chunk.end, chunk.page, json.dumps(chunk.headings),
        msgspec.json.encode(chunk.metadata).decode(), row.fingerprint, chunk.text,
    )  # fmt: skip


def _forget_chunks(write: sqlite3.Connection, document: str) -> None:
    write.execute("INSERT OR IGNORE INTO pending SELECT id FROM chunks WHERE document = ?", (document,))
    write.execute("DELETE FROM chunks WHERE document = ?", (document,))


def _list_number(write: sqlite3.Connection, names: Sequence[str]) -> int:
    text = json.dumps(sorted(set(names)))
    write.execute("INSERT OR IGNORE INTO access_lists (names) VALUES (?)", (text,))
    return write.execute("SELECT id FROM access_lists WHERE names = ?", (text,)).fetchone()[0]
