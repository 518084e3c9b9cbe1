"""Time to the first token when one of three endpoints is ten times slower: a pool, and round-robin beside it.

2,000 arrivals, open loop (they come at their time, whoever waits), at half the capacity of the two healthy
endpoints; first-token times are log-normal; the endpoints are another process. Also what a pool adds to a
call, on the clock and in CPU. Prints its seeds.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks_bars import bar, show

from stretto.errors import ModelError
from stretto.messages import Message
from stretto.models import Model
from stretto.models.pool import Pool
from stretto.models.protocol import ChatModel, TextPiece, complete
from stretto.settings import ModelSettings
from stretto.testing import FaultyServer, ScriptedModel

ASK = [Message.user("Tell me a word.")]
SEED = 20
MEDIAN, SIGMA, SLOTS = 0.05, 0.5, 8
"""Seconds to the first token of a healthy endpoint; requests it serves at once."""
MEAN = MEDIAN * 2.718281828 ** (SIGMA**2 / 2)
RATE = 0.5 * 2 * SLOTS / MEAN
"""Arrivals a second."""


@contextmanager
def endpoints(seed: int, times: float) -> Iterator[list[str]]:
    """Three endpoints, the third `times` as slow; gives their addresses."""
    script = Path(__file__).parent / "servers" / "tail_server.py"
    given = [sys.executable, str(script), str(seed), str(times), str(MEDIAN), str(SLOTS)]
    process = subprocess.Popen(given, stdout=subprocess.PIPE, text=True)
    try:
        yield [process.stdout.readline().strip() for _ in range(3)]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


class Noting:
    """A model that notes when each of its calls spoke."""

    def __init__(self, model: ChatModel) -> None:
        self._model, self.name, self.capabilities = model, model.name, model.capabilities
        self.spoke = 0.0

    async def stream(self, messages: Any, **options: Any) -> Any:
        """The model's answer."""
        async for piece in self._model.stream(messages, **options):
            self.spoke = self.spoke or time.perf_counter()
            yield piece

    async def close(self) -> None:
        """Leaves the model to whoever made it."""


class RoundRobin:
    """What most frameworks do: each model in turn."""

    def __init__(self, models: list[ChatModel]) -> None:
        self._turn = itertools.cycle(models)

    def stream(self, messages: Any) -> Any:
        """The next model's answer."""
        return next(self._turn).stream(messages)


async def first_token(model: Any, at: float) -> float:
    """Seconds from the time `at` which the call was due to its first token; the answer is read to its end."""
    await asyncio.sleep(max(0.0, at - time.monotonic()))
    first = 0.0
    async for piece in model.stream(ASK):
        if not first and isinstance(piece, TextPiece):
            first = time.monotonic() - at
    return first


async def run(kind: str, urls: list[str], arrivals: int, seed: int) -> dict[str, float]:
    """Plays all arrivals; milliseconds to the first token."""
    models = [Model(f"compatible:m{number}", base_url=url) for number, url in enumerate(urls)]
    if kind == "round_robin":
        model: Any = RoundRobin(models)
    else:
        model = Pool(models, hedge=kind == "hedged", random=random.Random(seed))
    source = random.Random(seed)
    at, due = time.monotonic() + 0.2, []
    for _ in range(arrivals):
        at += source.expovariate(RATE)
        due.append(first_token(model, at))
    took = sorted(await asyncio.gather(*due))
    for one in models:
        await one.close()
    sent = {f"sent_m{n}": one.sent for n, one in enumerate(model.status())} if kind != "round_robin" else {}
    return {
        "p50": 1000 * took[len(took) // 2],
        "p95": 1000 * took[int(0.95 * len(took))],
        "p99": 1000 * took[int(0.99 * len(took))],
        "max": 1000 * took[-1],
        **sent,
    }


async def delay(url: str, hedge: bool) -> float:
    """Milliseconds from the endpoint's first token to the pool's, the worst of 100 of 101 calls."""
    model = Model("compatible:m", base_url=url)
    noting = Noting(model)
    pool = Pool([noting, noting], hedge=hedge)
    later = []
    for _ in range(101 + 20):
        noting.spoke = 0.0
        async for piece in pool.stream(ASK):
            if isinstance(piece, TextPiece):
                later.append((time.perf_counter() - noting.spoke) * 1000)
                break
    await model.close()
    return sorted(later[20:])[-2]


async def late() -> float:
    """Milliseconds after its deadline that a call ends when no endpoint says a word; the worst of 20."""
    worst = 0.0
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(FaultyServer(faults="stall_at_headers")) for _ in range(3)]
        models = [Model(f"compatible:m{number}", base_url=one.url) for number, one in enumerate(servers)]
        for _ in range(20):
            began = time.monotonic()
            try:
                await complete(Pool(models, breaker=False), ASK, settings=ModelSettings(timeout=0.3))
            except ModelError:
                worst = max(worst, 1000 * (time.monotonic() - began - 0.3))
        for model in models:
            await model.close()
    return worst


