"""The same code on other people's data: routing, answers with sources, function calls.

Reads the folder `--data` (default: `../shared/data` beside the checkout); a part whose files are missing is
left out and named. Takes `--only clinc|xquad|bfcl`, `--count N`, `--model NAME`, `--json`. Every share stands
with Wilson's 95 % interval. Thresholds are set on items that are not counted.
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

import numpy as np
from benchmarks_bars import share, show

from stretto import Agent, Document, KnowledgeBase, Message, Model, RunContext
from stretto.agent.presets import WITH_KNOWLEDGE
from stretto.errors import StrettoError
from stretto.events import RunFinished, TextDelta
from stretto.graph import END, START, Conversation, Graph
from stretto.knowledge import by_sentence
from stretto.messages import ToolSpec
from stretto.models import embedder
from stretto.models.protocol import ChatModel, complete
from stretto.nodes import Route, llm, nearest, quote, retrieve
from stretto.prompts import Prompt
from stretto.settings import ModelSettings

SEED = 20
EXAMPLES = 15
"""Training sentences of each intent that the route is given."""
THRESHOLDS = tuple(step / 20 for step in range(2, 15))
"""What is tried for the least closeness: 0.10 to 0.70."""


class Remembering:
    """An embedder that embeds each text once: thresholds are tried at no cost."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._known = inner, {}
        self.name, self.dimensions = inner.name, inner.dimensions

    async def embed(self, texts: Sequence[str]) -> Any:
        """The vectors, one a row."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, await self._inner.embed(new), strict=True))
        return np.stack([self._known[text] for text in texts])

    async def close(self) -> None:
        """Closes the embedder."""
        await self._inner.close()


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
    minilm = Remembering(embedder("local:minilm"))

    async def answers(questions: Sequence[tuple[str, str]], threshold: float) -> list[bool]:
        choose = nearest(ways, minilm, threshold=threshold, none="oos")
        return [await choose({"question": text}, RunContext()) == intent for text, intent in questions]

    tuning = pick.sample(data["val"], 50) + pick.sample(data["oos_val"], 50)
    scores = {threshold: sum(await answers(tuning, threshold)) for threshold in THRESHOLDS}
    best = max(scores, key=scores.__getitem__)
    inside = await answers(pick.sample(data["test"], count // 2), best)
    outside = await answers(pick.sample(data["oos_test"], count // 2), best)
    await minilm.close()
    return {
        "threshold": best,
        "in_scope": share(inside),
        "out_of_scope": share(outside),
        "all": share([*inside, *outside]),
    }


def _answering(chat: ChatModel, knowledge: KnowledgeBase) -> Graph:
    """Search, answer, and quotes below it, as the support desk does it."""
    graph = Graph(Conversation, max_steps=10)
    graph.add_node("search", retrieve(knowledge, rerank=by_sentence(knowledge)))
    asked = Prompt("outside", WITH_KNOWLEDGE)
    graph.add_node("answer", llm(chat, ask=asked, cite=True, settings=ModelSettings(max_tokens=200)))
    graph.add_node("support", quote(knowledge))
    graph.add_edge(START, "search").add_edge("search", "answer")
    return graph.add_edge("answer", "support").add_edge("support", END)


async def xquad(folder: Path, count: int, model: str) -> dict[str, Any]:
    """Questions answered end to end over all 240 paragraphs, with quotes and in the model's own words."""
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
    answered: list[bool] = []
    spoken: list[bool] = []
    cited: list[bool] = []
    with tempfile.TemporaryDirectory() as place:
        chat = Model(model)
        async with KnowledgeBase(Path(place) / "xquad") as knowledge:
            await knowledge.add(documents)
            agent = Agent(_answering(chat, knowledge), knowledge=knowledge, threads=None)
            for question, spans in random.Random(SEED).sample(questions, count):
                own = ""
                async for event in agent.stream(question):
                    if isinstance(event, TextDelta) and event.chunks:
                        own += event.text
                    elif isinstance(event, RunFinished) and event.result is not None:
                        result = event.result
                sources = {citation.chunk for citation in result.citations}
                texts = [hit.chunk.text for hit in result.state["hits"] if hit.chunk.id in sources]
                answered.append(_holds(str(result.output), spans))
                spoken.append(_holds(own, spans))
                cited.append(any(_holds(text, spans) for text in texts))
            await agent.close()
        await chat.close()
    return {"answer": share(answered), "own_words": share(spoken), "cited": share(cited)}


