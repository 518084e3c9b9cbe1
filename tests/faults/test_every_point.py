"""A process is killed at every named fault point, and at any time: the next one finds what was acknowledged.

`story.py` plays, and is its own oracle; here is the endpoint, which counts what it is asked. `STRETTO_SEEDS`
plays more seeds a point than two, and `make faults` sets it.
"""

import asyncio
import itertools
import os
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import stretto
from stretto.messages import Text, ToolCall
from stretto.testing import ChatServer

PLAYER = Path(__file__).parent / "story.py"
SOURCE = Path(stretto.__file__).parent
SEEDS = int(os.environ.get("STRETTO_SEEDS", "2"))
TIMES = int(os.environ.get("STRETTO_FAULT_TIMES", "20"))
LANES = 2
ROUNDS: dict[str, list[list[tuple[str, str, str]]]] = {
    "Do it.": [
        [("look", "place", "here"), ("write", "text", "note"), ("pay", "order", "A1")],
        [("pay", "order", "A2")],
    ],
    "Send it.": [[("send", "to", "ann")]],
}
ASKED = 1 + 3 + 2 + 1 + 2
"""Requests of a story that is not killed; the last ones are for summaries."""
PAID = ["A1", "A2", "ann"]
_ids = itertools.count()


def points() -> set[str]:
    """The fault points in the source."""
    texts = [path.read_text() for path in SOURCE.rglob("*.py")]
    return {name for text in texts for name in re.findall(r'\breach\("([a-z_.]+)"\)', text)}


def is_summary(asked: Any) -> bool:
    return "Write down what the" in asked.messages[-1].text


def answer(asked: Any) -> Any:
    """The calls of a question round by round, with other ids and other spaces each time, and its answer."""
    if is_summary(asked):
        return "All went well."
    last = max(place for place, message in enumerate(asked.messages) if message.role == "user")
    text = asked.messages[last].text  # a summary may stand before the question
    rounds = next((rounds for question, rounds in ROUNDS.items() if text.endswith(question)), [])
    done = sum(message.role == "assistant" for message in asked.messages[last:])
    if done >= len(rounds):
        return "Done with it. " * (40 if not rounds else 1)
    wide = " " * (next(_ids) % 7)
    calls = [
        ToolCall(f"call_{next(_ids)}", name, f'{{{wide}"{key}":{wide}"{value}"}}')
        for name, key, value in rounds[done]
    ]
    return [Text("Let me see."), *calls]


def case_of(folder: Path, seed: int, **more: Any) -> dict[str, Any]:
    folder.mkdir(parents=True)
    media = {"media": f"file://{folder}/objects"} if seed % 2 else {}
    decided = ("it took effect", "leave it")[seed // 2 % 2]
    return {
        "threads": str(folder / "t.sqlite"),
        "log": str(folder / "log"),
        "knows": seed % 3 == 0,
        "decided": decided,
        **media,
        **more,
    }


def noted(case: dict[str, Any], what: str | tuple[str, ...]) -> list[list[str]]:
    path = Path(case["log"])
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split() for line in lines if line.startswith(what)]


def replies(case: dict[str, Any]) -> int:
    """Replies of the model that are in the journal; the answer of a person is there, too."""
    steps = [line[0] for line in noted(case, ("journalled", "start sent"))]
    return steps.count("journalled") - (
        "journalled" in steps[steps.index("start") :] if "start" in steps else 0
    )


async def told(play: Any, case: dict[str, Any]) -> bool:
    """Plays a case to its end, and looks at what is outside of it; returns whether it was killed."""
    async with ChatServer(otherwise=answer) as server:

        def asked() -> int:
            return len(server.requests)

        case["url"] = server.url
        said = await play(case)
        killed, again = bool(said.get("killed")), 0
        if killed:
            again = asked() - replies(case)
            assert again in (0, 1), f"{again} requests are not in the journal"
            said = await play({**case, "kill": [], "after": 0})
        assert said.get("done"), said.get("error")
        assert asked() <= ASKED + again, (
            f"{asked() - ASKED} requests were repeated, {again} of them in flight"
        )
        case["reached"] = said["reached"]
    runs = Counter(tuple(line) for line in noted(case, "ran"))
    assert runs, "no run of a node was noted"
    again = sum(runs.values()) - len(runs)
    assert again <= killed, f"{again} nodes ran again after {int(killed)} kills: {runs}"
    keys = [line[1] for line in noted(case, "pay")]
    assert len(set(keys)) == len(keys), "a payment took effect twice"
    assert len(keys) <= len(PAID) and {line[2] for line in noted(case, "pay")} <= set(PAID)
    assert len({line[1] for line in noted(case, "write")}) == 1, "an idempotent call has got another key"
    return killed


async def reached(play: Any, folder: Path) -> dict[str, int]:
    """How often a story that is not killed comes to each point."""
    case = case_of(folder, 0)
    assert not await told(play, case)
    return case["reached"]


async def in_lanes(playing: Any, cases: list[tuple[str, Any]], folder: Path) -> None:
    """Plays the cases, some at once; all that fail are told, with what it takes to see them again."""
    failed: list[str] = []

    async def lane() -> None:
        async with playing(PLAYER) as play:
            while cases:
                name, run = cases.pop()
                try:
                    await run(play, folder / name)
                except AssertionError as error:
                    failed.append(f"{name} (point, seed, n): {str(error).splitlines()[0]}")

    await asyncio.gather(*(lane() for _ in range(LANES)))
    assert not failed, "\n".join(failed)


def killed_at(point: str, seed: int, often: int) -> Any:
    """Plays a story that is killed the n-th time it comes to a point, n by the seed."""
    number = random.Random(f"{point}{seed}").randint(1, often)

    async def run(play: Any, folder: Path) -> None:
        place = number
        while not await told(
            play, case_of(folder.with_name(f"{folder.name}-{place}"), seed, kill=[point, place])
        ):
            assert place > 1, "it was never killed"
            place = (place + 1) // 2  # how often events are kept, and leases renewed, is a matter of time

    return run


@pytest.mark.slow
async def test_every_fault_point_is_reached_by_the_story(playing: Any, tmp_path: Path) -> None:
    async with playing(PLAYER) as play:
        assert set(await reached(play, tmp_path / "whole")) == points()


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_nothing_acknowledged_is_lost_and_nothing_done_twice_wherever_a_process_is_killed(
    playing: Any,
    tmp_path: Path,
) -> None:
    async with playing(PLAYER) as play:
        often = await reached(play, tmp_path / "whole")
    cases = [
        (f"{point}-{seed}", killed_at(point, seed, often[point]))
        for point in sorted(points())
        for seed in range(SEEDS)
    ]
    await in_lanes(playing, cases, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_nothing_acknowledged_is_lost_and_nothing_done_twice_whenever_a_process_is_killed(
    playing: Any,
    tmp_path: Path,
) -> None:
    def killed_after(seed: int) -> Any:
        seconds = random.Random(seed).uniform(0.005, 0.6)

        async def run(play: Any, folder: Path) -> None:
            await told(play, case_of(folder, seed, after=seconds))

        return run

    await in_lanes(playing, [(f"time-{seed}", killed_after(seed)) for seed in range(TIMES)], tmp_path)
