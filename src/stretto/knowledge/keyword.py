"""The keyword leg: BM25 over the chunks' texts in a tantivy index. Knows ids and texts; no query syntax.

A word is found in its other forms in English, Arabic, Greek, Russian and Tamil: each stemmer knows its own
script, so that all of them may follow each other.

Writes gather in one writer and become visible at `commit`, which costs about 0.1 s: commit in batches.
"""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tantivy

from stretto._internal.private import private_folder
from stretto.errors import KnowledgeError
from stretto.knowledge.segments import segmented

_TOKENS = "stretto_2"  # another name for another analysis: an older index is then made anew
_HEAP = 30_000_000  # bytes a writer gathers before it flushes; tantivy refuses less than 15 MB
_TERMS = 64  # of a query, after which it is a text and not a question


def _schema() -> Any:
    builder: Any = tantivy.SchemaBuilder()
    # The types here and in `add` must match exactly: tantivy's writer dies on a mismatch.
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("text", stored=False, tokenizer_name=_TOKENS, index_option="freq")
    return builder.build()


def _analyser() -> Any:
    builder: Any = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (
        tantivy.Filter.remove_long(60),
        tantivy.Filter.lowercase(),
        tantivy.Filter.ascii_fold(),
        *map(tantivy.Filter.stemmer, ("english", "russian", "arabic", "greek", "tamil")),
    ):
        builder = builder.filter(step)
    return builder.build()


class KeywordIndex:
    """A tantivy index in a folder of its own. Sync; one writer at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._schema: Any = _schema()
        self._analyser: Any = _analyser()
        self._writer: Any = None
        try:
            self._index: Any = self._opened()
        except Exception:
            # Everything in it can be made again from the manifest, and the next add does so.
            shutil.rmtree(folder, ignore_errors=True)
            self._index = self._opened()

    def _opened(self) -> Any:
        private_folder(self._folder)
        index: Any = tantivy.Index(self._schema, path=str(self._folder))
        index.register_tokenizer(_TOKENS, self._analyser)
        return index

    def upsert(self, rows: Iterable[tuple[str, str]]) -> None:
        """Takes `(id, text)`; an id that is there is replaced. Visible after `commit`."""
        writer = self._writing()
        for key, text in rows:
            writer.delete_documents_by_term("id", key)
            writer.add_document(tantivy.Document(id=key, text=segmented(text)))

    def delete(self, ids: Iterable[str]) -> None:
        """Removes ids. Visible after `commit`."""
        writer = self._writing()
        for key in ids:
            writer.delete_documents_by_term("id", key)

    def _writing(self) -> Any:
        if self._writer is None:
            try:
                self._writer = self._index.writer(heap_size=_HEAP, num_threads=1)
            except Exception as error:
                raise KnowledgeError(
                    f"the keyword index in `{self._folder}` cannot be written: {error}"
                ) from error
        return self._writer

    def commit(self) -> None:
        """Makes what was written durable and visible."""
        if self._writer is None:
            return
        try:
            self._writer.commit()
        except Exception as error:
            raise KnowledgeError(
                f"the keyword index in `{self._folder}` cannot be written: {error}"
            ) from error
        self._index.reload()

    def settle(self) -> None:
        """Commits, and lets go of the writer with its memory and threads."""
        self.commit()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.wait_merging_threads()
            self._index.reload()

    def count(self) -> int:
        """How many chunks are committed."""
        return int(self._index.searcher().num_docs)

    def query(self, text: str, n: int) -> list[tuple[str, float]]:
        """The `n` best ids with their BM25 score, best first. Nothing in `text` is syntax."""
        query = self._words(text)
        return self._run(query, n) if query is not None else []

    def scores(self, text: str, ids: Sequence[str]) -> dict[str, float]:
        """The BM25 score of each of `ids` for `text`: 0 where no word is in it."""
        found = dict.fromkeys(ids, 0.0)
        query = self._words(text)
        if query is None or not ids:
            return found
        only = tantivy.Query.const_score_query(
            tantivy.Query.term_set_query(self._schema, "id", list(ids)), 0.0
        )
        both = tantivy.Query.boolean_query([(tantivy.Occur.Must, only), (tantivy.Occur.Must, query)])
        found.update(self._run(both, len(ids)))
        return found

    def _words(self, text: str) -> Any:
        words = list(dict.fromkeys(self._analyser.analyze(segmented(text))))[:_TERMS]
        if not words:
            return None
        terms = [
            (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, "text", word, "freq"))
            for word in words
        ]
        return tantivy.Query.boolean_query(terms)

    def _run(self, query: Any, n: int) -> list[tuple[str, float]]:
        searcher = self._index.searcher()
        hits = searcher.search(query, max(1, n), count=False).hits
        return [(str(searcher.doc(address)["id"][0]), float(score)) for score, address in hits]

    def close(self) -> None:
        """Ends the writer, dropping what was not committed. May be called twice."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.rollback()
            writer.wait_merging_threads()
