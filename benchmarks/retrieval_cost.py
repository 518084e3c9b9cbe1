"""What a hybrid query costs in CPU, without its embedding: with filters, under access lists, of a tenant.

    python benchmarks/retrieval_cost.py [--json] [--chunks N...] [--queries N] [--kept FOLDER]

The bars are for 5,000 and for 100,000 chunks. Texts are drawn by word frequency, vectors lie in clusters as
those of real texts do. Of the documents a half, a tenth and a hundredth fit the three filters, and as many
are for the three groups. A tenant has a base of its own beside the one for all. `--kept` uses, and leaves
behind, the bases in that folder.
"""

import argparse
import gc
import json
import math
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmarks_bars import bar, show

from stretto.documents import Chunk, Document
from stretto.knowledge.manifest import ChunkRow, DocumentRow
from stretto.knowledge.opened import Opened, acquire, release
from stretto.knowledge.options import SearchOptions
from stretto.knowledge.search import search
from stretto.knowledge.view import View

DIMENSIONS, PER_DOCUMENT, WORDS, BATCH = 384, 10, 60_000, 5000
LIMITS = {5_000: 8.0, 100_000: 20.0}
SHARES = {"half": 2, "tenth": 10, "hundredth": 100}
OWN = 5_000
"""Chunks of the tenant's own base."""


class Asked(NamedTuple):
    """How a search is asked."""

    where: dict[str, Any] | None = None
    group: str = "everyone"
    tenant: bool = False


CASES = {
    "alone": Asked(),
    **{f"filter {name}": Asked({name: 0}) for name in SHARES},
    **{f"access {name}": Asked(group=name) for name in SHARES},
    "tenant": Asked(tenant=True),
    "tenant, access tenth": Asked(group="tenth", tenant=True),
}


class Made:
    """Texts and vectors from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        weights = 1 / np.arange(1, WORDS + 1)
        self.shares = weights / weights.sum()
        self.centres = self.random.standard_normal((400, DIMENSIONS)).astype(np.float32)

    def texts(self, count: int, words: int) -> list[str]:
        """Texts of `words` words each."""
        drawn = self.random.choice(WORDS, size=(count, words), p=self.shares)
        return [" ".join(f"w{number:x}q" for number in row) for row in drawn.tolist()]

    def vectors(self, count: int) -> Any:
        """Vectors of length 1 around the centres."""
        near = self.centres[self.random.integers(0, len(self.centres), count)]
        rows = near + 0.9 * self.random.standard_normal((count, DIMENSIONS)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def fill(opened: Opened, made: Made, chunks: int, first: int) -> None:
    """Writes that many chunks, whose ids are numbers from `first` on, as an ingest would."""
    opened.manifest.set_embedder("bench:made", DIMENSIONS)
    batch = min(BATCH, chunks)
    for begin in range(first, first + chunks, batch):
        ids = [f"{number:032x}" for number in range(begin, begin + batch)]
        texts = made.texts(batch, 80)
        opened.vectors.upsert(ids, made.vectors(batch))
        opened.keywords.upsert(zip(ids, texts, strict=True))
        opened.keywords.commit()
        rows: list[tuple[DocumentRow, list[ChunkRow]]] = []
        for start in range(0, batch, PER_DOCUMENT):
            number = (begin + start) // PER_DOCUMENT
            metadata = {name: number % share for name, share in SHARES.items()}
            seen_by = ("everyone", *sorted(name for name, rest in metadata.items() if not rest))
            document = Document(f"d{number}", "", metadata, f"Document {number}")
            row = DocumentRow(document, "", access=seen_by)
            rows.append((row, _chunks(document.id, ids, texts, start)))
        opened.manifest.put(rows)
    opened.settle()


def _chunks(document: str, ids: list[str], texts: list[str], start: int) -> list[ChunkRow]:
    return [
        ChunkRow(Chunk(ids[at], document, texts[at], 500 * at, 500 * at + len(texts[at])), "")
        for at in range(start, start + PER_DOCUMENT)
    ]


def cost(own: Opened, opened: Opened, made: Made, queries: int) -> dict[str, float]:
    """CPU milliseconds of a query by case: the median and the 95th percentile."""
    texts, vectors = made.texts(queries, 8), made.vectors(queries)
    figures: dict[str, float] = {}
    for name, case in CASES.items():
        options = SearchOptions(top_k=10, where=case.where)
        bases = [own, opened] if case.tenant else [opened]
        search(View(bases, [case.group]), texts[0], vectors[0], options)
        spent: list[float] = []
        for text, vector in zip(texts, vectors, strict=True):
            before = time.process_time()
            hits = search(View(bases, [case.group]), text, vector, options)
            spent.append(1000 * (time.process_time() - before))
            assert len(hits) == 10, (name, len(hits))
        figures[f"{name}_cpu_ms"] = round(statistics.median(spent), 2)
        figures[f"{name}_cpu_ms_p95"] = round(sorted(spent)[math.ceil(0.95 * len(spent)) - 1], 2)
    return figures


def measure(folder: Path, chunks: int, queries: int) -> dict[str, float]:
    """Fills the bases unless they are there, and asks them."""
    made, opened, own = Made(7), acquire(folder / str(chunks)), acquire(folder / f"{chunks}-own")
    try:
        for base, count, first in ((opened, chunks, 0), (own, min(OWN, chunks), chunks)):
            if base.manifest.counts()[1] != count:
                fill(base, made, count, first)
        gc.collect()
        return cost(own, opened, Made(7), queries)
    finally:
        release(opened)
        release(own)


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON only")
    parser.add_argument("--chunks", type=int, nargs="+", default=[5_000], help="sizes of the bases")
    parser.add_argument("--queries", type=int, default=100, help="how many questions")
    parser.add_argument("--kept", type=Path, help="where the bases are, or are put")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    bars: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for chunks in options.chunks:
            found = measure(options.kept or Path(temporary), chunks, options.queries)
            figures |= {f"{chunks}_{name}": value for name, value in found.items()}
            limit = LIMITS.get(chunks, LIMITS[100_000])
            bars += [
                bar(f"CPU ms of a query at {chunks} chunks, {name}", found[f"{name}_cpu_ms"], limit)
                for name in CASES
            ]
    figures["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    show("retrieval_cost", json.loads(json.dumps(figures)), bars, quiet=options.json)


if __name__ == "__main__":
    main()
