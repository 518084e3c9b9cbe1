"""The turn on aiohttp and msgspec alone: what the work itself costs. Nothing of ours but the text."""

from typing import Any, Literal

import aiohttp
import msgspec
from servers.turn_server import CHUNKS, TEXT
from turns.question import QUESTION

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


class Void(Exception):
    """A row did not do the work it is measured for."""


def check(text: str, chunks: int, expected: int) -> None:
    """Refuses a turn whose text or count of chunks is not exact."""
    if text != TEXT or chunks != expected:
        raise Void(f"{chunks} chunks for {expected}, {len(text)} characters for {len(TEXT)}")


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


def body_of(history: list[Any]) -> dict[str, Any]:
    """The request of one call."""
    return {
        "model": "scripted",
        "messages": history,
        "tools": [SPEC],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def bare_call(
    session: aiohttp.ClientSession, url: str, history: list[Any]
) -> tuple[str, list[Any], int]:
    """One streamed call: the text, the tool call's id, name and arguments, the chunks."""
    texts: list[str] = []
    call: list[Any] = []
    chunks, rest, finish = 0, b"", None
    headers = {"Content-Type": "application/json"}
    async with session.post(url, data=msgspec.json.encode(body_of(history)), headers=headers) as response:
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


def call_message(id: str, name: str, arguments: str) -> dict[str, Any]:
    """The assistant's message that calls the tool."""
    function = {"name": name, "arguments": arguments}
    calls = [{"id": id, "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result_message(id: str, arguments: str) -> dict[str, Any]:
    """The tool's answer; the arguments are parsed and validated."""
    wish = msgspec.json.decode(arguments, type=Arguments)
    return {"role": "tool", "tool_call_id": id, "content": f"Sunny in {wish.city} for {wish.days} days."}


async def bare_turn(session: aiohttp.ClientSession, url: str) -> None:
    """The whole turn without a framework. `url` is that of the chat completions."""
    history: list[Any] = [{"role": "user", "content": QUESTION}]
    text, call, chunks = await bare_call(session, url, history)
    id, name, arguments = call[0], call[1], "".join(call[2])
    history += [call_message(id, name, arguments), result_message(id, arguments)]
    text, _, more = await bare_call(session, url, history)
    history.append({"role": "assistant", "content": text})
    check(text, chunks + more, CHUNKS)
