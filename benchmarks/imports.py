"""CPU of importing the vocabulary, of `--help`, and of a cold process up to a scripted model's first text.

Each figure is the median of several fresh processes, in CPU of the child.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks_bars import bar, show

from stretto.cli.main import VERBS

VOCABULARY = """
from stretto import Message, Document, tool, Model, KnowledgeBase
import sys
print(",".join(name for name in ("langgraph", "openai", "chromadb") if name in sys.modules))
"""

HELP = """
import sys
from stretto.cli.main import main
main([*sys.argv[1:], "--help"])
print(",".join(name for name in ("langgraph", "openai", "chromadb") if name in sys.modules))
"""

AGENT = """
import asyncio
from stretto import Agent
from stretto.events import TextDelta
from stretto.testing import ScriptedModel

async def main():
    agent = Agent(model=ScriptedModel("Hello there, how are you?"))
    async for event in agent.stream("Hello"):
        if isinstance(event, TextDelta):
            print(event.text, flush=True)
            break
    import os
    os._exit(0)

asyncio.run(main())
"""

PREPARE = """
import asyncio
from stretto import Document, KnowledgeBase
from stretto.testing import HashingEmbedder

async def main():
    async with KnowledgeBase("kb", embedder=HashingEmbedder()) as kb:
        texts = [f"Shelf {i} holds the tins of number {i}." for i in range(20)]
        await kb.add([Document(id=f"d{i}", text=text) for i, text in enumerate(texts)])

asyncio.run(main())
"""

KNOWING = (
    AGENT.replace("import Agent", "import Agent, KnowledgeBase")
    .replace("import ScriptedModel", "import HashingEmbedder, ScriptedModel")
    .replace(
        'agent = Agent(model=ScriptedModel("Hello there, how are you?"))',
        'kb = KnowledgeBase("kb", embedder=HashingEmbedder())\n    '
        'agent = Agent(model=ScriptedModel("On shelf 7."), knowledge=kb)',
    )
    .replace('"Hello"', '"Where are the tins of number 7?"')
)


def cpu_of(code: str, folder: str, *arguments: str) -> tuple[float, str]:
    """CPU seconds of a fresh process that runs `code` in `folder`, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"the child failed:\n{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout.strip()


def median_of(code: str, folder: str, times: int, *arguments: str) -> tuple[float, str]:
    """The median CPU of `times` fresh processes after one that fills the caches, and the last output."""
    cpu_of(code, folder, *arguments)
    runs = [cpu_of(code, folder, *arguments) for _ in range(times)]
    return statistics.median(seconds for seconds, _ in runs), runs[-1][1]


def help_of(folder: str, times: int, figures: dict[str, object]) -> list[dict[str, object]]:
    """The bars for `stretto --help` and for the dearest verb's: CPU, and the heavy packages they load."""
    costs: dict[str, float] = {}
    loaded: set[str] = set()
    for verb in ("", *VERBS):
        seconds, said = median_of(HELP, folder, times, *([verb] if verb else []))
        costs[verb] = seconds * 1000
        loaded.update({"langgraph", "openai", "chromadb"} & set(said.splitlines()[-1].split(",")))
    dearest = max(VERBS, key=lambda verb: costs[verb])
    figures["help_ms"] = {verb or "stretto": round(cost, 1) for verb, cost in costs.items()}
    return [
        bar("stretto --help, CPU ms in all", costs[""], 200, below=True),
        bar(f"stretto {dearest} --help, the dearest of the verbs, CPU ms", costs[dearest], 200, below=True),
        bar("of langgraph, openai, chromadb that any --help loads", len(loaded), 0),
    ]


def main() -> None:
    """Measures, prints, ends with 1 when a bar does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--times", type=int, default=5, help="processes a figure")
    parser.add_argument("--only", default="", help="vocabulary, help, agent or knowledge; all where empty")
    given = parser.parse_args()
    figures: dict[str, object] = {}
    bars = []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "stretto.yaml").write_text("{}\n")
        if given.only in ("", "vocabulary"):
            seconds, loaded = median_of(VOCABULARY, folder, given.times)
            figures["vocabulary_ms"] = round(seconds * 1000, 1)
            figures["vocabulary_loads"] = [name for name in loaded.split(",") if name]
            bars.append(bar("import of the vocabulary, CPU ms", seconds * 1000, 200, below=True))
            bars.append(bar("of langgraph, openai, chromadb it loads", len(figures["vocabulary_loads"]), 0))
        if given.only in ("", "help"):
            bars += help_of(folder, given.times, figures)
        if given.only in ("", "agent"):
            seconds, said = median_of(AGENT, folder, given.times)
            figures["agent_s"] = round(seconds, 3)
            assert said == "Hello", said
            bars.append(bar("cold process to first text, CPU s", seconds, 1.6, below=True))
        if given.only in ("", "knowledge"):
            cpu_of(PREPARE, folder)
            seconds, said = median_of(KNOWING, folder, given.times)
            figures["agent_with_knowledge_s"] = round(seconds, 3)
            assert said == "On", said
            bars.append(bar("the same with knowledge, CPU s", seconds, 3.0, below=True))
    show("imports", figures, bars, quiet=given.json)


if __name__ == "__main__":
    main()
