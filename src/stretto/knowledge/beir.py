"""Collections in BEIR form: `corpus.jsonl`, `queries.jsonl`, `qrels/SPLIT.tsv`; results as a TREC run.

So a knowledge base is measured with the tools of the field (trec_eval, ranx, ir_measures). Knows no index.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from stretto.documents import Document, Hit
from stretto.errors import KnowledgeError


def beir_documents(folder: Path) -> list[Document]:
    """The documents of a collection, in its order, without those that have no text.

    Raises:
        KnowledgeError: There is no corpus, or a line of it cannot be read; the message names file and line.
    """
    documents: list[Document] = []
    for place, row in _lines(folder / "corpus.jsonl"):
        title, text = str(row.get("title") or ""), str(row.get("text") or "")
        metadata: Any = row.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise KnowledgeError(f"{place}: `metadata` is no object")
        if (text or title).strip():
            found = cast("dict[str, Any]", metadata)
            documents.append(Document(_id(place, row), text or title, found, title.replace("_", " ")))
    return documents


def beir_queries(folder: Path) -> dict[str, str]:
    """The text of each query by id; errors as in `beir_documents`."""
    return {_id(place, row): str(row.get("text") or "") for place, row in _lines(folder / "queries.jsonl")}


def beir_relevant(folder: Path, split: str = "test") -> dict[str, dict[str, int]]:
    """The gain of each relevant document by query, from `qrels/<split>.tsv`; zeros are left out."""
    path = folder / "qrels" / f"{split}.tsv"
    relevant: dict[str, dict[str, int]] = {}
    for number, line in enumerate(_text(path).splitlines()[1:], 2):
        parts = line.split("\t")
        if not line.strip():
            continue
        if len(parts) != 3 or not parts[2].strip().lstrip("-").isdigit():
            raise KnowledgeError(f"{path}:{number}: give a query's id, a document's id and a whole number")
        if int(parts[2]) > 0:
            relevant.setdefault(parts[0], {})[parts[1]] = int(parts[2])
    return relevant


def by_document(hits: Sequence[Hit]) -> list[tuple[str, float]]:
    """Each document once, where its best passage stands, with that one's score."""
    best: dict[str, float] = {}
    for hit in hits:
        best.setdefault(hit.document.id, hit.score)
    return list(best.items())


def trec_run(results: Mapping[str, Sequence[tuple[str, float]]], tag: str = "stretto") -> str:
    """A run as trec_eval reads it: `query Q0 document rank score tag`, one line a document.

    Args:
        results: For each query's id, documents with their scores, best first.
        tag: The run's name; white space in it and in ids becomes `_`, for the format has no other way.
    """
    name = _word(tag)
    return "".join(
        f"{_word(query)} Q0 {_word(document)} {rank} {score:.6f} {name}\n"
        for query, found in results.items()
        for rank, (document, score) in enumerate(found, 1)
    )


def write_run(path: Path, results: Mapping[str, Sequence[tuple[str, float]]], tag: str = "stretto") -> None:
    """Writes a run to a file; raises KnowledgeError when it cannot."""
    try:
        path.write_text(trec_run(results, tag), "utf-8")
    except OSError as error:
        raise KnowledgeError(f"`{path}` cannot be written: {error.strerror or error}") from None


def _word(text: str) -> str:
    return "_".join(text.split()) or "_"


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise KnowledgeError(f"{path}:{number}: no JSON: {error}") from None
        if not isinstance(row, dict):
            raise KnowledgeError(f"{path}:{number}: no JSON object")
        yield f"{path}:{number}", cast("dict[str, Any]", row)


def _id(place: str, row: Mapping[str, Any]) -> str:
    key = row.get("_id")
    if not isinstance(key, str | int) or key == "":
        raise KnowledgeError(f"{place}: there is no `_id`")
    return str(key)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise KnowledgeError(f"`{path}` cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise KnowledgeError(f"`{path}` is not UTF-8") from None
