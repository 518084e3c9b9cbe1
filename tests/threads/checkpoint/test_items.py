"""Messages are kept once: whatever happens to a thread, it reads as it was written, and costs what is new."""

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent, tool
from stretto._internal.faults import listen
from stretto.errors import ThreadError
from stretto.graph import Conversation
from stretto.messages import Message, ToolCall
from stretto.testing import ScriptedModel
from stretto.threads import Retention
from stretto.threads.checkpoint.items import Items
from stretto.threads.checkpoint.saver import ThreadSaver
from stretto.threads.stores import open_store, store_of

KEY = "5a" * 32


def opened(place: Path | str, **options: Any) -> Any:
    return open_store(store_of(place), place, Conversation, **options)


class Writer:
    """Puts checkpoints whose lists are given."""

    def __init__(self) -> None:
        self.count = 0

    async def put(self, saver: ThreadSaver, *said: Any, thread: str = "t", **metadata: Any) -> Any:
        """The next checkpoint of a thread, or a fork of the one that `fork` names."""
        fork = metadata.pop("fork", None)
        found = None if fork else await saver.aget_tuple(config(thread))
        parent = fork or (found and found.config)
        self.count += 1
        checkpoint: Any = {
            "v": 2,
            "id": f"{self.count:08}",
            "ts": "",
            "channel_values": {"messages": list(said), "question": "q"},
            "channel_versions": {},
            "versions_seen": {},
        }
        given = parent or {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
        return await saver.aput(given, checkpoint, {"source": "fork" if fork else "loop", **metadata}, {})


def config(thread: str = "t") -> Any:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}


async def read(saver: ThreadSaver, thread: str = "t") -> list[Message]:
    found = await saver.aget_tuple(config(thread))
    return list(found.checkpoint["channel_values"]["messages"]) if found else []


def count(saver: ThreadSaver, what: str = "COUNT(*)", where: str = "item >= 0") -> Any:
    query = f"SELECT {what} FROM items WHERE {where}"
    return saver.file.transact_now(lambda connection: connection.execute(query).fetchone()[0], writes=False)


def words(*texts: str) -> list[Message]:
    return [Message("user", text, id=text) for text in texts]


@tool
def stock(item: str) -> str:
    """How many there are.

    Args:
        item: Of the shop.
    """
    return f"There are 23 of `{item}`, and 5 more are on their way. " * 3


@pytest.mark.parametrize("retention", [None, Retention(), Retention(turns=10)])
async def test_a_late_turn_writes_no_more_than_an_early_one(retention: Any, tmp_path: Path) -> None:
    def answer(asked: Any) -> Any:
        called = asked.messages[-1].role == "tool"
        return "There are 23 in the store. " * 8 if called else ToolCall("c", "stock", '{"item": "lamp"}')

    agent = Agent(
        model=ScriptedModel(otherwise=answer),
        tools=[stock],
        threads=tmp_path / "t.sqlite",
        retention=retention,
    )
    sizes = []
    for number in range(200):
        await agent.run(f"How many lamps are there? ({number})", thread_id="t")
        with sqlite3.connect(tmp_path / "t.sqlite") as file:
            sizes.append(sum(file.execute("SELECT SUM(pgsize) FROM dbstat").fetchone()))
        file.close()
    await agent.close()
    first, second, last = sizes[24] - sizes[0], sizes[49] - sizes[24], sizes[199] - sizes[174]
    assert second <= 1.5 * first + 4096 and last <= 1.5 * first + 4096


async def test_a_message_is_kept_once_whoever_names_it(place: Any) -> None:
    writer, (one, two, three) = Writer(), words("one", "two", "three")
    async with opened(place) as saver:
        for said in ([one], [one, two], [one, two, three], [one, three], [three, two, one, one]):
            await writer.put(saver, *said)
        assert count(saver) == 3
        assert await read(saver) == [three, two, one, one]
        history = [each.checkpoint async for each in saver.alist(config())]
        assert [len(each["channel_values"]["messages"]) for each in history] == [4, 2, 3, 2, 1]
        assert all(list(each["channel_values"]) == ["messages", "question"] for each in history)
    async with opened(place) as saver:  # nothing is remembered
        assert await read(saver) == [three, two, one, one]
        await writer.put(saver, *await read(saver), *words("four"))
        assert count(saver) == 4


