"""What the tests of faults share: a program that plays cases, each in a process of its own."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest


@asynccontextmanager
async def _playing(program: Path) -> AsyncIterator[Callable[[dict[str, Any]], Any]]:
    started = await asyncio.create_subprocess_exec(
        sys.executable, str(program), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert started.stdin and started.stdout

    async def play(case: dict[str, Any]) -> dict[str, Any]:
        assert started.stdin and started.stdout
        started.stdin.write(json.dumps(case).encode() + b"\n")
        return json.loads(await started.stdout.readline())

    assert await started.stdout.readline() == b"ready\n"
    try:
        yield play
    finally:
        started.stdin.close()
        await started.wait()


@pytest.fixture
def playing() -> Any:
    """`async with playing(program) as play`: `await play(case)` gives what the program says of a case."""
    return _playing
