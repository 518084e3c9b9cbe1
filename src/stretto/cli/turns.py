"""Turns of an agent at a terminal: attachments, live output, the object that `--json` prints."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from stretto.cli import logs
from stretto.cli.output import as_plain, console, progress
from stretto.errors import MediaNotFound
from stretto.events import RunFinished
from stretto.messages import Audio, File, Image, Part
from stretto.results import Result

if TYPE_CHECKING:
    from stretto.agent import Agent

SOUNDS = {".wav", ".mp3", ".ogg", ".flac", ".m4a"}
PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"}
SHOWN = (
    "output",
    "citations",
    "path",
    "tools",
    "usage",
    "timings",
    "thread_id",
    "status",
    "missing",
    "interrupts",
)


def attached(paths: Sequence[str]) -> list[Part]:
    """Files as parts, by their ending; what is really in them is checked when they are taken in."""
    return [_part(path) for path in paths]


def _part(path: str) -> Part:
    if "://" not in path and not Path(path).is_file():
        raise MediaNotFound(f"there is no file `{path}` to attach")
    ending = Path(path).suffix.lower()
    kind = Image if ending in PICTURES else Audio if ending in SOUNDS else File
    return kind(path)


async def open_with_progress(agent: "Agent") -> None:
    """Reads new and changed documents, with progress on stderr."""
    await agent.open(progress=progress())


async def turn(
    agent: "Agent", question: list[Part | str], thread_id: str | None, *, show: bool, **whose: Any
) -> Result:
    """One turn, for a `tenant` and `user` where they are given; live on the terminal where `show`."""
    if not show:
        return await agent.run(question, thread_id=thread_id, **whose)
    from stretto.cli.show import Show  # noqa: PLC0415 (rich: 70 ms of CPU that `--help` does not need)

    screen = Show(console(), who=agent.name)
    result: Result | None = None
    with logs.between(screen.end_line):
        try:
            async for event in agent.stream(question, thread_id=thread_id, **whose):
                screen.event(event)
                if isinstance(event, RunFinished):
                    result = event.result
        finally:
            screen.end_line()
    if result is None:
        raise RuntimeError("the turn ended without a result")  # stream raises what went wrong before this
    return result


def as_object(result: Result) -> dict[str, Any]:
    """A result as `--json` prints it."""
    everything = msgspec.to_builtins(result, enc_hook=as_plain)
    return {name: everything[name] for name in SHOWN}
