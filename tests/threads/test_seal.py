"""What is kept of threads is checked, or encrypted with a key; one never passes for the other."""

import base64
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from stretto.context import Run
from stretto.errors import ConfigError, MissingExtra, ThreadError
from stretto.graph import END, START, Conversation, Graph, new_turn
from stretto.graph.stream import play, thread_messages
from stretto.messages import Message
from stretto.threads.seal import Checked, Seal, Sealed, seal_of
from stretto.threads.stores import open_store

KEY, OTHER = "5a" * 32, bytes(range(32))


async def echo(state: Conversation) -> Conversation:
    return {"messages": [Message.assistant(state["question"].upper())], "output": "heard"}


GRAPH = Graph().add_node("echo", echo).add_edge(START, "echo").add_edge("echo", END)


async def turn(place: Path, question: str, key: Any = None) -> list[str]:
    """Plays a turn; all that was said in the thread."""
    async with open_store("sqlite", place, *GRAPH.states, key=key) as saver:
        compiled = GRAPH.compile(saver)
        if question:
            await play(compiled, new_turn(question), run=Run(), thread_id="t")
        return [message.text for message in await thread_messages(compiled, "t")]


@pytest.mark.parametrize("seal", [Checked(), Sealed(KEY)], ids=["checked", "sealed"])
@pytest.mark.parametrize("content", [b"", b"x", b"\x01\x02 of a thread" * 99])
def test_what_was_sealed_comes_back_and_any_change_is_noticed(seal: Seal, content: bytes) -> None:
    kept = seal.seal(content, b"here")
    assert seal.unseal(kept, b"here") == content
    for bit in random.Random(3).sample(range(len(kept) * 8), min(200, len(kept) * 8)):
        flipped = bytearray(kept)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ThreadError):
            seal.unseal(bytes(flipped), b"here")
    for cut in range(len(kept)):
        with pytest.raises(ThreadError):
            seal.unseal(kept[:cut], b"here")
    with pytest.raises(ThreadError):
        seal.unseal(kept, b"there")


def test_two_values_are_sealed_with_two_nonces() -> None:
    seal = Sealed(KEY)
    assert len({seal.seal(b"same", b"") for _ in range(100)}) == 100


@pytest.mark.parametrize("key", ["5a" * 32, "5A" * 32 + "\n", bytes([0x5A]) * 32])
def test_a_key_is_32_bytes_or_their_text(key: Any) -> None:
    assert Sealed(key).unseal(Sealed(KEY).seal(b"x", b""), b"") == b"x"
    text = base64.b64encode(bytes([0x5A]) * 32).decode()
    assert Sealed(text).unseal(Sealed(key).seal(b"x", b""), b"") == b"x"


@pytest.mark.parametrize("key", ["", "hunter2", "5a" * 31, b"short", "zz" * 32, "pass word" * 4])
def test_another_key_is_refused_without_being_told(key: Any) -> None:
    with pytest.raises(ConfigError, match="64 hexadecimal digits") as error:
        seal_of(key)
    assert not key or str(key) not in str(error.value)


def test_without_the_package_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(MissingExtra, match=r'pip install "stretto\[encryption\]"'):
        seal_of(KEY)


async def test_no_word_of_an_encrypted_thread_is_in_its_files(tmp_path: Path) -> None:
    place = tmp_path / "t.sqlite"
    async with open_store("sqlite", place, *GRAPH.states, key=KEY) as saver:
        await play(GRAPH.compile(saver), new_turn("rosebud"), run=Run(), thread_id="t")
        for file in tmp_path.iterdir():
            assert b"rosebud" not in file.read_bytes() and b"ROSEBUD" not in file.read_bytes()
    assert await turn(place, "and more", KEY) == ["rosebud", "ROSEBUD", "and more", "AND MORE"]


@pytest.mark.parametrize(
    ("written", "read", "told"),
    [
        (
            None,
            KEY,
            "these threads are not encrypted, and were opened with a key: type `unset STRETTO_THREADS_KEY`",
        ),
        (KEY, None, "these threads are encrypted: give Agent"),
        (KEY, OTHER, "these threads are encrypted with another key"),
    ],
)
async def test_a_thread_is_read_with_its_own_key_only(
    written: Any, read: Any, told: str, tmp_path: Path
) -> None:
    await turn(tmp_path / "t.sqlite", "one", written)
    for question in ("", "two"):
        with pytest.raises(ThreadError, match=told):
            await turn(tmp_path / "t.sqlite", question, read)
    assert await turn(tmp_path / "t.sqlite", "two", written) == ["one", "ONE", "two", "TWO"]


@pytest.mark.parametrize("table", ["checkpoints", "items"])
@pytest.mark.parametrize("key", [KEY, None])
async def test_a_row_that_was_moved_to_another_thread_is_not_read_there(
    table: str, key: Any, tmp_path: Path
) -> None:
    async with open_store("sqlite", tmp_path / "t.sqlite", *GRAPH.states, key=key) as saver:
        compiled = GRAPH.compile(saver)
        await play(compiled, new_turn("one"), run=Run(), thread_id="u")
        await saver.acopy_thread("u", "t")
        content = {"checkpoints": "checkpoint", "items": "content"}[table]
        same = {"checkpoints": "seq - 2", "items": "item"}[table]
        moved = (
            f"UPDATE {table} SET {content} = (SELECT {content} FROM {table} AS o WHERE o.thread_id = 'u' "
            f"AND {same.split(' ')[0]} = {table}.{same}) WHERE thread_id = 't'"
        ).replace(f"AND {same.split(' ')[0]}", f"AND o.{same.split(' ')[0]}")
        saver.file.transact_now(lambda connection: connection.execute(moved) and None)
    with pytest.raises(ThreadError, match="thread `t`: what is kept in"):
        await turn(tmp_path / "t.sqlite", "", key)
