"""Quality of the search on collections in BEIR form: both legs, their fusion by rank and by score.

    python benchmarks/retrieval.py [FOLDER...] [--json] [--queries N] [--run FILE] [--kept FOLDER]

For each collection: nDCG@10 of each method, and 95 % intervals of a paired bootstrap over the questions for
the search less the better of its legs, and less reciprocal rank fusion (k = 60) of the same legs. Without
FOLDER it is XQuAD-en, whose bars are tighter. A document stands where its best passage does.
"""

import argparse
import asyncio
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks_bars import show
from knowledge import DATA, at_least, by_document, fused_by_rank, ndcg

from stretto import KnowledgeBase
from stretto.errors import ModelNotFound
from stretto.knowledge.asked import unread
from stretto.knowledge.beir import beir_documents, beir_queries, beir_relevant, trec_run
from stretto.knowledge.opened import Opened, acquire, release
from stretto.knowledge.options import SearchOptions
from stretto.knowledge.search import DEPTH, search
from stretto.knowledge.view import View
from stretto.models.local.embeddings import MiniLM

RESAMPLES = 10_000
Found = dict[str, list[tuple[str, float]]]


def bootstrap(differences: Any, resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 95 % interval of the mean difference, by resampling the questions."""
    random = np.random.default_rng(20)
    drawn = random.integers(0, len(differences), (resamples, len(differences)))
    low, high = np.percentile(differences[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def ask(opened: Opened, text: str, vector: Any, owner: dict[str, str], strange: float | None) -> Found:
    """The documents by method, best first."""
    dense = by_document((key for key, _ in opened.vectors.query(vector, DEPTH)), owner)
    keyword = by_document((key for key, _ in opened.keywords.query(text, DEPTH)), owner)
    best: dict[str, float] = {}
    for hit in search(View([opened], ()), text, vector, SearchOptions(top_k=DEPTH), unread=strange):
        best.setdefault(hit.document.id, hit.score)
    ranks = {"dense": dense, "keyword": keyword, "rrf": fused_by_rank([dense, keyword])}
    return {
        "fused": list(best.items()),
        **{name: [(key, 1 / rank) for rank, key in enumerate(ids, 1)] for name, ids in ranks.items()},
    }


async def results(data: Path, base: Path, most: int) -> tuple[dict[str, Found], dict[str, dict[str, int]]]:
    """What each method finds for each question, and what is relevant to it."""
    relevant, queries = beir_relevant(data), beir_queries(data)
    asked = {key: text for key, text in queries.items() if key in relevant and text.strip()}
    keys = list(asked)[:: max(1, len(asked) // most)]
    embedder = MiniLM()
    found: dict[str, Found] = {}
    async with KnowledgeBase(base, embedder=embedder) as kb:
        await kb.add(beir_documents(data))
        opened = acquire(kb.folder)
        owner = {chunk.id: chunk.document for chunk, _ in opened.manifest.all_chunks()}
        for key in keys:
            vector = (await embedder.embed([asked[key]]))[0]
            found[key] = ask(opened, asked[key], vector, owner, unread(embedder, asked[key]))
        release(opened)
    await embedder.close()
    return found, relevant


def judged(
    found: dict[str, Found], relevant: dict[str, dict[str, int]]
) -> tuple[dict[str, Any], dict[str, tuple[float, float]]]:
    """The figures of a collection, and its two intervals."""
    scores = {
        name: np.array([ndcg([key for key, _ in one[name]], relevant[query]) for query, one in found.items()])
        for name in ("dense", "keyword", "rrf", "fused")
    }
    figures: dict[str, Any] = {
        f"ndcg10_{name}": round(statistics.fmean(values.tolist()), 4) for name, values in scores.items()
    }
    better = max(("dense", "keyword"), key=lambda name: float(scores[name].mean()))
    intervals = {
        "the better leg": bootstrap(scores["fused"] - scores[better]),
        "RRF": bootstrap(scores["fused"] - scores["rrf"]),
    }
    for name, (low, high) in intervals.items():
        figures[f"fused less {name}"] = [round(low, 4), round(high, 4)]
    figures["better_leg"], figures["questions"] = better, len(found)
    return figures, intervals


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path, help="collections in BEIR form")
    parser.add_argument("--json", action="store_true", help="print one line of JSON only")
    parser.add_argument("--queries", type=int, default=1190, help="ask about this many questions of each")
    parser.add_argument("--run", type=Path, help="write the search's results as a TREC run")
    parser.add_argument("--kept", type=Path, help="where the bases are, or are put")
    options = parser.parse_args()
    folders: list[Path] = options.folders or [DATA]
    missing = [str(folder) for folder in folders if not (folder / "corpus.jsonl").is_file()]
    if missing:
        show("retrieval", {"skipped": f"no collection in {', '.join(missing)}"}, [], quiet=options.json)
    figures: dict[str, Any] = {}
    bars: list[dict[str, Any]] = []
    run = ""
    with tempfile.TemporaryDirectory() as temporary:
        for folder in folders:
            base = (options.kept or Path(temporary)) / (folder.name or "collection")
            try:
                found, relevant = asyncio.run(results(folder, base, options.queries))
            except ModelNotFound as error:
                show("retrieval", {"skipped": str(error)}, [], quiet=options.json)
            run += trec_run({query: one["fused"] for query, one in found.items()})
            told, intervals = judged(found, relevant)
            strict = folder == DATA
            name = "xquad-en" if strict else folder.name
            figures |= {f"{name} {key}": value for key, value in told.items()}
            for other, (low, high) in intervals.items():
                what = f"{name}: the search less {other}, " + ("low end" if strict else "high end")
                bars.append(at_least(what, low if strict else high, 1e-9 if strict else 0.0))
            if strict:
                bars.append(at_least(f"{name}: nDCG@10", told["ndcg10_fused"], 0.975))
    if options.run:
        options.run.write_text(run, "utf-8")
    show("retrieval", figures, bars, quiet=options.json)


if __name__ == "__main__":
    main()
