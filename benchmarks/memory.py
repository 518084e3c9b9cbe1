"""What stays in memory of turns that have ended: the slope of RSS, and our own objects by type.

    python benchmarks/memory.py [--json] [--turns N] [--rows memory,sqlite]

An agent with one tool answers from a script, in this process: two model calls a turn. Half of the turns are
run, a quarter is streamed, a quarter is left after its first words. 100 threads are alive at a time, each for
10 turns, under `Retention(threads=100, turns=4)`, as a backend with many conversations has them. Each row is
a process of its own. The slope is fitted by least squares to samples of the second half of the turns; a
sample is RSS after `gc.collect()` and glibc's `malloc_trim(0)`: what is held, not what the allocator keeps
for later. The slope of samples without the trim stands beside it.
"""

import argparse
import asyncio
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import Any

from benchmarks_bars import bar, show

from stretto import Agent, tool
from stretto.events import TextDelta
from stretto.messages import ToolCall
from stretto.testing import ScriptedModel
from stretto.threads import Retention

SLOPE = 50
"""Bytes of RSS a turn may cost for good."""
THREADS, TURNS_EACH, SAMPLES = 100, 10, 80
QUESTION = "How many whisks are there?"
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)


@tool
def stock(product: str) -> str:
    """How many of a product are there.

    Args:
        product: Its name.
    """
    return f"{product}: 23"


def answer(request: Any) -> Any:
    """A call of the tool, then an answer of 40 words."""
    if request.messages[-1].role == "user":
        return ToolCall("", "stock", '{"product": "a wire whisk"}')
    return "There are 23 of them " + "in the store by the river " * 6


def rss() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def ours() -> Counter[str]:
    """Live objects of our types."""
    gc.collect()
    kinds = (type(found) for found in gc.get_objects())
    return Counter(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds if _is_ours(kind))


def _is_ours(kind: type) -> bool:
    return str(kind.__module__).startswith("stretto")


def slope(samples: list[tuple[int, int]]) -> float:
    """Bytes a turn, by least squares."""
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / sum((x - mean_x) ** 2 for x, _ in samples)


async def play(agent: Agent, thread_id: str, *, how: int) -> None:
    """One turn: by `stream` (1), left after its first words (2), else by `run`."""
    result: Any = None
    if how in (1, 2):
        async with aclosing(agent.stream(QUESTION, thread_id=thread_id)) as events:
            async for event in events:
                if how == 2 and isinstance(event, TextDelta):
                    return
                result = getattr(event, "result", None)
    else:
        result = await agent.run(QUESTION, thread_id=thread_id)
    if len(result.tools) != 1 or result.usage.calls != 2:
        raise RuntimeError("a turn without its tool: the row is void")


async def row(name: str, turns: int, folder: Path) -> dict[str, Any]:
    """Plays the turns of one row."""
    model = ScriptedModel(otherwise=answer)
    threads = "memory" if name == "memory" else folder / "threads.sqlite"
    agent = Agent(model=model, tools=[stock], threads=threads, retention=Retention(threads=THREADS, turns=4))
    trimmed: list[tuple[int, int]] = []
    raw: list[tuple[int, int]] = []
    half: Counter[str] = Counter()
    blocks = 0
    every = max(turns // SAMPLES, 1)
    for turn in range(1, turns + 1):
        generation, place = turn // (THREADS * TURNS_EACH), turn % THREADS
        await play(agent, f"{generation}-{place}", how=turn % 4)
        model.requests.clear()  # the script's own record of what it was asked
        if turn == turns // 2:
            half, blocks = ours(), sys.getallocatedblocks()
        if turn >= turns // 2 and turn % every == 0:
            raw.append((turn, rss()))
            gc.collect()
            _TRIM(0)
            trimmed.append((turn, rss()))
    grown = {kind: more for kind, more in (ours() - half).items() if more > 0}
    blocks = sys.getallocatedblocks() - blocks
    await agent.close()
    return {
        "slope": slope(trimmed),
        "slope_untrimmed": slope(raw),
        "rss_mb": trimmed[-1][1] / 1e6,
        "objects": sum(half.values()),
        "grown": grown,
        "blocks": blocks * 2 / turns,
    }


def measured(name: str, turns: int) -> dict[str, Any]:
    """The row in a process of its own."""
    command = [sys.executable, __file__, "--only", name, "--turns", str(turns)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


def main() -> None:
    """Measures, prints, ends with 1 when a bar does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--turns", type=int, default=20_000)
    parser.add_argument("--rows", default="memory,sqlite")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(asyncio.run(row(given.only, given.turns, Path(folder)))))
        return
    figures: dict[str, Any] = {}
    bars = []
    for name in given.rows.split(","):
        found = measured(name, given.turns)
        figures[f"{name}: slope without the trim, bytes a turn"] = round(found["slope_untrimmed"], 1)
        figures[f"{name}: Python's memory blocks a turn"] = round(found["blocks"], 4)
        figures[f"{name}: RSS at the end, MB"] = round(found["rss_mb"], 1)
        figures[f"{name}: our live objects"] = found["objects"]
        figures[f"{name}: types that grew"] = found["grown"]
        bars.append(bar(f"{name}: slope of RSS, bytes a turn", found["slope"], SLOPE))
        bars.append(bar(f"{name}: our objects that were added", sum(found["grown"].values()), 0))
    show("memory", figures, bars, quiet=given.json)


if __name__ == "__main__":
    main()
