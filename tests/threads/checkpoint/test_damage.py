"""Whatever happens to the file, an error of ours names it or the thread, which goes on afterwards."""

import os
import random
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent
from stretto._internal.faults import listen
from stretto.errors import ThreadError
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message
from stretto.threads import Retention
from stretto.threads.stores import open_store

COLUMNS = {
    "checkpoints": ("type", "checkpoint", "metadata"),
    "writes": ("type", "value"),
    "items": ("type", "content"),
}
PLACES = [(table, column) for table, columns in COLUMNS.items() for column in columns]


def graph() -> Graph:
    async def hear(state: Conversation) -> Conversation:
        return {"output": state["question"].upper()}

    async def say(state: Conversation) -> Conversation:
        return {"messages": [Message.assistant(state["output"])]}

    built = Graph().add_node("hear", hear).add_node("say", say)
    return built.add_edge(START, "hear").add_edge("hear", "say").add_edge("say", END)


def agent_on(place: Path | str, **options: Any) -> Agent:
    return Agent(graph(), threads=place, **options)


async def heard(agent: Agent) -> str:
    return " ".join(message.text for message in await agent.messages("t"))


def cut(value: bytes, chance: random.Random) -> bytes:
    return value[: chance.randrange(len(value))]


def flipped(value: bytes, chance: random.Random) -> bytes:
    bit = chance.randrange(len(value) * 8)
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("key", [None, "5a" * 32], ids=["plain", "encrypted"])
@pytest.mark.parametrize("harm", [cut, flipped])
@pytest.mark.parametrize(("table", "column"), PLACES)
async def test_a_damaged_row_is_an_error_that_names_the_thread(
    table: str, column: str, harm: Callable[..., bytes], key: str | None, tmp_path: Path
) -> None:
    chance, place = random.Random(f"{table}{column}{harm.__name__}"), tmp_path / "t.sqlite"
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    checkpoint: Any = {
        "v": 2,
        "id": "1",
        "ts": "",
        "channel_values": {"messages": [Message.user("There are 23 of them")], "question": "How many?"},
        "channel_versions": {"messages": "1"},
        "versions_seen": {},
    }
    async with open_store("sqlite", place, Conversation, key=key) as saver:
        at = await saver.aput(config, checkpoint, {"source": "loop", "step": 1}, {})
        await saver.aput_writes(at, [("output", {"words": ["a", 1, 2.5, None]})], "task")
        whole = await saver.aget_tuple(config)
    assert whole and whole.checkpoint == checkpoint
    with sqlite3.connect(place, isolation_level=None) as file:
        where = "item = 0" if table == "items" else "1 = 1"
        (value,) = file.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()
        for _ in range(60):
            bad = harm(value if isinstance(value, bytes) else value.encode(), chance)
            damaged: Any = bad if isinstance(value, bytes) else bad.decode("utf-8", "replace")
            file.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (damaged,))
            async with open_store("sqlite", place, Conversation, key=key) as saver:
                with pytest.raises(ThreadError, match="thread `t`"):
                    await saver.aget_tuple(config)
        file.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value,))
    file.close()
    async with open_store("sqlite", place, Conversation, key=key) as saver:
        assert await saver.aget_tuple(config) == whole


def file_of(agent: Agent) -> Any:
    (opened,) = agent._opened._kept.values()
    return opened[1].database


async def test_a_full_disk_is_an_error_and_the_thread_goes_on_when_there_is_room(tmp_path: Path) -> None:
    agent = agent_on(tmp_path / "t.sqlite")
    await agent.run("one", thread_id="t")
    connection = file_of(agent)._connection()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(ThreadError, match=r"threads cannot be kept in .*t\.sqlite.*full"):
        await agent.run("long " * 20_000, thread_id="t")
    connection.execute("PRAGMA max_page_count=1000000")
    assert await heard(agent) == "one ONE"
    await agent.run("two", thread_id="t")
    assert await heard(agent) == "one ONE two TWO"
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    await agent.close()


