"""What our graph layer costs above langgraph: a turn of three empty nodes, and of one node that fails over.

    python benchmarks/graph.py [--json] [--rounds N] [--each N]

Both sides take turns within each round, and the smallest CPU time of the rounds counts: other load on the
machine only adds. Figures are milliseconds of CPU a turn, of this process with all its threads.
"""

import argparse
import asyncio
import operator
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict

from benchmarks_bars import bar, show
from langgraph.graph import StateGraph

from stretto.context import Run, RunContext
from stretto.graph import END, START, Graph
from stretto.graph.stream import play
from stretto.threads.stores import open_store

LIMIT = 1.15
"""Ours may take at most this share of raw langgraph's time."""


class State(TypedDict, total=False):
    """What the empty nodes write."""

    seen: Annotated[list[str], operator.add]
    word: str


NAMES = ("a", "b", "c")


def ours(checkpointer: Any = None) -> Any:
    """Three nodes that take the context."""

    async def node(state: State, ctx: RunContext) -> State:
        return {"word": "x"}

    graph = Graph(State)
    for name, after in zip(NAMES, (*NAMES[1:], END), strict=True):
        graph.add_node(name, node).add_edge(name, after)
    return graph.add_edge(START, "a").compile(checkpointer)


def raw(checkpointer: Any = None) -> Any:
    """The same three nodes on langgraph alone."""

    async def node(state: State) -> State:
        return {"word": "x"}

    graph: Any = StateGraph(State)
    for name, after in zip(NAMES, (*NAMES[1:], END), strict=True):
        graph.add_node(name, node).add_edge(name, after)
    return graph.add_edge(START, "a").compile(checkpointer=checkpointer)


def routed() -> Any:
    """A node with a route and a fallback, which fails, and the node after it."""

    async def down(state: State) -> State:
        raise OSError

    async def node(state: State) -> State:
        return {"word": "x"}

    graph = Graph(State).add_node("a", down, fallback="c").add_node("b", node).add_node("c", node)
    graph.add_edge(START, "a").add_route("a", lambda state: "b", ["b", "c"])
    return graph.add_edge("b", END).add_edge("c", END).compile()


async def measure(turns: dict[str, Callable[[], Awaitable[Any]]], rounds: int, each: int) -> dict[str, float]:
    """The least CPU time of a turn, in ms, by name."""
    best = dict.fromkeys(turns, float("inf"))
    for number in range(rounds + 1):
        for name, turn in turns.items():
            began = time.process_time()
            for _ in range(each):
                await turn()
            if number:  # the first round warms up
                best[name] = min(best[name], (time.process_time() - began) / each * 1000)
    return best


async def main(rounds: int, each: int) -> dict[str, float]:
    """All figures."""
    given = {"seen": [], "word": ""}
    plain, mine, fails = raw(), ours(), routed()
    figures = await measure(
        {
            "raw": lambda: plain.ainvoke(given),
            "ours": lambda: play(mine, given, run=Run()),
            "ours_ainvoke": lambda: mine.ainvoke(given),
            "failing_over": lambda: play(fails, given, run=Run()),
        },
        rounds,
        each,
    )
    with tempfile.TemporaryDirectory() as folder:
        async with open_store("sqlite", Path(folder) / "t.sqlite", State) as saver:
            kept_raw, kept = raw(saver), ours(saver)
            threads = iter(range(10**9))

            def config() -> Any:
                return {"configurable": {"thread_id": str(next(threads))}}

            figures |= await measure(
                {
                    "raw_sqlite": lambda: kept_raw.ainvoke(given, config(), durability="sync"),
                    "ours_sqlite": lambda: play(kept, given, run=Run(), thread_id=str(next(threads))),
                },
                max(rounds // 4, 2),
                max(each // 4, 2),
            )
    return figures


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print one line of JSON, last")
    options.add_argument("--rounds", type=int, default=150)
    options.add_argument("--each", type=int, default=3)
    asked = options.parse_args()
    found = asyncio.run(main(asked.rounds, asked.each))
    share = found["ours"] / found["raw"]
    kept_share = found["ours_sqlite"] / found["raw_sqlite"]
    step = (found["ours_ainvoke"] - found["raw"]) / len(NAMES) * 1000
    bars = [
        bar("a turn, share of raw langgraph", share, LIMIT),
        bar("a turn kept in sqlite, share of raw langgraph", kept_share, LIMIT),
    ]
    figures = {f"{name}_ms": round(value, 3) for name, value in found.items()} | {"a_step_us": round(step, 1)}
    show("graph", figures, bars, quiet=asked.json)
