"""Leases: a worker that was paused and comes back writes nothing any more; signs of life; owners."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent
from stretto._internal.owner import is_gone, this_process
from stretto.errors import ThreadBusy
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message
from stretto.threads import runs
from stretto.threads.runs import Ticket
from stretto.threads.stores import open_store
from stretto.threads.turns import Turns

CHILD = """
import asyncio, sys
from pathlib import Path
from stretto import Agent
from stretto.errors import ThreadConflict
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message
from stretto.threads import runs

runs.PATIENCE = 0.5

async def wait(state: Conversation) -> Conversation:
    print("inside", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    return {"messages": [Message.assistant("too late")]}

graph = Graph().add_node("wait", wait).add_edge(START, "wait").add_edge("wait", END)

async def main():
    agent = Agent(graph, threads=Path(sys.argv[1]))
    try:
        await agent.run("slow", thread_id="t")
        print("kept", flush=True)
    except ThreadConflict:
        print("refused", flush=True)
    await agent.close()

asyncio.run(main())
"""


def echoing() -> Graph:
    async def echo(state: Conversation) -> Conversation:
        return {"messages": [Message.assistant(state["question"].upper())]}

    return Graph().add_node("echo", echo).add_edge(START, "echo").add_edge("echo", END)


@pytest.mark.slow
@pytest.mark.parametrize("overtaken", [True, False])
def test_a_worker_that_was_paused_past_its_lease_writes_only_if_nobody_took_the_thread(
    overtaken: bool, tmp_path: Path
) -> None:
    path = tmp_path / "t.sqlite"
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], **pipes)
    assert child.stdout is not None and child.stdin is not None
    try:
        assert child.stdout.readline() == "inside\n"
        child.send_signal(signal.SIGSTOP)

        async def come() -> list[str]:
            agent = Agent(echoing(), threads=path)
            async with asyncio.timeout(20):
                while overtaken:
                    try:
                        await agent.run("quick", thread_id="t")
                        break
                    except ThreadBusy:
                        await asyncio.sleep(0.05)
            child.send_signal(signal.SIGCONT)
            child.stdin.write("\n")
            child.stdin.flush()
            told = await asyncio.to_thread(child.stdout.readline)
            assert told == ("refused\n" if overtaken else "kept\n")
            said = [message.text for message in await agent.messages("t")]
            await agent.close()
            return said

        said = asyncio.run(come())
        assert said == (["slow", "quick", "QUICK"] if overtaken else ["slow", "too late"])
    finally:
        child.kill()
        child.communicate()


def test_an_owner_is_gone_when_its_process_ended() -> None:
    mine = this_process()
    host, number, began = mine.split("|")
    assert not is_gone(mine) and number == str(os.getpid())
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert is_gone(f"{host}|{ended.pid}|1") and is_gone(f"{host}|{number}|{int(began or 2) - 1}")
    assert not is_gone(f"elsewhere|{ended.pid}|1"), "of another machine nothing is known"


async def test_a_run_gives_signs_of_life_and_is_not_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stretto.threads.turns._BEAT", 0.01)
    monkeypatch.setattr("stretto.threads.turns._RENEW", 1)
    async with open_store("sqlite", tmp_path / "t.sqlite", Conversation) as saver:
        turns = Turns(saver.file)
        hold = await turns.arrive(Ticket("r", "t", "default", "agent", b"{}"), "reject")

        def until(connection: Any) -> float:
            return connection.execute("SELECT until FROM runs").fetchone()[0]

        first = await saver.file.transact(until, writes=False)
        async with asyncio.timeout(10):
            while await saver.file.transact(until, writes=False) == first:
                await asyncio.sleep(0.005)
        await hold.end("done", lambda result: b"")
        assert await saver.file.transact(lambda c: c.execute("SELECT * FROM runs").fetchone()) is None


async def test_ended_runs_are_forgotten_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_store("sqlite", tmp_path / "t.sqlite", Conversation) as saver:
        turns = Turns(saver.file)
        for number, at in enumerate((0.0, 1000.0, runs.KEPT + 500)):
            monkeypatch.setattr("stretto.threads.runs.time.time", lambda at=at: 1e9 + at)
            hold = await turns.arrive(Ticket(f"r{number}", "t", "default", "agent", b"{}", True), "reject")
            await hold.end("done", lambda result: b"")
        kept = await saver.file.transact(lambda c: c.execute("SELECT run_id FROM runs").fetchall())
        assert [name for (name,) in kept] == ["r1", "r2"]
