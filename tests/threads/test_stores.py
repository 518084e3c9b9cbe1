"""Threads by the name of their store."""

import asyncio
import sqlite3
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from stretto.context import Run
from stretto.errors import ConfigError, GraphError, ThreadError
from stretto.graph import END, START, Conversation, Graph, new_turn
from stretto.graph.stream import play, thread_messages
from stretto.messages import Message
from stretto.threads.stores import STORES, open_store


async def echo(state: Conversation) -> Conversation:
    said = state["messages"][-1].text
    return {"messages": [Message.assistant(said.upper())], "output": said.upper()}


GRAPH = Graph().add_node("echo", echo).add_edge(START, "echo").add_edge("echo", END)


@pytest.mark.parametrize("name", sorted(STORES))
async def test_a_conversation_goes_on_and_the_keys_of_the_turn_before_are_empty(
    name: str, tmp_path: Path, request: Any
) -> None:
    file = tmp_path / "deep" / "threads.sqlite"
    place = request.getfixturevalue("postgres") if name == "postgres" else file
    async with open_store(name, place, *GRAPH.states) as saver:
        compiled = GRAPH.compile(saver)
        first = await play(compiled, new_turn("one"), run=Run(), thread_id="t")
        assert first.state["output"] == "ONE"
        second = await play(compiled, new_turn("two"), run=Run(), thread_id="t")
        assert [message.text for message in second.state["messages"]] == ["one", "ONE", "two", "TWO"]
        assert len({message.id for message in second.state["messages"]}) == 4
        assert [m.text for m in await thread_messages(compiled, "t")] == ["one", "ONE", "two", "TWO"]
        assert await thread_messages(compiled, "other") == []


async def test_a_thread_is_there_after_closing_and_the_file_uses_wal(tmp_path: Path) -> None:
    path = tmp_path / "threads.sqlite"
    async with open_store("sqlite", path, *GRAPH.states) as saver:
        await play(GRAPH.compile(saver), new_turn("one"), run=Run(), thread_id="t")
    async with open_store("sqlite", path, *GRAPH.states) as saver:
        assert len(await thread_messages(GRAPH.compile(saver), "t")) == 2
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


async def test_several_threads_of_one_file_do_not_mix(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path / "t.sqlite", *GRAPH.states) as saver:
        compiled = GRAPH.compile(saver)
        turns: list[Any] = [play(compiled, new_turn(str(n)), run=Run(), thread_id=str(n)) for n in range(5)]
        played = await asyncio.gather(*turns)
    assert [one.state["output"] for one in played] == ["0", "1", "2", "3", "4"]


async def test_what_the_state_does_not_declare_is_refused_before_it_is_kept(tmp_path: Path) -> None:
    async def bad(state: Conversation) -> Conversation:
        return {"output": asyncio.Lock()}

    graph = Graph().add_node("bad", bad).add_edge(START, "bad").add_edge("bad", END)
    async with open_store("sqlite", tmp_path / "t.sqlite", *graph.states) as saver:
        with pytest.raises(GraphError, match=r"asyncio\.locks\.Lock"):
            await play(graph.compile(saver), new_turn("x"), run=Run(), thread_id="t")


def test_an_unknown_store_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no thread store `redis`; there are memory, postgres, sqlite"):
        open_store("redis", tmp_path / "x", Conversation)


@pytest.mark.skipif(sys.platform == "win32", reason="a mode of POSIX")
async def test_conversations_are_for_the_owner_of_the_file_only(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "threads.sqlite"
    async with open_store("sqlite", path, *GRAPH.states) as saver:
        await play(GRAPH.compile(saver), new_turn("one"), run=Run(), thread_id="t")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(("threads.sqlite", "threads.sqlite-wal", "threads.sqlite-shm"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_path_that_cannot_be_made_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ThreadError, match="threads cannot be kept in"):
        async with open_store("sqlite", tmp_path / "file" / "threads.sqlite", *GRAPH.states):
            pass