async def test_a_message_that_was_replaced_is_another_one(place: Any) -> None:
    writer = Writer()
    async with opened(place) as saver:
        await writer.put(saver, *words("one", "two", "three"))
        before = await read(saver)
        changed = Message("user", "TWO", id="two")
        await writer.put(saver, before[0], changed, before[2])
        assert [message.text for message in await read(saver)] == ["one", "TWO", "three"] and count(
            saver
        ) == 4


async def test_a_list_with_other_things_than_messages_is_kept_as_it_is(tmp_path: Path) -> None:
    async with opened(tmp_path / "t.sqlite") as saver:
        mixed = [*words("one"), "a text"]
        await Writer().put(saver, *mixed)
        assert await read(saver) == mixed and count(saver) == 0
        await Writer().put(saver, thread="empty")
        assert await read(saver, "empty") == []


async def test_a_message_that_nobody_names_any_more_goes(place: Any) -> None:
    writer = Writer()
    async with opened(place) as saver:
        for _ in range(3):
            await writer.put(saver, *(await read(saver))[-2:], *words(str(writer.count)))
        await writer.put(saver, *words("other"), thread="u", run_id="r")
        assert count(saver) == 4
        await writer.put(saver, *(await read(saver))[-1:], *words("last"))
        await saver.keep_latest("t", Retention(), waiting=False)
        assert [message.text for message in await read(saver)] == ["2", "last"] and count(saver) == 3
        await saver.adelete_for_runs(["r"])
        assert count(saver) == 2 and count(saver, where="thread_id = 'u'") == 0
        await saver.drop_oldest(Retention(threads=1), playing=())
        assert count(saver) == 2
        await saver.adelete_thread("t")
        assert count(saver, where="1 = 1") == 0


async def test_who_remembers_a_message_does_not_take_another_for_it(place: Any) -> None:
    writer = Writer()
    async with opened(place) as one, opened(place) as other:
        await writer.put(one, *words("a", "b", "secret"))
        assert len(await read(other)) == 3  # the other one remembers number 2
        await writer.put(one, *(await read(one))[:2])
        await one.keep_latest("t", Retention(), waiting=False)
        await writer.put(one, *await read(one), *words("c"))  # has number 2 now
        assert [message.text for message in await read(other)] == ["a", "b", "c"]
        await one.adelete_thread("t")
        await writer.put(one, *words("x", "y", "z"))
        assert [message.text for message in await read(other)] == ["x", "y", "z"]


async def test_a_message_that_was_dropped_meanwhile_is_kept_again(place: Any) -> None:
    writer = Writer()
    async with opened(place) as one, opened(place) as other:
        kept = words("a", "b", "c")
        await writer.put(one, *kept)
        found = await read(other)
        await writer.put(other, found[0])
        await other.keep_latest("t", Retention(), waiting=False)
        await writer.put(one, *kept)  # two of them are gone from the file
        assert await read(other) == kept and await read(one) == kept


async def test_a_copy_goes_its_own_way(place: Any) -> None:
    writer = Writer()
    for key in (None, KEY):
        where = place.with_name("sealed") if key and isinstance(place, Path) else place
        if key and where is place:
            return
        async with opened(where, key=key) as saver:
            await writer.put(saver, *words("a", "b"))
            await saver.acopy_thread("t", "u")
            await writer.put(saver, *await read(saver, "u"), *words("c"), thread="u")
            await writer.put(saver, *await read(saver), *words("d"))
            assert [message.text for message in await read(saver, "u")] == ["a", "b", "c"]
            await saver.adelete_thread("t")
        async with opened(where, key=key) as saver:
            assert [message.text for message in await read(saver, "u")] == ["a", "b", "c"]


async def test_a_fork_finds_the_messages_of_its_checkpoint(place: Any) -> None:
    writer = Writer()
    async with opened(place) as saver:
        first = await writer.put(saver, *words("a", "b"))
        await writer.put(saver, *words("z"))
        found = await saver.aget_tuple(first)
        assert found
        await writer.put(
            saver, *found.checkpoint["channel_values"]["messages"], *words("c"), fork=found.config
        )
        assert [message.text for message in await read(saver)] == ["a", "b", "c"] and count(saver) == 4


