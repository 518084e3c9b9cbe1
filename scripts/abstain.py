"""Finds from which value of `answerable` a knowledge base answers a question: `Citing(abstain=...)`.

    python scripts/abstain.py BEIR_FOLDER [--queries N] [--cost C] [--json]

Half of the documents are left out, so that the questions about them have no answer in the base. Told are the
area under the curve, and the value that is wrong least often: a question refused that had an answer counts C
(1), one answered that had none counts 1. The value is chosen on one half of the questions and judged on the
other. With a folder of your own documents and questions it is your value.
"""

import argparse
import asyncio
import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stretto import KnowledgeBase
from stretto.knowledge import answerable
from stretto.knowledge.beir import beir_documents, beir_queries, beir_relevant

PASSAGES = 3
"""As many as `llm` shows a model."""
Sample = tuple[float, bool]


async def samples(folder: Path, most: int) -> list[Sample]:
    """For each question the value of its hits, and whether its answer is in the base."""
    documents, relevant = beir_documents(folder), beir_relevant(folder)
    chance = random.Random(11)
    kept = set(chance.sample(sorted(document.id for document in documents), len(documents) // 2))
    asked = [(key, text) for key, text in beir_queries(folder).items() if key in relevant]
    chance.shuffle(asked)
    found: list[Sample] = []
    with tempfile.TemporaryDirectory() as place:
        async with KnowledgeBase(Path(place) / "half") as kb:
            await kb.add([document for document in documents if document.id in kept])
            for key, text in asked[:most]:
                hits = await kb.search(text, top_k=PASSAGES)
                found.append((answerable(text, hits), bool(kept & set(relevant[key]))))
    return found


def area(found: Sequence[Sample]) -> float:
    """The chance that a question with an answer has a higher value than one without."""
    good = [value for value, there in found if there]
    bad = [value for value, there in found if not there]
    wins = sum((one > other) + 0.5 * (one == other) for one in good for other in bad)
    return wins / (len(good) * len(bad))


def cheapest(found: Sequence[Sample], cost: float) -> float:
    """The value at which the mistakes cost least."""

    def mistakes(value: float) -> float:
        return sum((cost if there else 0) if own < value else (0 if there else 1) for own, there in found)

    return min(sorted({own for own, _ in found}), key=mistakes)


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="a collection in BEIR form")
    parser.add_argument("--queries", type=int, default=1000, help="ask at most so many")
    parser.add_argument("--cost", type=float, default=1.0, help="of refusing a question that has an answer")
    parser.add_argument("--json", action="store_true", help="print one line of JSON only")
    options = parser.parse_args()
    found = asyncio.run(samples(options.folder, options.queries))
    chosen_on, judged_on = found[::2], found[1::2]
    value = cheapest(chosen_on, options.cost)
    good = [own >= value for own, there in judged_on if there]
    bad = [own < value for own, there in judged_on if not there]
    figures = {
        "questions": len(found),
        "area": round(area(found), 3),
        "abstain": round(value, 3),
        "answered_of_those_with_an_answer": round(sum(good) / len(good), 3),
        "refused_of_those_without": round(sum(bad) / len(bad), 3),
    }
    if options.json:
        print(json.dumps(figures))
        return
    for name, figure in figures.items():
        print(f"{name:<34} {figure}")
    print(f"\nllm(..., cite=Citing(embedder=..., abstain={figures['abstain']}))")


if __name__ == "__main__":
    main()
