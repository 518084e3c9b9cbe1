"""The same code on other people's data: routing, answers with sources, function calls.

Reads the folder `--data` (default: `../shared/data` beside the checkout); a part whose files are missing is
left out and named. Takes `--only clinc|xquad|bfcl`, `--count N`, `--model NAME`, `--json`.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stretto import Agent, Document, KnowledgeBase, Message, Model, RunContext
from stretto.errors import StrettoError
from stretto.messages import ToolSpec
from stretto.models import embedder
from stretto.models.protocol import complete
from stretto.nodes import Route, nearest
from stretto.settings import ModelSettings

SEED = 20
EXAMPLES = 15
"""Training sentences of each intent that the route is given."""


async def clinc(folder: Path, count: int, model: str) -> dict[str, Any]:
    """Half the questions in scope, half out of it, by the nearest description; `val` sets the threshold."""
    data = json.loads((folder / "clinc150" / "data_small.json").read_text(encoding="utf-8"))
    pick = random.Random(SEED)
    routes: dict[str, list[str]] = {}
    for text, intent in data["train"]:
        routes.setdefault(intent, []).append(text)
    ways = {
        intent: Route(intent.replace("_", " "), tuple(texts[:EXAMPLES])) for intent, texts in routes.items()
    }
    minilm = embedder("local:minilm")

    async def answers(questions: Sequence[tuple[str, str]], threshold: float) -> list[bool]:
        choose = nearest(ways, minilm, threshold=threshold, none="oos")
        return [await choose({"question": text}, RunContext()) == intent for text, intent in questions]

    tuning = pick.sample(data["val"], 50), pick.sample(data["oos_val"], 50)
    scores: dict[float, int] = {}
    for threshold in (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7):
        scores[threshold] = sum(await answers(tuning[0] + tuning[1], threshold))
    best = max(scores, key=scores.__getitem__)
    inside = await answers(pick.sample(data["test"], count // 2), best)
    outside = await answers(pick.sample(data["oos_test"], count // 2), best)
    return {
        "threshold": best,
        "in_scope": sum(inside) / len(inside),
        "out_of_scope": sum(outside) / len(outside),
        "questions": len(inside) + len(outside),
    }


async def xquad(folder: Path, count: int, model: str) -> dict[str, Any]:
    """Questions answered end to end by the preset agent over all 240 paragraphs."""
    data = json.loads((folder / "xquad" / "xquad.en.json").read_text(encoding="utf-8"))
    documents: list[Document] = []
    questions: list[tuple[str, list[str]]] = []
    for article in data["data"]:
        for number, paragraph in enumerate(article["paragraphs"]):
            name = f"{article.get('title', 'article')}_{number}_{len(documents)}"
            documents.append(Document(id=name, text=paragraph["context"], media_type="text/plain"))
            questions += [
                (item["question"], [answer["text"] for answer in item["answers"]])
                for item in paragraph["qas"]
            ]
    chosen = random.Random(SEED).sample(questions, count)
    answered = cited = 0
    with tempfile.TemporaryDirectory() as place:
        async with KnowledgeBase(Path(place) / "xquad") as knowledge:
            await knowledge.add(documents)
            agent = Agent(model=model, knowledge=knowledge, threads=None)
            for question, spans in chosen:
                result = await agent.run(question)
                answered += any(_normal(span) in _normal(str(result.output)) for span in spans)
                sources = [
                    hit.chunk.text
                    for hit in result.state["hits"]
                    if hit.chunk.id in {citation.chunk for citation in result.citations}
                ]
                cited += any(_normal(span) in _normal(text) for text in sources for span in spans)
            await agent.close()
    return {"answer": answered / count, "cited": cited / count, "questions": count}


async def bfcl(folder: Path, count: int, model: str) -> dict[str, Any]:
    """The first function calls and irrelevant requests; right: tool and all arguments, or no call."""
    place = folder / "bfcl"
    gold = [json.loads(line) for line in _lines(place / "BFCL_v4_simple_python.gold.json")][:count]
    calls = [json.loads(line) for line in _lines(place / "BFCL_v4_simple_python.json")][:count]
    idle = [json.loads(line) for line in _lines(place / "BFCL_v4_irrelevance.json")][:count]
    chat = Model(model)
    right = named = quiet = 0
    for item, truth in zip(calls, gold, strict=True):
        made = await _call(chat, item)
        (wanted,) = truth["ground_truth"]
        name = next(iter(wanted))
        if made and made[0] == _tool_name(name):
            named += 1
            right += _fits(made[1], wanted[name])
    for item in idle:
        quiet += await _call(chat, item) is None
    await chat.close()
    return {
        "tool": named / count,
        "call": right / count,
        "irrelevance": quiet / count,
        "questions": 2 * count,
    }


async def _call(chat: Any, item: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    tools = [
        ToolSpec(_tool_name(tool["name"]), tool["description"], _schema(tool["parameters"]))
        for tool in item["function"]
    ]
    messages = [Message(turn["role"], turn["content"]) for turn in item["question"][0]]
    try:
        reply = await complete(
            chat, messages, tools=tools, settings=ModelSettings(max_tokens=300, temperature=0)
        )
        call = reply.message.tool_calls[0] if reply.message.tool_calls else None
        return (call.name, json.loads(call.arguments)) if call else None
    except (StrettoError, json.JSONDecodeError) as error:
        return "failed", {"error": str(error)}


def _tool_name(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _schema(node: Any) -> Any:
    """The data set's own type names as JSON Schema's."""
    names = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}
    if isinstance(node, dict):
        fixed = {key: _schema(value) for key, value in node.items()}
        if isinstance(fixed.get("type"), str):
            fixed["type"] = names.get(fixed["type"], fixed["type"])
        return fixed
    return [_schema(item) for item in node] if isinstance(node, list) else node


def _fits(made: dict[str, Any], wanted: dict[str, list[Any]]) -> bool:
    if set(made) - set(wanted):
        return False
    return all(
        any(_same(made[key], option) for option in options) if key in made else "" in options
        for key, options in wanted.items()
    )


def _same(made: Any, option: Any) -> bool:
    if isinstance(made, str) and isinstance(option, str):
        return re.sub(r"[ ,./\-_*^']", "", made).casefold() == re.sub(r"[ ,./\-_*^']", "", option).casefold()
    if isinstance(made, dict) and isinstance(option, dict):
        return _fits(made, option)
    if isinstance(made, list) and isinstance(option, list):
        return len(made) == len(option) and all(_same(*pair) for pair in zip(made, option, strict=True))
    return made == option and isinstance(made, bool) == isinstance(option, bool)


def _normal(text: str) -> str:
    return re.sub(r"\W+", " ", text).casefold().strip()


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


PARTS = {"clinc": (clinc, 200, "clinc150"), "xquad": (xquad, 100, "xquad"), "bfcl": (bfcl, 100, "bfcl")}


def main() -> int:
    """Runs the parts whose data are there."""
    here = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=here.parent / "shared" / "data")
    parser.add_argument("--only", choices=sorted(PARTS))
    parser.add_argument("--count", type=int)
    parser.add_argument("--model", default="local:qwen2.5-coder-0.5b")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures: dict[str, Any] = {"model": options.model}
    for name, (part, count, folder) in PARTS.items():
        if options.only not in (None, name):
            continue
        if not (options.data / folder).is_dir():
            print(f"{name}: left out, there is no {folder}/ in {options.data}", file=sys.stderr)
            continue
        began = time.perf_counter()
        figures[name] = asyncio.run(part(options.data, options.count or count, options.model))
        figures[name]["seconds"] = round(time.perf_counter() - began, 1)
        print(f"{name}: {figures[name]}", file=sys.stderr)
    print(json.dumps({"benchmark": "outside", "figures": figures, "bars": []}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
