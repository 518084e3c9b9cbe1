"""The sqlite saver: crashes, formats, what is looked for, and what is let go of."""

import asyncio
import os
import random
import signal
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import pytest
from langgraph.channels import DeltaChannel
from langgraph.checkpoint.sqlite import SqliteSaver as TheirSaver

from stretto.context import Run
from stretto.errors import ThreadError
from stretto.graph import END, START, Conversation, Graph, new_turn
from stretto.graph.stream import play, thread_messages, thread_standing
from stretto.messages import Message
from stretto.threads.checkpoint.saver import ThreadSaver
from stretto.threads.checkpoint.serializer import strict_serializer
from stretto.threads.checkpoint.sqlite import open_sqlite
from stretto.threads.stores import open_store, store_of

STEPS = ("a", "b", "c", "d")


def add(old: Sequence[str], new: Sequence[str]) -> list[str]:
    return [*old, *new]


class Steps(Conversation):
    steps: Annotated[list[str], add]


def stepping(effects: Path) -> Graph:
    """Nodes in a row, each of which leaves a line in a file."""

    def node(name: str) -> Any:
        async def step(state: Steps) -> Any:
            with effects.open("a") as file:
                file.write(f"{name}\n")
            return {"steps": [name]}

        return step

    graph = Graph(Steps)
    for name in STEPS:
        graph.add_node(name, node(name))
    for source, target in zip((START, *STEPS), (*STEPS, END), strict=True):
        graph.add_edge(source, target)
    return graph


async def one_turn(place: Path | str, folder: Path, *, killed_at: tuple[int, str]) -> None:
    """A turn; the process kills itself before, in, or after its n-th transaction that writes."""
    graph = stepping(folder / "effects")
    async with open_store(store_of(place), place, *graph.states) as saver:
        compiled = graph.compile(saver)
        count, whole = 0, saver.file.transact

        async def transact(work: Any, *, writes: bool = True, key: str = "") -> Any:
            nonlocal count
            if not writes:
                return await whole(work, writes=False)
            count += 1

            def die(place: str) -> None:
                if (count, place) == killed_at:
                    os.kill(os.getpid(), signal.SIGKILL)

            def dying(connection: Any) -> Any:
                result = work(connection)
                die("in")
                return result

            die("before")
            result = await whole(dying, key=key)
            die("after")
            return result

        saver.file.transact = transact
        await play(compiled, new_turn("go"), run=Run(), thread_id="t")


def killed(place: Path | str, folder: Path, at: tuple[int, str]) -> bool:
    """Plays a turn in a forked process; whether it came to the point where it is killed."""
    child = os.fork()
    if not child:
        try:
            asyncio.run(one_turn(place, folder, killed_at=at))
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_a_thread_goes_on_from_its_last_superstep_wherever_its_process_was_killed(
    store: str, tmp_path: Path, new_postgres: Callable[[], str]
) -> None:
    chance = random.Random(7)
    points = [(number, place) for number in range(1, 12) for place in ("before", "in", "after")]
    reached = 0
    for number, point in enumerate(chance.sample(points, 24)):
        folder = tmp_path / str(number)
        folder.mkdir()
        place = folder / "t.sqlite" if store == "sqlite" else new_postgres()
        reached += killed(place, folder, point)

        async def go_on(folder: Path = folder, place: Path | str = place) -> tuple[Any, bool]:
            graph = stepping(folder / "effects")
            async with open_store(store_of(place), place, *graph.states) as saver:
                compiled: Any = graph.compile(saver)
                if not (await thread_standing(compiled, "t")).state:
                    return None, False
                await play(compiled, None, run=Run(), thread_id="t")  # nothing is left where the turn ended
                return await thread_standing(compiled, "t"), True

        standing, there = asyncio.run(go_on())
        effects = (folder / "effects").read_text().split() if (folder / "effects").exists() else []
        if not there:  # killed before the question was kept, which nobody was told of
            assert point in {(1, "before"), (1, "in")}
            assert effects in ([], ["a"] if store == "postgres" else [])  # begins while that is written
            continue
        assert standing.state["steps"] == list(STEPS) and not standing.next
        assert sorted(set(effects)) == list(STEPS) and len(effects) <= len(STEPS) + 1, point
        if store == "sqlite":
            with sqlite3.connect(folder / "t.sqlite") as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            connection.close()
    assert reached >= 18


