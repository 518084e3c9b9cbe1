"""Measures one peer in its own environment: knows neither the peer nor Stretto.

A peer's file defines `turn(url)`, which builds its agent and gives a function that plays one turn and returns
the pieces of text it saw. The joined text is checked; how many pieces there were is told, for not every peer
lets one see each chunk.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from servers.turn_server import TEXT

Turn = Callable[[], Awaitable[list[str]]]
ROUNDS = 7


async def played(turn: Turn, turns: int) -> dict[str, float]:
    """The median of the rounds, in ms of CPU a turn, and the pieces of text of a turn."""
    figures: list[float] = []
    pieces: list[str] = []
    for number in range(ROUNDS + 1):
        before = time.process_time()
        for _ in range(turns):
            pieces = await turn()
            if "".join(pieces) != TEXT:
                raise SystemExit(f"void: {len(''.join(pieces))} characters for {len(TEXT)}")
        if number:  # the first round warms up
            figures.append((time.process_time() - before) * 1000 / turns)
    return {"ms": round(statistics.median(figures), 2), "pieces": len([piece for piece in pieces if piece])}


def main(turn: Callable[[str], Turn]) -> None:
    """The program of a peer's file: `python FILE URL TURNS`, one line of JSON."""

    async def run() -> dict[str, float]:
        return await played(turn(sys.argv[1]), int(sys.argv[2]))

    print(json.dumps(asyncio.run(run())))
