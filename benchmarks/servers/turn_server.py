"""The endpoint of `turn.py`, `paced.py` and `peers/`: a tool call, then a text, 200 tokens in all.

`python turn_server.py SECONDS`: seconds between two chunks; 0 or nothing: each answer in one write.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ARGUMENTS = '{"city": "Paris", "days": 3, "note": "' + " ".join(f"w{i}" for i in range(15)) + '"}'
TEXT = " ".join(f"word{i}" for i in range(180))
CALL_TOKENS, TEXT_TOKENS = 20, 180
CHUNKS = (1 + 1 + CALL_TOKENS + 2) + (1 + TEXT_TOKENS + 2)
"""The role, the head of the call, its tokens, the end, the usage; the role, tokens, the end, the usage."""


@contextmanager
def started(pace: float = 0.0, python: str = sys.executable) -> Iterator[str]:
    """The endpoint in a process of its own; gives its address."""
    process = subprocess.Popen([python, __file__, str(pace)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def main(pace: float) -> None:
    """Serves until it is ended."""
    from stretto.messages import ToolCall
    from stretto.testing.chat_server import ChatServer, serve
    from stretto.testing.scripted import Request

    def answer(request: Request) -> str | ToolCall:
        """The text after a tool result, else the call."""
        if request.messages[-1].role == "tool":
            return TEXT
        return ToolCall("", "forecast", ARGUMENTS)

    asyncio.run(serve(ChatServer(otherwise=answer, context=1 << 30, pace=pace)))


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 0.0)
