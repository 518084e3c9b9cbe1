"""What keeping a thread in sqlite costs: CPU a superstep, and for how long the event loop is held.

    python benchmarks/threads.py [--json] [--rounds N] [--each N] [--postgres URL]

A graph of ten empty nodes in a row, which is langgraph's own, is played without a saver, with our saver and
with langgraph's `AsyncSqliteSaver` (WAL, `synchronous=NORMAL`, durability sync), each turn on a thread of its
own. The rows take turns within each round, and the smallest CPU time of the rounds counts: other load only
adds. CPU is that of this process with all its threads. With the URL of a Postgres database, whose schema
`stretto` is filled, there is a row for that too.

An agent with a scripted model and a tool plays 200 turns of one thread. CPU is the mean of 25 turns, the
smallest of the rounds; bytes are the content of all rows, snapshots included.

The same agent plays threads of four turns in memory, kept by our saver, and by langgraph's `InMemorySaver`
behind our serializer.

The event loop is held for the time of one call of the saver, without the waiting between, while 32 threads at
a time play a chatbot's state of up to 40 messages.
"""

import argparse
import asyncio
import operator
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypedDict
from unittest.mock import patch

from benchmarks_bars import bar, show
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

from stretto import Agent, tool
from stretto._internal.sqlite_file import SqliteFile
from stretto.errors import ThreadError
from stretto.messages import Message, ToolCall
from stretto.testing import ScriptedModel
from stretto.threads.checkpoint import memory
from stretto.threads.checkpoint.serializer import strict_serializer
from stretto.threads.checkpoint.sqlite import open_sqlite
from stretto.threads.stores import open_store
from stretto.threads.tables import prepare

NODES = 10
ADDED, HELD = 0.5, 5.0
"""Milliseconds: of CPU that our saver may add a superstep, and that it may hold the loop at p99."""
GROWTH, MEMORY = 1.5, 1.2
"""What a late turn may write and cost, times an early one; a turn in memory, times langgraph's saver."""
TURNS = 25
"""How many turns are one figure."""


class Cost(NamedTuple):
    """Of one turn."""

    cpu: float
    """Milliseconds."""
    bytes: int
    """In the store after it; looked up every `TURNS`, since it reads all of it."""


class State(TypedDict, total=False):
    """What the nodes write."""

    word: str
    messages: Annotated[list[Message], operator.add]


def graph(saver: Any, *, says: bool = False) -> Any:
    """Ten nodes in a row."""

    async def node(state: State) -> State:
        if not says:
            return {"word": "x"}
        return {"messages": [Message.assistant("There are 23 of them in the store by the river. " * 4)] * 4}

    built: Any = StateGraph(State)
    names = [str(number) for number in range(NODES)]
    for name, after in zip(names, [*names[1:], END], strict=True):
        built.add_node(name, node).add_edge(name, after)
    return built.add_edge(START, "0").compile(checkpointer=saver)


async def theirs(stack: AsyncExitStack, path: Path) -> AsyncSqliteSaver:
    """Langgraph's own saver, with what ours sets."""
    saver = await stack.enter_async_context(AsyncSqliteSaver.from_conn_string(str(path)))
    await saver.setup()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
        await saver.conn.execute(f"PRAGMA {pragma}")
    return saver


async def cost(turn: Callable[[], Awaitable[Any]], each: int) -> float:
    """CPU milliseconds a superstep."""
    before = time.process_time()
    for _ in range(each):
        await turn()
    return (time.process_time() - before) * 1000 / each / NODES