async def test_a_file_of_langgraphs_saver_is_taken_over(tmp_path: Path) -> None:
    async def echo(state: Conversation) -> Conversation:
        return {"messages": [Message.assistant(state["question"].upper())]}

    graph = Graph().add_node("echo", echo).add_edge(START, "echo").add_edge("echo", END)
    path = tmp_path / "t.sqlite"
    async with open_sqlite(tmp_path / "other.sqlite", *graph.states) as ours:
        for question in ("one", "two"):
            await play(graph.compile(ours), new_turn(question), run=Run(), thread_id="t")
        with TheirSaver.from_conn_string(str(path)) as theirs:
            theirs.serde = strict_serializer(*graph.states)
            found = [one async for one in ours.alist({"configurable": {"thread_id": "t"}})]
            for one in reversed(found):
                parent = (one.parent_config or {"configurable": {}})["configurable"].get("checkpoint_id")
                config: Any = {
                    "configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": parent}
                }
                theirs.put(config, one.checkpoint, one.metadata, {})
    for question in ("three", "four"):  # taken over, then opened again
        async with open_sqlite(path, *graph.states) as saver:
            compiled = graph.compile(saver)
            await play(compiled, new_turn(question), run=Run(), thread_id="t")
            said = [message.text for message in await thread_messages(compiled, "t")]
    assert said == ["one", "ONE", "two", "TWO", "three", "THREE", "four", "FOUR"]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("PRAGMA user_version=9", r"have format 9, and this version reads format 3; use the version"),
        ("CREATE TABLE checkpoints (x)", r"cannot be kept in `.*no such column.*give another path"),
    ],
)
async def test_a_file_of_another_format_is_refused_and_left_as_it_is(
    made: str, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(made)
        before = list(connection.execute("SELECT sql FROM sqlite_master"))
    with pytest.raises(ThreadError, match=told):
        async with open_sqlite(path, Conversation):
            pass
    assert list(connection.execute("SELECT sql FROM sqlite_master")) == before
    connection.close()


async def put(saver: ThreadSaver, name: str, parent: str | None = None, **metadata: Any) -> Any:
    checkpoint: Any = {
        "v": 2,
        "id": name,
        "ts": "",
        "channel_values": {},
        "channel_versions": {},
        "versions_seen": {},
    }
    config = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": parent}}
    return await saver.aput(config, checkpoint, metadata, {})


async def test_checkpoints_are_found_by_what_their_metadata_holds(place: Path | str) -> None:
    async with open_store(store_of(place), place, Conversation) as saver:
        await put(saver, "1", source="input", tags=["a"], owner=None)
        await put(saver, "2", "1", source="loop", step=1, good=True)
        await put(saver, "3", "2", source="loop", step=2, **{"a'b\"c": 1})

        def ids(config: Any = None, **given: Any) -> list[str]:
            config = config or {"configurable": {"thread_id": "t"}}
            return [one.checkpoint["id"] for one in saver.list(config, **given)]

        assert ids() == ["3", "2", "1"] and ids(limit=2) == ["3", "2"]
        assert ids(filter={"source": "loop"}, limit=1) == ["3"] and ids(filter={"good": True}) == ["2"]
        assert ids(filter={"tags": ["a"]}) == ["1"] and ids(filter={"a'b\"c": 1}) == ["3"]
        assert ids(before={"configurable": {"checkpoint_id": "3"}}) == ["2", "1"]
        assert ids({"configurable": {"thread_id": "t", "checkpoint_id": "2"}}) == ["2"]
        assert [one.checkpoint["id"] for one in saver.list(None)] == ["3", "2", "1"]


async def test_the_tip_is_what_was_written_last_though_the_clock_was_set_back(place: Path | str) -> None:
    async with open_store(store_of(place), place, Conversation) as saver:
        await put(saver, "9")
        await put(saver, "5", "9")
        await put(saver, "7", "5")
        found = saver.get_tuple({"configurable": {"thread_id": "t"}})
        assert found and found.checkpoint["id"] == "7"


async def test_without_an_event_loop_a_graph_is_kept_too(place: Path | str, tmp_path: Path) -> None:
    graph = stepping(tmp_path / "effects")
    async with open_store(store_of(place), place, *graph.states) as saver:
        compiled: Any = graph.compile(saver)
        config: Any = {"configurable": {"thread_id": "t"}}
        await asyncio.to_thread(compiled.invoke, {"question": "x"}, config, durability="sync")
        assert compiled.get_state(config).values["steps"] == list(STEPS)
        saver.copy_thread("t", "u")
        with pytest.raises(ThreadError, match="there is a thread `u`"):
            saver.copy_thread("t", "u")
        saver.prune(["u"])
        assert len(list(saver.list({"configurable": {"thread_id": "u"}}))) == 1
        saver.delete_thread("u")
        assert saver.get_tuple({"configurable": {"thread_id": "u"}}) is None
        with pytest.raises(ThreadError, match=r"no strategy `all`.*keep_latest"):
            saver.prune(["t"], strategy="all")


async def test_pruning_keeps_what_a_delta_channel_is_put_together_from(place: Path | str) -> None:
    def join(old: list[str], writes: list[Any]) -> list[str]:
        return [*old, *(item for write in writes for item in write)]

    class Long(Conversation):
        notes: Annotated[list[str], DeltaChannel(join, snapshot_frequency=4)]

    async def note(state: Long) -> Any:
        return {"notes": [state["question"]]}

    graph = Graph(Long).add_node("note", note).add_edge(START, "note").add_edge("note", END)
    async with open_store(store_of(place), place, *graph.states) as saver:
        compiled: Any = graph.compile(saver)
        for number in range(11):
            await play(compiled, new_turn(str(number)), run=Run(), thread_id="t")
            count = len([one async for one in saver.alist({"configurable": {"thread_id": "t"}})])
            await saver.aprune(["t"])
            standing = await thread_standing(compiled, "t")
            assert standing.state["notes"] == [str(earlier) for earlier in range(number + 1)]
        assert count <= 12


async def test_full_durability_is_asked_for(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "t.sqlite", Conversation, durability="FULL") as saver:
        asked = saver.file.transact_now(
            lambda connection: connection.execute("PRAGMA synchronous").fetchone()
        )
        assert asked == (2,)