async def test_a_file_that_cannot_be_written_is_an_error_and_the_thread_goes_on(tmp_path: Path) -> None:
    agent = agent_on(tmp_path / "t.sqlite")
    await agent.run("one", thread_id="t")
    connection = file_of(agent)._connection()
    connection.execute("PRAGMA query_only=ON")
    with pytest.raises(ThreadError, match=r"threads cannot be kept in .*t\.sqlite.*readonly"):
        await agent.run("two", thread_id="t")
    assert await heard(agent) == "one ONE"
    connection.execute("PRAGMA query_only=OFF")
    await agent.run("three", thread_id="t")
    assert await heard(agent) == "one ONE three THREE"
    await agent.close()


async def test_a_file_that_others_hold_is_an_error_and_the_thread_goes_on(tmp_path: Path) -> None:
    agent = agent_on(tmp_path / "t.sqlite")
    await agent.run("one", thread_id="t")
    file_of(agent)._patience = 0.01
    other = sqlite3.connect(tmp_path / "t.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ThreadError, match="other processes hold it for longer"):
        await agent.run("two", thread_id="t")
    other.execute("ROLLBACK")
    other.close()
    await agent.run("three", thread_id="t")
    assert await heard(agent) == "one ONE three THREE"
    await agent.close()


POINTS = [
    f"{step}.{when}"
    for step in ("checkpoint.put", "writes.put", "prune", "delete")
    for when in ("before", "after")
]


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
async def test_a_process_that_is_killed_at_a_point_leaves_a_thread_that_goes_on(
    point: str, tmp_path: Path
) -> None:
    place = tmp_path / "t.sqlite"

    async def life() -> None:
        agent = agent_on(place, retention=Retention(turns=2))
        await agent.run("one", thread_id="t")
        listen(lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == point else None)
        await agent.run("two", thread_id="t")
        saver: Any = (await agent._opened.kept()).compiled.checkpointer
        await saver.adelete_thread("t")

    child = os.fork()
    if not child:
        try:
            import asyncio

            asyncio.new_event_loop().run_until_complete(life())
        finally:
            os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    agent = agent_on(place, retention=Retention(turns=2))
    told = await heard(agent)
    assert told in ("one ONE", "one ONE two", "one ONE two TWO") and (told.endswith("TWO") or point[0] != "d")
    await agent.run("three", thread_id="t")
    assert (await heard(agent)).endswith("three THREE")
    with sqlite3.connect(place) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert file.execute("SELECT COUNT(*) FROM items WHERE item >= 0").fetchone()[0] == len(
            await agent.messages("t")
        )
    file.close()
    await agent.close()


def traces(folder: Path, *words: str) -> list[str]:
    found = [
        (file, word) for file in folder.iterdir() for word in words if word.encode() in file.read_bytes()
    ]
    return [f"{word} in {file.name}" for file, word in found]


@pytest.mark.parametrize("seed", range(4))
async def test_no_byte_of_a_deleted_thread_is_left_in_any_file(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    agent = agent_on(tmp_path / "t.sqlite", retention=chance.choice([None, Retention(turns=3)]))
    for _ in range(60):
        name = chance.choice("abcd")
        await agent.run(f"rosebud-{name} " * chance.choice([1, 5, 60, 400]), thread_id=name)
    saver: Any = (await agent._opened.kept()).compiled.checkpointer
    assert traces(tmp_path, "rosebud-a", "ROSEBUD-A")
    await saver.adelete_thread("a")
    assert traces(tmp_path, "rosebud-a", "ROSEBUD-A") == []
    await saver.aprune(["b", "c"], strategy="delete")
    assert traces(tmp_path, "rosebud-b", "ROSEBUD-B", "rosebud-c", "ROSEBUD-C") == []
    assert len(await agent.messages("d")) > 2
    await agent.run("still here", thread_id="d")
    await agent.close()