async def supersteps(folder: Path, rounds: int, each: int, postgres: str | None) -> dict[str, float]:
    """CPU milliseconds a superstep, by row."""
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(open_sqlite(folder / "ours.sqlite", State))
        savers = {
            "no saver": None,
            "stretto's": ours,
            "langgraph's": await theirs(stack, folder / "theirs.sqlite"),
        }
        if postgres:
            store = open_store("postgres", postgres, State)
            savers["stretto's in Postgres"] = await stack.enter_async_context(store)
        turns = {name: turn_of(graph(saver)) for name, saver in savers.items()}
        found: dict[str, list[float]] = {name: [] for name in turns}
        for turn in turns.values():
            await cost(turn, 3)
        for _ in range(rounds):
            for name, turn in turns.items():
                found[name].append(await cost(turn, each))
    return {name: min(values) for name, values in found.items()}


def turn_of(compiled: Any) -> Callable[[], Awaitable[Any]]:
    """Plays a turn on a new thread."""
    threads = (f"{time.time_ns()}-{number}" for number in range(1_000_000))

    def turn() -> Awaitable[Any]:
        config = {"configurable": {"thread_id": next(threads)}}
        if compiled.checkpointer is None:
            return compiled.ainvoke({"word": "go"}, config)
        return compiled.ainvoke({"word": "go"}, config, durability="sync")

    return turn


async def held(folder: Path, each: int) -> list[float]:
    """Milliseconds of each call of our saver on the loop, sorted."""
    times: list[float] = []
    async with open_sqlite(folder / "held.sqlite", State) as saver:
        once = saver.file._once

        def timed(work: Any, writes: bool) -> Any:
            before = time.perf_counter()
            try:
                return once(work, writes)
            finally:
                times.append((time.perf_counter() - before) * 1000)

        saver.file._once = timed
        compiled = graph(saver, says=True)
        left = iter(range(each * 32))

        async def play() -> None:
            for number in left:
                config = {"configurable": {"thread_id": str(number)}}
                await compiled.ainvoke({"word": "go"}, config, durability="sync")

        await asyncio.gather(*(play() for _ in range(32)))
    return sorted(times)


@tool
def stock(item: str) -> str:
    """How many there are.

    Args:
        item: Of the shop.
    """
    return f"There are 23 of `{item}` in the store by the river, and 5 more are on their way. " * 3


def shop(**options: Any) -> Agent:
    """An agent that calls its tool once a turn."""
    said = "There are 23 in the store by the river, and the others come in on Tuesday. " * 4

    def answer(asked: Any) -> Any:
        if asked.messages[-1].role == "tool":
            return said
        return ToolCall(f"c{len(asked.messages)}", "stock", '{"item": "lamp"}')

    return Agent(model=ScriptedModel(otherwise=answer), tools=[stock], **options)


async def long_thread(threads: Path | str, turns: int = 8 * TURNS) -> list[Cost]:
    """What each turn of one thread costs."""
    agent = shop(threads=threads)
    found: list[Cost] = []
    await agent.run("How many lamps?", thread_id="warm")
    for number in range(turns):
        before = time.process_time()
        await agent.run(f"How many lamps are there, and when do more come? ({number})", thread_id="t")
        cpu = (time.process_time() - before) * 1000
        found.append(Cost(cpu, 0 if (number + 1) % TURNS else await size_of(agent)))
    await agent.close()
    return found


async def size_of(agent: Agent) -> int:
    """Bytes of content in the agent's threads."""
    saver = (await agent._opened.kept()).compiled.checkpointer
    sizes = "SELECT TOTAL(LENGTH(type) + LENGTH({})) FROM {}"
    columns = [("checkpoint", "checkpoints"), ("value", "writes"), ("content", "items")]
    return await saver.file.transact(
        lambda connection: sum(int(connection.execute(sizes.format(*each)).fetchone()[0]) for each in columns)
    )


