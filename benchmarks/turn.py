"""CPU of one agent turn: 2 streamed calls, 1 tool, 200 tokens in a burst; the server is a process of its own.

Each row parses and validates the tool's arguments, keeps the history, and is void unless the joined text
and the count of chunks are exact. Persistence and tracing are off. Figures are CPU of this process, the
median of 7.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec
import openai
from benchmarks_bars import bar, show
from servers.turn_server import CHUNKS, TEXT, TEXT_TOKENS

from stretto import tool
from stretto.context import RunContext
from stretto.events import RunFinished, TextDelta
from stretto.messages import Message
from stretto.models import Model
from stretto.models.protocol import ChatModel, Reply, TextPiece
from stretto.tools.execute import execute

ROUNDS = 7
QUESTION = "What will the weather be in Paris in the next three days?"
Row = Callable[[], Awaitable[None]]


class Void(Exception):
    """A row did not do the work it is measured for."""


def check(text: str, chunks: int, expected: int) -> None:
    """Refuses a turn whose text or count of chunks is not exact."""
    if text != TEXT or chunks != expected:
        raise Void(f"{chunks} chunks for {expected}, {len(text)} characters for {len(TEXT)}")


# ---- the bare loop: aiohttp and msgspec, nothing of ours


class Function(msgspec.Struct):
    """The function of a call."""

    name: str | None = None
    arguments: str = ""


class Call(msgspec.Struct):
    """A piece of a tool call."""

    index: int = 0
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct):
    """What a chunk adds."""

    content: str | None = None
    tool_calls: list[Call] | None = None


class Choice(msgspec.Struct):
    """One of a chunk's answers."""

    delta: Delta
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    """One event of the stream."""

    choices: list[Choice]
    usage: dict[str, Any] | None = None


class Arguments(msgspec.Struct, forbid_unknown_fields=True):
    """What `forecast` takes."""

    city: Literal["Paris", "Oslo"]
    days: int
    note: str = ""


DECODE = msgspec.json.Decoder(Chunk).decode
SPEC = {
    "type": "function",
    "function": {
        "name": "forecast",
        "description": "The weather of the next days.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "enum": ["Paris", "Oslo"]},
                "days": {"type": "integer"},
                "note": {"type": "string"},
            },
            "required": ["city", "days"],
        },
    },
}


async def bare_call(
    session: aiohttp.ClientSession, url: str, history: list[Any]
) -> tuple[str, list[Any], int]:
    """One streamed call: the text, the tool call's id, name and arguments, the chunks."""
    texts: list[str] = []
    call: list[Any] = []
    chunks, rest, finish = 0, b"", None
    body = {
        "model": "scripted",
        "messages": history,
        "tools": [SPEC],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    headers = {"Content-Type": "application/json"}
    async with session.post(url, data=msgspec.json.encode(body), headers=headers) as response:
        async for data in response.content.iter_any():
            lines = (rest + data).split(b"\n")
            rest = lines.pop()
            for line in lines:
                if not line.startswith(b"data: ") or line == b"data: [DONE]":
                    continue
                chunk = DECODE(line[6:])
                chunks += 1
                for choice in chunk.choices:
                    finish = choice.finish_reason or finish
                    if choice.delta.content:
                        texts.append(choice.delta.content)
                    for part in choice.delta.tool_calls or ():
                        if part.id:
                            call = [part.id, part.function.name, []]
                        call[2].append(part.function.arguments)
    if finish is None:
        raise Void("no finish_reason")
    return "".join(texts), call, chunks


async def bare_turn(session: aiohttp.ClientSession, url: str) -> None:
    """The whole turn without a framework."""
    history: list[Any] = [{"role": "user", "content": QUESTION}]
    text, call, chunks = await bare_call(session, url, history)
    id, name, arguments = call[0], call[1], "".join(call[2])
    wish = msgspec.json.decode(arguments, type=Arguments)
    function = {"name": name, "arguments": arguments}
    history.append(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": id, "type": "function", "function": function}],
        }
    )
    history.append(
        {"role": "tool", "tool_call_id": id, "content": f"Sunny in {wish.city} for {wish.days} days."}
    )
    text, _, more = await bare_call(session, url, history)
    history.append({"role": "assistant", "content": text})
    check(text, chunks + more, CHUNKS)


