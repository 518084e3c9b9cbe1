"""Plays turns in processes of their own, and kills them where they are told. Run as a program by the tests.

Reads one JSON object a line: `threads`, `log`, `url`, `kill` (a fault point and which time it is reached),
`answers` (of a waiting thread), `again` (go on with what was left). Writes one line for each: how the process
ended. Every process is forked from this one, which has loaded everything: it costs no import.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from stretto import Agent, Model, RunContext, tool
from stretto._internal.faults import listen
from stretto.errors import ThreadError

PATIENCE = 60.0
"""Seconds that one process plays at most."""
Play = Callable[[dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]


def note(log: str, *words: str) -> None:
    """Writes to the outside file, and to the disk."""
    with open(log, "a") as file:
        file.write(" ".join(words) + "\n")
        file.flush()
        os.fsync(file.fileno())


def lines(log: str) -> list[list[str]]:
    path = Path(log)
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def killing(log: str, kill: list[Any], reached: dict[str, int]) -> Any:
    """Notes each journal entry outside, and kills this process at the fault point it is told."""

    def heard(name: str) -> None:
        reached[name] = reached.get(name, 0) + 1
        if name == "journal.after":
            note(log, "journalled")
        if kill and [name, reached[name]] == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    return heard


def tools_of(log: str, *, knows: bool) -> list[Any]:
    """A tool of each effect, and what tells whether a payment took effect, where it `knows`."""

    @tool
    async def look(place: str) -> str:
        note(log, "look", place)
        return "seen"

    @tool(effect="idempotent")
    async def write(text: str, ctx: RunContext) -> str:
        note(log, "write", ctx.idempotency_key, text)
        return "written"

    async def paid(ctx: RunContext) -> str | None:
        found = ["pay", ctx.idempotency_key] in [line[:2] for line in lines(log)]
        return "paid before" if found else None

    @tool(effect="once", reconcile=paid if knows else None)
    async def pay(order: str, ctx: RunContext) -> str:
        note(log, "pay", ctx.idempotency_key, order)
        return "paid"

    return [look, write, pay]


async def turn(case: dict[str, Any]) -> dict[str, Any]:
    """One turn, begun or gone on with."""
    model = Model("compatible:x", base_url=case["url"])
    tools = tools_of(case["log"], knows=case["knows"])
    agent = Agent(model=model, tools=tools, threads=Path(case["threads"]))
    try:
        if case.get("again"):
            with suppress(ThreadError):  # it was killed before it came to its thread
                result = await agent.resume("t")
                return {"output": result.output, "questions": result.interrupts}
        result = await agent.run(
            None if case.get("answers") else "go", thread_id="t", answers=case.get("answers")
        )
        return {"output": result.output, "questions": result.interrupts}
    finally:
        await agent.close()


def load(play: Play) -> None:
    """Imports all that a turn needs: the modules that a process has which begins one, without an endpoint."""
    with tempfile.TemporaryDirectory() as folder:
        where = f"{folder}/threads.sqlite"
        case = {"threads": where, "log": f"{folder}/log", "url": "http://127.0.0.1:9", "knows": True}
        for name in forked(case, play)["modules"]:
            with suppress(ImportError):
                import_module(name)


def forked(case: dict[str, Any], play: Play) -> dict[str, Any]:
    """What `play` does with the case, in a process of its own."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        listen(killing(case["log"], case.get("kill") or [], case.setdefault("reached", {})))
        if case.get("after"):
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            signal.setitimer(signal.ITIMER_REAL, case["after"])
        try:
            said = asyncio.run(asyncio.wait_for(play(case), PATIENCE))
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}", "modules": sorted(sys.modules)}
        os.write(theirs, json.dumps(said).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as answer:
        said = answer.read()
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status)
    return {"killed": True} if killed else json.loads(said)


def serve(play: Play) -> None:
    """Plays the cases of the standard input."""
    load(play)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(forked(json.loads(line), play)), flush=True)


if __name__ == "__main__":
    serve(turn)