async def grown(folder: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """CPU milliseconds and bytes a turn, by the turns they are the mean of."""
    played = [await long_thread(folder / f"long{number}.sqlite") for number in range(rounds)]
    parts: dict[str, tuple[float, float]] = {}
    for first in range(0, len(played[0]), TURNS):
        last = first + TURNS - 1
        cpu = min(sum(each.cpu for each in costs[first : last + 1]) / TURNS for costs in played)
        sizes = played[0]
        parts[f"turns {first + 1}-{last + 1}"] = (
            cpu,
            (sizes[last].bytes - (sizes[first - 1].bytes if first else 0)) / TURNS,
        )
    return parts


async def in_memory(rounds: int, each: int) -> dict[str, float]:
    """CPU milliseconds of a turn in memory, by saver: threads of four turns."""

    @asynccontextmanager
    async def theirs(path: Any, *states: type[Any], **options: Any) -> Any:
        saver: Any = InMemorySaver(serde=strict_serializer(*states))
        saver.file = SqliteFile(":memory:", prepare=prepare, refusal=ThreadError)  # for runs and leases
        yield saver
        saver.file.close()

    agents: dict[str, Agent] = {}
    for name, opens in (("stretto's", memory.open_memory), ("langgraph's", theirs)):
        agents[name] = shop(threads="memory")
        with patch.object(memory, "open_memory", opens):
            await agents[name].run("How many lamps?", thread_id="warm")
    found: dict[str, list[float]] = {name: [] for name in agents}
    numbers = iter(range(1_000_000))
    for _ in range(rounds):
        for name, agent in agents.items():
            before = time.process_time()
            for _ in range(each // 4):
                thread_id = str(next(numbers))
                for _ in range(4):
                    await agent.run("How many lamps?", thread_id=thread_id)
            found[name].append((time.process_time() - before) * 1000 / each)
    for agent in agents.values():
        await agent.close()
    return {name: min(values) for name, values in found.items()}


def main() -> None:
    """Measures, prints, ends with 1 when a bar does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--each", type=int, default=10, help="turns a round")
    parser.add_argument("--postgres", metavar="URL", help="also measure a Postgres database")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        costs = asyncio.run(supersteps(Path(folder), given.rounds, given.each, given.postgres))
        times = asyncio.run(held(Path(folder), given.each))
        parts = asyncio.run(grown(Path(folder), max(1, given.rounds // 5)))
    turns = asyncio.run(in_memory(given.rounds, given.each * 4))
    none, ours, other = costs["no saver"], costs["stretto's"], costs["langgraph's"]
    p99 = times[int(len(times) * 0.99)]
    figures = {f"{name}, CPU ms a superstep": round(value, 3) for name, value in costs.items()}
    figures |= {
        "calls of our saver": len(times),
        "the loop is held, ms at p50": round(times[len(times) // 2], 3),
        "the loop is held, ms at p99": round(p99, 3),
        "the loop is held, ms at most": round(times[-1], 3),
    }
    figures |= {f"{name}, CPU ms a turn": round(cpu, 2) for name, (cpu, _) in parts.items()}
    figures |= {f"{name}, bytes a turn": round(size) for name, (_, size) in parts.items()}
    figures |= {f"{name} in memory, CPU ms a turn": round(value, 3) for name, value in turns.items()}
    (early, second, *_, late) = parts.values()
    bars = [
        bar("our saver adds, CPU ms a superstep", ours - none, ADDED),
        bar("our saver adds, times what langgraph's adds", (ours - none) / (other - none), 1.0),
        bar("our saver holds the loop, ms at p99", p99, HELD),
        bar("bytes of turns 26-50, times turns 1-25", second[1] / early[1], GROWTH),
        bar("bytes of turns 176-200, times turns 1-25", late[1] / early[1], GROWTH),
        bar("CPU of turns 26-50, times turns 1-25", second[0] / early[0], GROWTH),
        bar("CPU of turns 176-200, times turns 1-25", late[0] / early[0], GROWTH),
        bar("a turn in memory, times langgraph's saver", turns["stretto's"] / turns["langgraph's"], MEMORY),
    ]
    show("threads", figures, bars, quiet=given.json)


if __name__ == "__main__":
    main()
