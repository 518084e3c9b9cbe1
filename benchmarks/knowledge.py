"""Retrieval quality and cost on XQuAD-en: both legs, their fusion by rank and by score, ingest and query CPU.

    python benchmarks/knowledge.py [--json] [--data FOLDER] [--queries N]

The collection (240 paragraphs, 1,190 questions, BEIR form) is not part of the project: FOLDER holds
corpus.jsonl, queries.jsonl and qrels/test.tsv. A paragraph stands where its best passage does.
"""

import argparse
import asyncio
import json
import math
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks_bars import bar, show

from stretto import Document, KnowledgeBase
from stretto.errors import ModelNotFound
from stretto.knowledge.opened import Opened, acquire, release
from stretto.knowledge.options import SearchOptions
from stretto.knowledge.search import DEPTH, search
from stretto.knowledge.view import View
from stretto.models.local.embeddings import MiniLM

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "xquad" / "beir"


class Timed:
    """An embedder that counts the CPU seconds of its work."""

    def __init__(self, inner: Any) -> None:
        self._inner, self.seconds, self.texts = inner, 0.0, 0
        self.name, self.dimensions = inner.name, inner.dimensions

    async def embed(self, texts: Sequence[str]) -> Any:
        """The vectors."""
        before = time.process_time()
        vectors = await self._inner.embed(texts)
        self.seconds += time.process_time() - before
        self.texts += len(texts)
        return vectors

    async def close(self) -> None:
        """Closes the embedder."""
        await self._inner.close()


def ndcg(ranked: Sequence[str], relevant: dict[str, int], depth: int = 10) -> float:
    """The nDCG at `depth`, gains as they are in the qrels, as BEIR's evaluation has it."""
    gain = sum(relevant.get(key, 0) / math.log2(rank + 2) for rank, key in enumerate(ranked[:depth]))
    best = sorted(relevant.values(), reverse=True)[:depth]
    return gain / sum(value / math.log2(rank + 2) for rank, value in enumerate(best))


def by_document(ids: Iterable[str], owner: dict[str, str]) -> list[str]:
    """Each document once, where its best passage stands."""
    return list(dict.fromkeys(owner[key] for key in ids))


def fused_by_rank(legs: Sequence[Sequence[str]], k: int = 60) -> list[str]:
    """Reciprocal rank fusion."""
    scores: dict[str, float] = {}
    for leg in legs:
        for rank, key in enumerate(leg, 1):
            scores[key] = scores.get(key, 0.0) + 1 / (k + rank)
    return sorted(scores, key=lambda key: -scores[key])


def read(data: Path, most: int) -> tuple[list[Document], dict[str, str], dict[str, dict[str, int]]]:
    """The documents, the questions and what is relevant to each."""
    lines = (data / "corpus.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    documents = [
        Document(id=row["_id"], title=row["title"].replace("_", " "), text=row["text"]) for row in rows
    ]
    questions = [json.loads(line) for line in (data / "queries.jsonl").read_text("utf-8").splitlines()]
    relevant: dict[str, dict[str, int]] = {}
    for line in (data / "qrels" / "test.tsv").read_text("utf-8").splitlines()[1:]:
        query, document, value = line.split("\t")
        relevant.setdefault(query, {})[document] = int(value)
    step = max(1, len(questions) // most)
    asked = {row["_id"]: row["text"] for row in questions[::step] if row["_id"] in relevant}
    return documents, asked, relevant


def ask(opened: Opened, text: str, vector: Any, owner: dict[str, str]) -> tuple[dict[str, list[str]], float]:
    """The documents in the order of each method, and the CPU seconds of our own search."""
    dense = by_document((key for key, _ in opened.vectors.query(vector, DEPTH)), owner)
    keyword = by_document((key for key, _ in opened.keywords.query(text, DEPTH)), owner)
    before = time.process_time()
    hits = search(View([opened], ()), text, vector, SearchOptions(top_k=30), unread=0.0)
    spent = time.process_time() - before
    found = {
        "dense": dense,
        "keyword": keyword,
        "rrf": fused_by_rank([dense, keyword]),
        "fused": by_document((hit.chunk.id for hit in hits), owner),
    }
    return found, spent


async def measure(data: Path, most: int) -> dict[str, float]:
    """All figures."""
    documents, asked, relevant = read(data, most)
    timed = Timed(MiniLM())
    with tempfile.TemporaryDirectory() as folder:
        async with KnowledgeBase(Path(folder) / "kb", embedder=timed) as kb:
            await kb.search("warm up")
            acquired = acquire(kb.folder)
            _ = acquired.vectors, acquired.keywords  # imports are no part of the rate
            before = time.process_time()
            report = await kb.add(documents)
            ingest = time.process_time() - before - timed.seconds
            again = await kb.add(documents)
            chunks = (await kb.status())["chunks"]
            owner = {
                row.chunk.id: row.chunk.document
                for document in documents
                for row in acquired.manifest.chunks_of(document.id)
            }
            scores: dict[str, list[float]] = {}
            spent: list[float] = []
            for key, text in asked.items():
                vector = (await timed.embed([text]))[0]
                found, seconds = ask(acquired, text, vector, owner)
                spent.append(seconds)
                for name, ranked in found.items():
                    scores.setdefault(name, []).append(ndcg(ranked, relevant[key]))
            release(acquired)
    await timed.close()
    return {
        **{f"ndcg10_{name}": round(statistics.fmean(values), 4) for name, values in scores.items()},
        "questions": len(asked),
        "chunks": chunks,
        "chunks_per_cpu_second_without_embedding": round(report.embedded / ingest, 1),
        "chunks_per_cpu_second_with_embedding": round(report.embedded / (ingest + timed.seconds), 1),
        "query_cpu_ms_without_embedding": round(1000 * statistics.median(spent), 3),
        "embedded_again": again.embedded,
    }


def at_least(name: str, value: float, limit: float) -> dict[str, Any]:
    """A bar that is held from `limit` upwards."""
    return {"name": name, "value": round(value, 4), "limit": limit, "holds": value >= limit}


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON only")
    parser.add_argument("--data", type=Path, default=DATA, help="a folder in BEIR form")
    parser.add_argument("--queries", type=int, default=1190, help="ask about this many questions")
    options = parser.parse_args()
    if not (options.data / "corpus.jsonl").is_file():
        show("knowledge", {"skipped": "there is no collection; give --data FOLDER"}, [], quiet=options.json)
    try:
        figures = asyncio.run(measure(options.data, options.queries))
    except ModelNotFound as error:
        show("knowledge", {"skipped": str(error)}, [], quiet=options.json)
    bars = [
        at_least("nDCG@10 of the fused search", figures["ndcg10_fused"], 0.975),
        at_least("nDCG@10 gained over RRF", figures["ndcg10_fused"] - figures["ndcg10_rrf"], 0.0),
        bar("CPU ms of a query without its embedding", figures["query_cpu_ms_without_embedding"], 8.0),
        bar("chunks embedded by a second ingest", figures["embedded_again"], 0),
    ]
    show("knowledge", figures, bars, quiet=options.json)


if __name__ == "__main__":
    main()
