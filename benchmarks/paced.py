"""CPU of a token when tokens come 20 ms apart, in 10 turns at a time; the server is a process of its own.

The turn is that of `turn.py`: 2 streamed calls, 1 tool, 200 tokens. A row is void unless the joined text and
the count of chunks are exact. Figures are microseconds of CPU a token of this process, the median of rounds.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from benchmarks_bars import bar, show
from servers.turn_server import CALL_TOKENS, TEXT_TOKENS, started
from turns.bare import bare_turn
from turns.ours import agent_turn, forecast, model_turn

from stretto import Agent
from stretto.models import Model

PACE = 0.02
AT_ONCE = 10
TOKENS = CALL_TOKENS + TEXT_TOKENS


async def cost(turn: Callable[[], Awaitable[None]]) -> float:
    """CPU microseconds a token, `AT_ONCE` turns side by side."""
    before = time.process_time()
    await asyncio.gather(*(turn() for _ in range(AT_ONCE)))
    return (time.process_time() - before) * 1e6 / (AT_ONCE * TOKENS)


async def measure(url: str, rounds: int) -> dict[str, float]:
    """The median of each row; the rows take turns."""
    model = Model("compatible:scripted", base_url=url)
    agent: Any = Agent(model=model, tools=[forecast], threads=None)
    async with aiohttp.ClientSession() as session:
        rows: dict[str, Callable[[], Awaitable[None]]] = {
            "bare": lambda: bare_turn(session, f"{url}/chat/completions"),
            "wire": lambda: model_turn(model),
            "stretto": lambda: agent_turn(agent),
        }
        figures: dict[str, list[float]] = {name: [] for name in rows}
        for number in range(rounds + 1):
            for name, turn in rows.items():
                spent = await cost(turn)
                if number:  # the first round warms up
                    figures[name].append(spent)
    await agent.close()
    return {name: round(statistics.median(values), 1) for name, values in figures.items()}


def main() -> None:
    """Measures, prints, ends with 1 when a bar does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of 5 s a row")
    given = parser.parse_args()
    with started(PACE) as url:
        figures = asyncio.run(measure(url, given.rounds))
    bars = [bar("stretto, times the bare loop, a token", figures["stretto"] / figures["bare"], 1.5)]
    show("paced", {f"{name}_us": value for name, value in figures.items()}, bars, quiet=given.json)


if __name__ == "__main__":
    main()