def _holds(text: str, spans: Sequence[str]) -> bool:
    return any(_normal(span) in _normal(text) for span in spans)


async def bfcl(folder: Path, count: int, model: str) -> dict[str, Any]:
    """Half simple and half multiple calls, and as many requests that no tool fits.

    Right is the tool with all arguments, or no call. The tool is the nearest one, as `llm(offer=...)` has it;
    the model writes the arguments. Requests behind the counted ones set the threshold.
    """
    kinds = ("BFCL_v4_simple_python", "BFCL_v4_multiple")
    half = count // 2
    calls: list[tuple[dict[str, Any], dict[str, Any]]] = []
    tuning: list[tuple[dict[str, Any], bool]] = []
    for kind in kinds:
        items, gold = _lines(folder / "bfcl" / f"{kind}.json"), _lines(folder / "bfcl" / f"{kind}.gold.json")
        calls += zip(items[:half], gold[:half], strict=True)
        tuning += [(item, True) for item in items[half : 2 * half]]
    idle = _lines(folder / "bfcl" / "BFCL_v4_irrelevance.json")
    tuning += [(item, False) for item in idle[count : 2 * count]]
    minilm = Remembering(embedder("local:minilm"))
    scores = {
        threshold: sum([(await _offered(item, minilm, threshold) is not None) == fit for item, fit in tuning])
        for threshold in THRESHOLDS
    }
    best = max(scores, key=scores.__getitem__)
    named: list[bool] = []
    right: list[bool] = []
    chat = Model(model)
    for item, truth in calls:
        ((name, wanted),) = truth["ground_truth"][0].items()
        tool = await _offered(item, minilm, best)
        named.append(tool == _tool_name(name))
        right.append(named[-1] and _fits(await _arguments(chat, item, tool or ""), wanted))
    await chat.close()
    quiet = [await _offered(item, minilm, best) is None for item in idle[:count]]
    await minilm.close()
    return {
        "threshold": best,
        "tool": share(named),
        "call": share(right),
        "call_simple": share(right[:half]),
        "call_multiple": share(right[half:]),
        "irrelevance": share(quiet),
    }


async def _offered(item: dict[str, Any], embed: Any, threshold: float) -> str | None:
    """The tool whose description is nearest to the request, None where none is near."""
    tools = {
        _tool_name(tool["name"]): Route(tool["description"], (re.sub(r"[\W_]+", " ", tool["name"]),))
        for tool in item["function"]
    }
    return await nearest(tools, embed, threshold=threshold)({"question": _asked(item)}, RunContext())


def _asked(item: dict[str, Any]) -> str:
    return item["question"][0][-1]["content"]


async def _arguments(chat: ChatModel, item: dict[str, Any], name: str) -> dict[str, Any]:
    tools = [
        ToolSpec(_tool_name(tool["name"]), tool["description"], _schema(tool["parameters"]))
        for tool in item["function"]
        if _tool_name(tool["name"]) == name
    ]
    messages = [Message(turn["role"], turn["content"]) for turn in item["question"][0]]
    settings = ModelSettings(max_tokens=300, temperature=0, tool_choice=name)
    try:
        reply = await complete(chat, messages, tools=tools, settings=settings)
        return json.loads(reply.message.tool_calls[0].arguments)
    except (StrettoError, json.JSONDecodeError, IndexError) as error:
        print(f"{item['id']}: {error}", file=sys.stderr)
        return {"": str(error)}


def _tool_name(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _schema(node: Any) -> Any:
    """The data set's own type names as JSON Schema's."""
    names = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}
    if isinstance(node, dict):
        fixed = {
            key: _schema(value) for key, value in node.items() if key != "optional" or isinstance(value, dict)
        }
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


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


PARTS = {"clinc": (clinc, 200, "clinc150"), "xquad": (xquad, 100, "xquad"), "bfcl": (bfcl, 100, "bfcl")}


def main() -> None:
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
    show("outside", figures, [], quiet=options.json)


if __name__ == "__main__":
    main()
