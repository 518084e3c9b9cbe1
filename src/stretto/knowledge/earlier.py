"""Passages that are not there any more, kept so that a citation of an old answer can still be opened.

A passage comes here before an ingest replaces or drops it, and stays until it is pruned or its document is
removed by hand. It is never searched. One small sqlite file, opened for each call: this is rarely needed.
"""

import json
import sqlite3
import time
from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from stretto._internal.private import private_file
from stretto.documents import Chunk, Document
from stretto.errors import KnowledgeError
from stretto.knowledge.manifest import Manifest
from stretto.results import Citation

_TABLE = """
CREATE TABLE IF NOT EXISTS passages (
    id TEXT NOT NULL, version TEXT NOT NULL, document TEXT NOT NULL, kept REAL NOT NULL,
    chunk TEXT NOT NULL, source TEXT NOT NULL, access TEXT NOT NULL, PRIMARY KEY (id, version)) WITHOUT ROWID
"""
_chunk = msgspec.json.Decoder(Chunk).decode
_document = msgspec.json.Decoder(Document).decode


class Earlier:
    """The file `earlier.sqlite` of a knowledge folder; it is made when the first passage is kept."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "earlier.sqlite"

    @contextmanager
    def _opened(self) -> Generator[sqlite3.Connection]:
        try:
            private_file(self._path)
            with closing(sqlite3.connect(self._path, timeout=30)) as connection, connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(_TABLE)
                yield connection
        except (OSError, sqlite3.DatabaseError) as error:
            raise KnowledgeError(f"`{self._path}` cannot be used: {error}") from error

    def keep(self, manifest: Manifest, replaced: Iterable[tuple[str, Sequence[str]]]) -> None:
        """Keeps what is about to go: for each document the passages that are not among the ids that stay."""
        rows, now = list[tuple[Any, ...]](), time.time()
        for key, stay in replaced:
            document = manifest.document(key, text=False)
            if document is None:
                continue
            source = msgspec.json.encode(document).decode()
            access = json.dumps(manifest.access_of(key) or ())
            staying = set(stay)
            rows += [
                (
                    chunk.id,
                    chunk.version or document.version,
                    key,
                    now,
                    _encoded(chunk),
                    source,
                    access,
                )
                for chunk in (row.chunk for row in manifest.chunks_of(key))
                if chunk.id not in staying
            ]
        if rows:
            with self._opened() as write:
                write.executemany("INSERT OR REPLACE INTO passages VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def find(self, document: str, chunk: str, version: str) -> tuple[Document, Chunk, frozenset[str]] | None:
        """The passage as it was in that version, the latest kept one where no version is named.

        The third of what it returns is who could see it then; empty: everyone.
        """
        if not self._path.exists():
            return None
        query = "SELECT source, chunk, access FROM passages WHERE id = ? AND document = ?"
        query += " AND version = ?" if version else " AND ? = '' ORDER BY kept DESC"
        with self._opened() as read:
            row = read.execute(query, (chunk, document, version)).fetchone()
        return (_document(row[0]), _chunk(row[1]), frozenset(json.loads(row[2]))) if row else None

    def prune(self, before: float) -> int:
        """Forgets what was kept before that time (seconds since 1970); returns how many passages."""
        if not self._path.exists():
            return 0
        with self._opened() as write:
            return write.execute("DELETE FROM passages WHERE kept < ?", (before,)).rowcount

    def forget(self, documents: Sequence[str]) -> None:
        """Forgets these documents: who removes one wants it gone."""
        if self._path.exists():
            with self._opened() as write:
                query = "DELETE FROM passages WHERE document IN (SELECT value FROM json_each(?))"
                write.execute("PRAGMA secure_delete=ON")
                write.execute(query, (json.dumps(list(documents)),))


def cited_passage(
    manifest: Manifest, earlier: Earlier, citation: Citation, groups: Collection[str]
) -> tuple[Document, Chunk] | None:
    """What a citation points at, for a reader in `groups`: the passage as it is now, else as it was.

    A passage that is there says the same, whatever its version: its id is a hash of its text. Who may see a
    document now decides; where it is gone, who could see the passage last.
    """
    seen_by = manifest.access_of(citation.document)
    if seen_by and not set(seen_by) & set(groups):
        return None
    chunk = manifest.chunks([citation.chunk]).get(citation.chunk)
    document = manifest.document(citation.document, text=False)
    if chunk is None or document is None or chunk.document != document.id:
        found = earlier.find(citation.document, citation.chunk, citation.version)
        if found is None or (seen_by is None and found[2] and not found[2] & set(groups)):
            return None
        return found[:2]
    return document, chunk


def _encoded(chunk: Chunk) -> str:
    return msgspec.json.encode(chunk).decode()