async def test_what_could_not_be_kept_is_not_remembered(place: Any) -> None:
    class Full(Exception):
        pass

    def fail(name: str) -> None:
        if name == "checkpoint.put.after":
            raise Full

    writer, more = Writer(), words("b")
    async with opened(place) as saver:
        await writer.put(saver, *words("a"))
        listen(fail)
        try:
            with pytest.raises(Full):
                await writer.put(saver, *await read(saver), *more)
        finally:
            listen(None)
        assert count(saver) == 1
        async with opened(place) as other:
            await writer.put(other, *await read(other), *words("c"))
        assert [message.text for message in await read(saver)] == ["a", "c"]
        await writer.put(saver, *await read(saver), *more)
        assert [message.text for message in await read(saver)] == ["a", "c", "b"]


async def test_little_is_remembered_and_nothing_is_kept_twice(tmp_path: Path) -> None:
    writer = Writer()
    async with opened(tmp_path / "t.sqlite") as saver:
        saver._items = items = Items(remembered=2_000)
        for turn in range(20):
            for thread in "abcde":
                said = await read(saver, thread)
                assert len(said) == turn
                for other in "vwxyz":  # between reading and writing others are remembered
                    await read(saver, other if turn else thread)
                await writer.put(saver, *said, *words(f"{turn} of {thread}" * 9), thread=thread)
                assert items._held <= 2_000 or len(items._threads) == 1
        assert count(saver) == 100


async def test_nothing_is_remembered_of_a_thread_that_is_dropped(tmp_path: Path) -> None:
    writer = Writer()
    async with opened(tmp_path / "t.sqlite") as saver:
        for thread in "abcdef":
            await writer.put(saver, *words("one", "two"), thread=thread)
        await saver.drop_oldest(Retention(threads=3), playing=())
        await saver.adelete_thread("d")
        await saver.aprune(["e"], strategy="delete")
        assert list(saver._items._threads) == ["f"]
        await saver.adelete_thread("f")
        assert saver._items._held == 0 and not saver._items._threads


async def test_a_checkpoint_whose_message_is_missing_is_an_error_that_names_the_thread(place: Any) -> None:
    writer = Writer()
    async with opened(place) as saver:
        await writer.put(saver, *words("a", "b"))
        saver.file.transact_now(
            lambda connection: connection.execute("DELETE FROM items WHERE item = 1") and None
        )
    async with opened(place) as saver:
        with pytest.raises(ThreadError, match="thread `t` is damaged: messages of a checkpoint are missing"):
            await read(saver)


@pytest.mark.parametrize("seed", range(6))
async def test_threads_read_as_they_were_written_by_two_processes(seed: int, tmp_path: Path) -> None:
    chance, writer, place = random.Random(seed), Writer(), tmp_path / "t.sqlite"
    expected: dict[str, list[Message]] = {}
    async with opened(place) as one, opened(place) as other:
        for saver in (one, other):
            saver._items = Items(remembered=chance.choice([300, 100_000]))
        old: list[Message] = []
        for step in range(300):
            saver, thread = chance.choice([one, other]), chance.choice("abc")
            said = await read(saver, thread)
            assert said == expected.get(thread, []), step
            what = chance.random()
            if what < 0.6:
                new = words(*(f"{step}.{number}" for number in range(chance.randrange(4))))
                changed = chance.choice(
                    [[*said, *new], said[chance.randrange(3) :], [*new, *said], said[::-1], [*said, *old[:2]]]
                )
                await writer.put(saver, *changed, thread=thread)
                expected[thread], old = changed, chance.sample(changed, min(2, len(changed)))
            elif what < 0.85:
                await saver.keep_latest(thread, Retention(checkpoints=chance.choice([1, 2])), waiting=False)
            elif what < 0.92:
                await saver.adelete_thread(thread)
                expected.pop(thread, None)
            elif thread in expected:
                target = chance.choice([name for name in "abcd" if name != thread])
                await saver.adelete_thread(target)
                await saver.acopy_thread(thread, target)
                expected[target] = expected[thread]
        for thread in expected:
            await one.keep_latest(thread, Retention(), waiting=False)
            assert await read(other, thread) == expected[thread]
            known = {id(message): message for message in await read(one, thread)}
            assert count(one, where=f"thread_id = '{thread}' AND item >= 0") <= len(known)
