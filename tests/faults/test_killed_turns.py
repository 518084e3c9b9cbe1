"""A turn is killed with SIGKILL and taken up by another process: at most one effect a call, no request twice.

The model gives new call ids and writes its arguments in another way at every request; what takes effect is
noted in an outside file, with fsync. `STRETTO_SEEDS` plays more seeds than these.
"""

import asyncio
import itertools
import json
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from stretto.messages import Text, ToolCall
from stretto.testing import ChatServer

PLAYER = Path(__file__).parent / "turns.py"
REACHED = {"journal": 3, "intent": 2, "effect": 3, "done": 3, "forget_steps": 1}
"""How often a turn comes to each fault point."""
POINTS = [f"{step}.{side}" for step in REACHED for side in ("before", "after")]
SEEDS = int(os.environ.get("STRETTO_SEEDS", "1"))
ROUNDS = [
    [("look", "place", "here"), ("write", "text", "note"), ("pay", "order", "A1")],
    [("pay", "order", "A2")],
]
_ids = itertools.count()


def answer(asked: Any) -> Any:
    """Two rounds of tools and an answer, whoever asks."""
    done = sum(message.role == "tool" for message in asked.messages)
    if done == len(ROUNDS):
        return "Done."
    wide = " " * (next(_ids) % 7)
    calls = [
        ToolCall(f"call_{next(_ids)}", name, f'{{{wide}"{key}":{wide}"{value}"}}')
        for name, key, value in ROUNDS[done]
    ]
    return [Text("Let me see."), *calls]


@asynccontextmanager
async def player() -> AsyncIterator[Callable[[dict[str, Any]], Any]]:
    """Plays cases in processes of their own."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, str(PLAYER), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert program.stdin and program.stdout

    async def play(case: dict[str, Any]) -> dict[str, Any]:
        assert program.stdin and program.stdout
        program.stdin.write(json.dumps(case).encode() + b"\n")
        return json.loads(await program.stdout.readline())

    assert await program.stdout.readline() == b"ready\n"
    try:
        yield play
    finally:
        program.stdin.close()
        await program.wait()


async def killed_and_gone_on(play: Any, case: dict[str, Any], chance: random.Random) -> bool:
    """Plays a case to its end over all kills; returns whether it was killed."""
    async with ChatServer(otherwise=answer) as server:
        case["url"] = server.url
        said = await play(case)
        first, journalled = len(server.requests), Counter(noted(case))["journalled"]
        killed = bool(said.get("killed"))
        case |= {"kill": [], "after": 0, "again": True}
        while said.get("killed") or said.get("questions"):
            if questions := said.get("questions"):
                decided = chance.choice(["leave it", "it took effect"])
                case["answers"] = dict.fromkeys(questions, decided)
                case["again"] = False
            said = await play(case)
        assert said.get("output") == "Let me see.\n\nLet me see.\n\nDone.", said
        if journalled:  # before that the turn may not even have begun
            assert len(server.requests) - first == 3 - journalled
    return killed


def noted(case: dict[str, Any]) -> list[str]:
    path = Path(case["log"])
    return path.read_text().splitlines() if path.exists() else []


def held(case: dict[str, Any]) -> None:
    """The oracle: what the outside file says."""
    effects = Counter(line for line in noted(case) if line.startswith("pay"))
    assert set(effects.values()) <= {1}, effects
    assert Counter(line.split()[2] for line in effects) <= Counter({"A1": 1, "A2": 1})
    written = {line for line in noted(case) if line.startswith("write")}
    assert len(written) == 1, written  # one key: whoever takes it knows the second for the first


@pytest.mark.slow
@pytest.mark.parametrize("knows", [True, False], ids=["reconcile", "person"])
async def test_a_turn_killed_at_any_fault_point_does_nothing_twice(knows: bool, tmp_path: Path) -> None:
    kills = 0
    async with player() as play:
        for number, (point, seed) in enumerate(itertools.product(POINTS, range(SEEDS))):
            chance = random.Random(f"{point}{seed}")
            most = REACHED[point.partition(".")[0]]
            case: dict[str, Any] = {
                "threads": str(tmp_path / f"{number}.sqlite"),
                "log": str(tmp_path / f"{number}.log"),
                "kill": [point, chance.randint(1, most)],
                "knows": knows,
            }
            kills += await killed_and_gone_on(play, case, chance)
            held(case)
    assert kills == len(POINTS) * SEEDS


@pytest.mark.slow
async def test_a_turn_killed_at_any_time_does_nothing_twice(tmp_path: Path) -> None:
    chance = random.Random(8)
    kills = 0
    async with player() as play:
        for number in range(8 * SEEDS):
            case: dict[str, Any] = {
                "threads": str(tmp_path / f"{number}.sqlite"),
                "log": str(tmp_path / f"{number}.log"),
                "after": chance.uniform(0.005, 0.15),
                "knows": bool(number % 2),
            }
            kills += await killed_and_gone_on(play, case, chance)
            held(case)
    assert kills
