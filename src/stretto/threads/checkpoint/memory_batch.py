"""`Batch`: operations of langgraph's Store as one transaction, and its rows as items. Waits for nothing."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from langgraph.store.base import (
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    SearchItem,
    SearchOp,
    get_text_at_path,
    tokenize_path,
    validate_op_namespace,
)

from stretto._internal.faults import reach
from stretto._internal.namespaces import namespace_of, text_of
from stretto.errors import ConfigError
from stretto.threads import remembered
from stretto.threads.checkpoint.matching import is_within, matches
from stretto.threads.database import Connection, Work
from stretto.threads.remembered import Content, Row, Sealing, Vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

Read = list[Any]
"""What a transaction read for each operation: a row or None, rows, texts of namespaces."""
_MINUTE = 60.0


class Known(NamedTuple):
    """What an embedder has made of texts; empty where there is none."""

    embedder: str = ""
    vectors: "Mapping[str, NDArray[Any]]" = {}

    def of(self, texts: Iterable[str]) -> Vectors:
        """The vectors of these texts, as a row keeps them."""
        texts = list(texts)
        if not all(each in self.vectors for each in texts):
            return Vectors()
        return Vectors(self.embedder, b"".join(self.vectors[each].astype("<f4").tobytes() for each in texts))


class Batch:
    """One batch.

    Args:
        ops: Its operations.
        sealing: Packs rows.
        fields: Which fields are indexed where a put names none.
    """

    def __init__(self, ops: Iterable[Op], sealing: Sealing, fields: Sequence[str]) -> None:
        self._ops, self._sealing, self._fields = list(ops), sealing, fields
        self._now = time.time()
        self._puts: dict[tuple[str, str], tuple[PutOp, list[str]]] = {}
        self._indexed: dict[Row, Vectors] = {}
        self._unsealed: dict[tuple[str, str], Vectors] = {}
        for op in self._ops:
            _check(op)
            if isinstance(op, PutOp):
                texts = [] if op.value is None else self._texts_of(op.value, op.index)
                self._puts[text_of(op.namespace), op.key] = op, texts  # the last of the same name counts

    @property
    def queries(self) -> list[str]:
        """What is asked, each once."""
        return list(dict.fromkeys(op.query for op in self._ops if isinstance(op, SearchOp) and op.query))

    @property
    def texts(self) -> list[str]:
        """What is to be found by its meaning, each once."""
        return list(dict.fromkeys(text for _, texts in self._puts.values() for text in texts))

    @property
    def writes(self) -> bool:
        """Whether it writes."""
        return bool(self._puts)

    @property
    def key(self) -> str:
        """Writers of one namespace come one after the other."""
        spaces = {space for space, _ in self._puts}
        return f"memories/{spaces.pop()}" if len(spaces) == 1 else ""

    def work(self, known: Known) -> Work[Read]:
        """Reads everything, then writes everything."""
        rows = [
            (place, None if op.value is None else self._row(place, op, known.of(texts)))
            for place, (op, texts) in self._puts.items()
        ]

        def work(connection: Connection) -> Read:
            read = [self._read(connection, op, known) for op in self._ops]
            if rows:
                reach("memory.put.before")
                remembered.drop(connection, [place for place, row in rows if row is None])
                for _, row in rows:
                    if row is not None:
                        remembered.put(connection, row)
                reach("memory.put.after")
            return read

        return work

    def stale(self, read: Read, known: Known) -> dict[Row, list[str]]:
        """The rows that a search compares and whose vectors are not of this embedder, with their texts."""
        if not known.embedder:
            return {}
        searched = [rows for op, rows in zip(self._ops, read, strict=True) if _by_meaning(op, known)]
        found: dict[Row, list[str]] = {}
        for row in dict.fromkeys(row for rows in searched for row in rows):
            if self._vectors(row).embedder != known.embedder:
                content = self._sealing.content(row)
                if texts := self._texts_of(content.value, content.paths):
                    found[row] = texts
        return found

    def index(self, stale: Mapping[Row, Sequence[str]], known: Known) -> None:
        """Gives rows the vectors of their texts; `results` says what is to be kept of it."""
        self._indexed = {row: known.of(texts) for row, texts in stale.items()}

    def results(self, read: Read, known: Known) -> tuple[list[Any], list[tuple[str, Sequence[Any]]]]:
        """What the operations give, and statements that are to follow: new vectors, and times of reading."""
        results: list[Any] = []
        refreshed: dict[Row, None] = {}
        for op, found in zip(self._ops, read, strict=True):
            if isinstance(op, ListNamespacesOp):
                results.append(_listed(op, found))
                continue
            rows: list[tuple[Row, float | None]] = []
            if isinstance(op, SearchOp):
                rows = self._found(op, found, known)
                results.append([self._search_item(row, score) for row, score in rows])
            elif isinstance(op, GetOp) and found is not None:
                rows = [(found, None)]
                results.append(self._item(found))
            else:
                results.append(None)
            if isinstance(op, GetOp | SearchOp) and op.refresh_ttl:
                refreshed.update(dict.fromkeys(row for row, _ in rows if row.ttl))
        later: list[tuple[str, Sequence[Any]]] = [
            (remembered.REFRESH, (self._now + row.ttl, row.namespace, row.name)) for row in refreshed
        ]
        for row, vectors in self._indexed.items():
            packed = self._sealing.packed_vectors(row.namespace, row.name, vectors)
            later.append((remembered.EMBED, (packed, row.namespace, row.name, row.updated)))
        return results, later

    def _texts_of(self, value: Mapping[str, Any], paths: Any) -> list[str]:
        """The texts of a value that are embedded."""
        if paths is False:
            return []
        found: list[str] = []
        for path in self._fields if paths is None else cast("Sequence[str]", paths):
            if path == "$":
                found.append(json.dumps(value, sort_keys=True, ensure_ascii=False, default=str))
            else:
                found += get_text_at_path(value, tokenize_path(path))
        return [text for text in found if text.strip()]

    def _row(self, place: tuple[str, str], op: PutOp, vectors: Vectors) -> Row:
        content = Content(dict(op.value or {}), op.index)
        ttl = (op.ttl or 0.0) * _MINUTE
        packed = self._sealing.packed(*place, content), self._sealing.packed_vectors(*place, vectors)
        return Row(*place, *packed, self._now, self._now, ttl)

    def _read(self, connection: Connection, op: Op, known: Known) -> Any:
        if isinstance(op, GetOp):
            return remembered.one(connection, text_of(op.namespace), op.key, self._now)
        if isinstance(op, ListNamespacesOp):
            return remembered.namespaces(connection, self._now)
        if not isinstance(op, SearchOp):
            return None
        whole = bool(op.filter) or _by_meaning(op, known)
        limit, offset = (None, 0) if whole else (_bounded(op.limit), _bounded(op.offset))
        return remembered.within(
            connection, text_of(op.namespace_prefix), self._now, limit=limit, offset=offset
        )

    def _found(self, op: SearchOp, rows: list[Row], known: Known) -> list[tuple[Row, float | None]]:
        if op.filter:
            rows = [row for row in rows if matches(self._sealing.content(row).value, op.filter)]
        if not _by_meaning(op, known):
            plain: list[tuple[Row, float | None]] = [(row, None) for row in rows]
            return plain[op.offset : op.offset + op.limit] if op.filter else plain
        scored, rest = self._scored(rows, known, known.vectors[op.query or ""])
        scored.sort(key=lambda each: -each[1])
        found: list[tuple[Row, float | None]] = [*scored, *((row, None) for row in rest)]
        return found[op.offset : op.offset + op.limit]

    def _scored(
        self, rows: Sequence[Row], known: Known, asked: "NDArray[Any]"
    ) -> tuple[list[tuple[Row, float]], list[Row]]:
        """Rows with their cosine to `asked`, and those that have none."""
        import numpy as np  # noqa: PLC0415 (0.1 s of CPU, for those who search by meaning)

        near: list[tuple[Row, bytes]] = []
        rest: list[Row] = []
        for row in rows:
            vectors = self._indexed.get(row) or self._vectors(row)
            fits = vectors.numbers and len(vectors.numbers) % (4 * len(asked)) == 0
            if vectors.embedder == known.embedder and fits:
                near.append((row, vectors.numbers))
            else:
                rest.append(row)
        if not near:
            return [], rest
        sizes = np.array([len(numbers) // (4 * len(asked)) for _, numbers in near])
        whole = np.frombuffer(b"".join(numbers for _, numbers in near), "<f4").reshape(-1, len(asked))
        scores = np.maximum.reduceat(whole @ asked, np.cumsum(sizes) - sizes)
        return [(row, float(score)) for (row, _), score in zip(near, scores, strict=True)], rest

    def _vectors(self, row: Row) -> Vectors:
        """Those of a row, unsealed once."""
        place = row.namespace, row.name
        if place not in self._unsealed:
            self._unsealed[place] = self._sealing.vectors(row)
        return self._unsealed[place]

    def _item(self, row: Row) -> Item:
        return Item(**self._fields_of(row))

    def _search_item(self, row: Row, score: float | None) -> SearchItem:
        return SearchItem(**self._fields_of(row), score=score)

    def _fields_of(self, row: Row) -> dict[str, Any]:
        return {
            "namespace": namespace_of(row.namespace),
            "key": row.name,
            "value": self._sealing.content(row).value,
            "created_at": datetime.fromtimestamp(row.created, UTC),
            "updated_at": datetime.fromtimestamp(row.updated, UTC),
        }


def _bounded(number: int) -> int:
    return min(max(0, number), 1 << 62)  # what a database counts with


def _by_meaning(op: Op, known: Known) -> bool:
    return isinstance(op, SearchOp) and bool(op.query) and bool(known.embedder)


def _listed(op: ListNamespacesOp, texts: Sequence[str]) -> list[tuple[str, ...]]:
    spaces = [namespace_of(text) for text in texts]
    found = {space for space in spaces if is_within(space, op.match_conditions or ())}
    return sorted({space[: op.max_depth] for space in found})[op.offset : op.offset + op.limit]


def _check(op: Any) -> None:
    """Raises for an operation that is none, and for a name that no database keeps."""
    if not isinstance(op, GetOp | PutOp | SearchOp | ListNamespacesOp):
        raise ConfigError(
            f"a store does no `{type(op).__name__}`; give GetOp, PutOp, SearchOp or ListNamespacesOp"
        )
    validate_op_namespace(op)
    names: tuple[Any, ...] = ()
    if isinstance(op, GetOp | PutOp):
        names = (*op.namespace, op.key)
    elif isinstance(op, SearchOp):
        names = op.namespace_prefix
    for name in names:
        try:
            whole = "\0" not in name and bool(name.encode())
        except UnicodeEncodeError:
            whole = False
        if not whole:
            raise ConfigError(
                f"{name!r} cannot name what is remembered; give text that is UTF-8, without NUL"
            )