async def added() -> dict[str, float]:
    """What a pool adds to one call, in us of CPU over the model alone."""
    scripted = ScriptedModel(otherwise=lambda request: "word")
    rows: dict[str, ChatModel] = {"alone": scripted, "one": Pool([scripted]), "three": Pool([scripted] * 3)}
    figures: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(7):
        for name, model in rows.items():
            began = time.process_time()
            for _ in range(1000):
                async for _ in model.stream(ASK):
                    pass
            figures[name].append((time.process_time() - began) * 1000)
    alone, one, three = (statistics.median(figures[name]) for name in rows)
    return {"pool_of_one_us": round(one - alone, 1), "pool_of_three_us": round(three - alone, 1)}


def main() -> None:
    """Measures, prints, ends with 1 when a bar does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--arrivals", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3, help="of each row, with a seed each; medians count")
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    print(f"seed {given.seed}, {RATE:.0f} arrivals a second", file=sys.stderr)
    rows: dict[str, dict[str, float]] = {}
    for kind, times in itertools.product(("plain", "hedged", "round_robin"), (1.0, 10.0)):
        name = f"{kind}_{'healthy' if times == 1.0 else 'one_slow'}"
        rounds = []
        for number in range(1 if kind == "round_robin" else given.rounds):
            with endpoints(given.seed + number, times) as urls:
                rounds.append(asyncio.run(run(kind, urls, given.arrivals, given.seed + number)))
        rows[name] = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        if not given.json:
            print(f"{name:24}", {key: round(value, 1) for key, value in rows[name].items()}, flush=True)
    with endpoints(given.seed, 1.0) as urls:
        cost = {
            "first_token_later_ms": round(asyncio.run(delay(urls[0], False)), 3),
            "hedged_first_token_later_ms": round(asyncio.run(delay(urls[1], True)), 3),
            "all_down_late_ms": round(asyncio.run(late()), 3),
            **asyncio.run(added()),
        }
    base = rows["plain_healthy"]["p99"]
    bars = [
        bar(
            "p99 to the first token, one slow, times three healthy", rows["plain_one_slow"]["p99"] / base, 2.0
        ),
        bar("the same, both hedged", rows["hedged_one_slow"]["p99"] / rows["hedged_healthy"]["p99"], 1.5),
        bar("hedged and one slow, times three healthy unhedged", rows["hedged_one_slow"]["p99"] / base, 1.5),
        bar("first token after the endpoint's, ms", cost["first_token_later_ms"], 5.0),
        bar("the same, hedged", cost["hedged_first_token_later_ms"], 5.0),
        bar("all endpoints silent: error after the deadline, ms", cost["all_down_late_ms"], 100.0),
        bar("a pool of one adds, CPU us a call", cost["pool_of_one_us"], 100, below=True),
    ]
    figures = {f"{name}_{key}": round(value, 1) for name, row in rows.items() for key, value in row.items()}
    show("pool_tail", {"seed": given.seed, **cost, **figures}, bars, quiet=given.json)


if __name__ == "__main__":
    main()
