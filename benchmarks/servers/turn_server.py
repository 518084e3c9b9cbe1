"""The endpoint of `benchmarks/turn.py`: a tool call, then a text, 200 tokens in all, each in one write."""

import asyncio

from stretto.messages import ToolCall
from stretto.testing.chat_server import ChatServer, serve
from stretto.testing.scripted import Request

ARGUMENTS = '{"city": "Paris", "days": 3, "note": "' + " ".join(f"w{i}" for i in range(15)) + '"}'
TEXT = " ".join(f"word{i}" for i in range(180))
CALL_TOKENS, TEXT_TOKENS = 20, 180
CHUNKS = (1 + 1 + CALL_TOKENS + 2) + (1 + TEXT_TOKENS + 2)
"""The role, the head of the call, its tokens, the end, the usage; the role, tokens, the end, the usage."""


def answer(request: Request) -> str | ToolCall:
    """The text after a tool result, else the call."""
    if request.messages[-1].role == "tool":
        return TEXT
    return ToolCall("", "forecast", ARGUMENTS)


if __name__ == "__main__":
    asyncio.run(serve(ChatServer(otherwise=answer, context=1 << 30)))