# ---- ours


@tool
async def forecast(city: Literal["Paris", "Oslo"], days: int, note: str = "") -> str:
    """The weather of the next days."""
    return f"Sunny in {city} for {days} days."


async def model_turn(model: ChatModel) -> None:
    """The turn on a ChatModel in a plain loop, with our tool execution."""
    history = [Message.user(QUESTION)]
    context = RunContext()
    texts: list[str] = []
    chunks = 0
    while True:
        async for piece in model.stream(history, tools=[forecast.spec]):
            if isinstance(piece, TextPiece):
                texts.append(piece.text)
            elif isinstance(piece, Reply):
                chunks += piece.chunks
                history.append(piece.message)
        if not history[-1].tool_calls:
            break
        history.append(Message.tool(*await execute(history[-1].tool_calls, {"forecast": forecast}, context)))
    check("".join(texts), chunks, CHUNKS)


async def agent_turn(agent: Any) -> None:
    """The turn of an Agent, by its events."""
    texts: list[str] = []
    chunks, status = 0, ""
    async for event in agent.stream(QUESTION):
        if isinstance(event, TextDelta):
            texts.append(event.text)
            chunks += event.chunks
        elif isinstance(event, RunFinished):
            status = event.status
    if status != "done":
        raise Void(f"the run ended as {status!r}")
    check("".join(texts), chunks, TEXT_TOKENS)


# ---- measuring


@contextmanager
def server() -> Any:
    """The endpoint in a process of its own; gives its address."""
    script = Path(__file__).parent / "servers" / "turn_server.py"
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


async def cost(row: Row, turns: int) -> float:
    """CPU milliseconds a turn."""
    before = time.process_time()
    for _ in range(turns):
        await row()
    return (time.process_time() - before) * 1000 / turns


async def measure(url: str, turns: int, only: list[str]) -> dict[str, float]:
    """The median of each row; the rows take turns, so that a noisy minute meets all of them."""
    model = Model("compatible:scripted", base_url=url)
    client = openai.AsyncOpenAI(base_url=url, api_key="none")
    adapter = Model("openai:scripted", client=client)
    agent = None
    if not only or "stretto" in only:
        from stretto import Agent  # only where its row is measured: it costs a second

        agent = Agent(model=model, tools=[forecast], threads=None)
    async with aiohttp.ClientSession() as session:
        rows: dict[str, Row] = {
            "bare": lambda: bare_turn(session, f"{url}/chat/completions"),
            "wire": lambda: model_turn(model),
            "openai client": lambda: model_turn(adapter),
            "stretto": lambda: agent_turn(agent),
        }
        rows = {name: row for name, row in rows.items() if not only or name in only}
        figures: dict[str, list[float]] = {name: [] for name in rows}
        for row in rows.values():
            await cost(row, 10)
        for _ in range(ROUNDS):
            for name, row in rows.items():
                figures[name].append(await cost(row, turns))
    if agent is not None:
        await agent.close()
    await model.close()
    await client.close()
    return {name: round(statistics.median(values), 3) for name, values in figures.items()}


def main() -> None:
    """Measures, prints, ends with 1 when a bar does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--turns", type=int, default=100, help="turns a round")
    parser.add_argument("--rows", default="", help="names of rows, with commas; all where empty")
    given = parser.parse_args()
    with server() as url:
        figures = asyncio.run(measure(url, given.turns, [row for row in given.rows.split(",") if row]))
    bars = []
    if "bare" in figures:
        bars.append(bar("bare loop, CPU ms a turn", figures["bare"], 1.8, below=True))
        if "stretto" in figures:
            bars.append(bar("stretto, times the bare loop", figures["stretto"] / figures["bare"], 4.0))
    show("turn", {f"{name}_ms": value for name, value in figures.items()}, bars, quiet=given.json)


if __name__ == "__main__":
    main()
