"""CPU of one agent turn: 2 streamed calls, 1 tool, 200 tokens in a burst; the server is a process of its own.

Each row parses and validates the tool's arguments, keeps the history, and is void unless the joined text
and the count of chunks are exact. Rows are measured at 1 and at 50 turns at a time. `stretto` keeps no thread
and writes no log; `stretto kept` keeps threads in sqlite and logs at INFO, `stretto encrypted` with a key.

Figures are CPU of this process with all its threads. Python's full collections look at the whole heap, most
of it imports, for some 45 ms each: one that falls into a round would count as a turn's cost, and one that
does not as none. So each row's figure is the median of 7 rounds without them, and its full collections in
all rounds, spread over all its turns.
"""

import argparse
import asyncio
import gc
import logging
import os
import secrets
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
from benchmarks_bars import bar, show
from servers.turn_server import started
from turns.bare import bare_turn
from turns.ours import agent_turn, forecast, model_turn

from stretto.models import Model

ROUNDS = 7
AT_ONCE = (1, 50)
SLOW = "langgraph + openai chunks"
"""The row that takes its time: it gets a tenth of the turns."""


class Collections:
    """The CPU of full garbage collections, as they come."""

    def __init__(self) -> None:
        self.seconds = self._began = 0.0

    def __call__(self, phase: str, about: dict[str, int]) -> None:
        """Is told by Python of the begin and the end of each collection."""
        if about["generation"] < 2:
            return
        if phase == "start":
            self._began = time.process_time()
        else:
            self.seconds += time.process_time() - self._began


class Cost(NamedTuple):
    """CPU milliseconds a turn."""

    turn: float
    collections: float


class Row(NamedTuple):
    """One way to play the turn."""

    turn: Callable[[], Awaitable[None]]
    logs: bool = False


@contextmanager
def logging_on(wanted: bool) -> Iterator[None]:
    """Logs runs at INFO to nowhere, formatted."""
    if not wanted:
        yield
        return
    logger = logging.getLogger("stretto")
    with open(os.devnull, "w") as nowhere:
        handler = logging.StreamHandler(nowhere)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)


async def cost(row: Row, turns: int, at_once: int) -> Cost:
    """What a turn of a round costs, and what it bears of full collections."""
    full = Collections()
    left = iter(range(turns))

    async def play() -> None:
        for _ in left:
            await row.turn()

    with logging_on(row.logs):
        gc.callbacks.append(full)
        before = time.process_time()
        try:
            await asyncio.gather(*(play() for _ in range(min(at_once, turns))))
            spent = time.process_time() - before - full.seconds
        finally:
            gc.callbacks.remove(full)
    return Cost(spent * 1000 / turns, full.seconds * 1000 / turns)


@asynccontextmanager
async def opened(url: str, only: list[str]) -> AsyncIterator[dict[str, Row]]:
    """The rows, with what they need open. What a row alone imports is loaded where it is measured."""
    rows: dict[str, Row] = {}

    def wanted(name: str) -> bool:
        return not only or name in only

    async with AsyncExitStack() as stack:
        model = Model("compatible:scripted", base_url=url)
        stack.push_async_callback(model.close)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        if wanted("bare"):
            rows["bare"] = Row(lambda: bare_turn(session, f"{url}/chat/completions"))
        if wanted("wire"):
            rows["wire"] = Row(lambda: model_turn(model))
        if wanted("openai client") or wanted(SLOW):
            import openai
            from turns.openai_chunks import chunk_turn, graph_of

            client = await stack.enter_async_context(openai.AsyncOpenAI(base_url=url, api_key="none"))
            adapter, graph = Model("openai:scripted", client=client), graph_of(client)
            rows |= {
                name: row
                for name, row in (
                    ("openai client", Row(lambda: model_turn(adapter))),
                    (SLOW, Row(lambda: chunk_turn(graph))),
                )
                if wanted(name)
            }
        if any(map(wanted, ("stretto", "stretto kept", "stretto encrypted"))):
            from stretto import Agent

            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            agent = Agent(model=model, tools=[forecast], threads=None)
            kept = Agent(model=model, tools=[forecast], threads=folder / "threads.sqlite")
            stack.push_async_callback(kept.close)
            key = secrets.token_hex(32)
            hidden = Agent(model=model, tools=[forecast], threads=folder / "hidden.sqlite", threads_key=key)
            stack.push_async_callback(hidden.close)
            if wanted("stretto"):
                rows["stretto"] = Row(lambda: agent_turn(agent))
            if wanted("stretto kept"):
                rows["stretto kept"] = Row(lambda: agent_turn(kept, uuid.uuid4().hex), logs=True)
            if wanted("stretto encrypted"):
                rows["stretto encrypted"] = Row(lambda: agent_turn(hidden, uuid.uuid4().hex), logs=True)
        yield rows


async def measure(url: str, turns: int, at_once: int, only: list[str]) -> dict[str, float]:
    """The figure of each row; the rows take turns, so that a noisy minute meets all of them."""
    async with opened(url, only) as rows:
        share = {name: max(at_once, turns // 10) if name == SLOW else turns for name in rows}
        figures: dict[str, list[Cost]] = {name: [] for name in rows}
        for row in rows.values():
            await cost(row, max(10, at_once), at_once)
        for _ in range(ROUNDS):
            for name, row in rows.items():
                figures[name].append(await cost(row, share[name], at_once))
    return {
        name: round(
            statistics.median(cost.turn for cost in costs)
            + statistics.mean(cost.collections for cost in costs),
            3,
        )
        for name, costs in figures.items()
    }


def bars_of(figures: dict[str, float], at_once: int) -> list[dict[str, object]]:
    """The bars that these rows can be held to."""
    where = "" if at_once == 1 else f", {at_once} at a time"
    bars = []
    bare, slow, ours, kept = (figures.get(name) for name in ("bare", SLOW, "stretto", "stretto kept"))
    if bare and at_once == 1:
        bars.append(bar("bare loop, CPU ms a turn (else void)", bare, 1.8, below=True))
    if slow and at_once == 1:
        bars.append(bar(f"{SLOW}, CPU ms a turn (else void)", slow, 60.0, below=True))
    if bare and ours:
        bars.append(bar(f"stretto, times the bare loop{where}", ours / bare, 3.0))
    if slow and ours:
        bars.append(bar(f"stretto, times {SLOW}{where}", ours / slow, 0.0833))
    if bare and kept:
        bars.append(bar(f"stretto kept and logged, times the bare loop{where}", kept / bare, 6.0))
    return bars


def main() -> None:
    """Measures, prints, ends with 1 when a bar does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--turns", type=int, default=300, help="turns a round")
    parser.add_argument("--rows", default="", help="names of rows, with commas; all where empty")
    parser.add_argument("--at-once", type=int, choices=AT_ONCE, help="only at 1, or only at 50, at a time")
    given = parser.parse_args()
    only = [row for row in given.rows.split(",") if row]
    figures: dict[str, float] = {}
    bars = []
    with started() as url:
        for at_once in [given.at_once] if given.at_once else AT_ONCE:
            found = asyncio.run(measure(url, given.turns, at_once, only))
            bars += bars_of(found, at_once)
            figures |= {f"{name}, {at_once} at a time, ms": value for name, value in found.items()}
    show("turn", figures, bars, quiet=given.json)


if __name__ == "__main__":
    main()
