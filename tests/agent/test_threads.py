"""Threads are listed, shown, forked, compared, exported, deleted and pruned; a fork leaves its source be."""

import time
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from stretto import Agent, RunContext
from stretto.agent import ThreadsOf, threads_of
from stretto.errors import ConfigError, ThreadConflict, ThreadError
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Image, Message
from stretto.threads import Retention
from stretto.threads.runs import Ticket, arrive

SECRET = "the parcel is behind the blue door"


class Counted(Conversation, total=False):
    asked: int


async def say(state: Counted, ctx: RunContext) -> Counted:
    if state["question"] == "wait":
        return {"output": str(ctx.interrupt("Really?")), "messages": [Message.assistant("waited")]}
    answer = state["question"].upper()
    return {"output": answer, "messages": [Message.assistant(answer)], "asked": state.get("asked", 0) + 1}


def talking() -> Graph:
    return Graph(Counted).add_node("say", say).add_edge(START, "say").add_edge("say", END)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "threads.sqlite"


@pytest.fixture
async def agent(path: Path) -> Any:
    async with Agent(talking(), threads=path, media=path.parent / "media") as made:
        yield made


@pytest.fixture
async def threads(agent: Agent) -> Any:
    async with threads_of(agent) as opened:
        yield opened


async def test_threads_are_listed_with_what_they_wait_for(agent: Agent, threads: ThreadsOf) -> None:
    await agent.run("hello", thread_id="a")
    await agent.run("again", thread_id="a")
    await agent.run("wait", thread_id="b")
    waits, done = await threads.list()
    assert (waits.thread_id, waits.waiting, waits.unfinished) == ("b", {"say": "Really?"}, True)
    assert (done.thread_id, done.turns, done.waiting, done.unfinished) == ("a", 2, {}, False)
    assert done.used is not None and abs(done.used - time.time()) < 60
    assert done.bytes > 500
    assert [row.thread_id for row in await threads.list(1)] == ["b"]
    assert await threads.count() == 2


async def test_a_thread_is_shown_as_it_is_and_as_it_was(agent: Agent, threads: ThreadsOf) -> None:
    await agent.run("hello", thread_id="a")
    then = (await threads.show("a")).checkpoints[0].checkpoint_id
    await agent.run("wait", thread_id="a")
    now = await threads.show("a")
    assert [message.text for message in now.messages] == ["hello", "HELLO", "wait"]
    assert now.next == ["say"]
    assert now.state["asked"] == 1
    assert now.checkpoints[0].graph
    assert [message.text for message in (await threads.show("a", then)).messages] == ["hello", "HELLO"]
    assert await threads.export("a") == now.messages


async def test_a_file_can_be_looked_at_without_its_agent(agent: Agent, path: Path) -> None:
    await agent.run("hello", thread_id="a")
    async with threads_of(path) as threads:
        (row,) = await threads.list()
        assert (row.thread_id, row.turns) == ("a", 1)
        with pytest.raises(ConfigError, match="takes the agent"):
            await threads.check()
    with pytest.raises(ThreadError, match="there are no threads in"):
        async with threads_of(path.with_name("nothing")):
            pass


async def test_what_is_not_there_is_said(threads: ThreadsOf) -> None:
    with pytest.raises(ThreadError, match=r"no thread `x`\. Type: stretto threads list"):
        await threads.show("x")
    with pytest.raises(ThreadError, match="no checkpoint `y` of thread `x`"):
        await threads.fork("x", at="y")
    async with Agent(talking(), threads=None) as forgetful:
        with pytest.raises(ThreadError, match="keeps no threads"):
            async with threads_of(forgetful):
                pass


async def test_a_fork_goes_its_own_way_from_any_checkpoint(agent: Agent, threads: ThreadsOf) -> None:
    await agent.run("hello", thread_id="a")
    then = (await threads.show("a")).checkpoints[0].checkpoint_id
    await agent.run("second", thread_id="a")
    forked = await threads.fork("a", at=then, to="b")
    assert (forked.thread_id, forked.source, forked.checkpoint_id) == ("b", "a", then)
    assert "own" in forked.note
    assert (await agent.run("other", thread_id="b")).output == "OTHER"
    assert [message.text for message in await agent.messages("b")] == ["hello", "HELLO", "other", "OTHER"]
    assert [message.text for message in await agent.messages("a")] == ["hello", "HELLO", "second", "SECOND"]
    with pytest.raises(ThreadError, match="there is a thread `b`"):
        await threads.fork("a", to="b")
    assert len((await threads.fork("a")).thread_id) == 32


async def test_a_fork_of_a_waiting_thread_waits_too_with_effects_of_its_own(
    agent: Agent, threads: ThreadsOf
) -> None:
    await agent.run("wait", thread_id="a")
    saver = (await agent._opened.kept()).compiled.checkpointer
    await saver.file.transact(lambda c: c.execute("INSERT INTO journal VALUES ('a', 'task', 0, x'00')"))
    effect = ("a", "task", 0, "key", "t", "once", "{}", "done", 0.0, b"")
    await saver.file.transact(lambda c: c.execute(f"INSERT INTO effects VALUES ({'?, ' * 9}?)", effect))
    await saver.file.transact(
        lambda c: c.execute("INSERT INTO media_references VALUES ('a', 'f00', 'default', 3, 'image/png')")
    )
    await threads.fork("a", to="b")
    of_fork = "SELECT (SELECT COUNT(*) FROM journal WHERE thread_id = 'b'), "
    of_fork += "(SELECT COUNT(*) FROM effects WHERE thread_id = 'b'), "
    of_fork += "(SELECT COUNT(*) FROM media_references WHERE thread_id = 'b')"
    assert await saver.file.transact(lambda c: c.execute(of_fork).fetchone()) == (1, 0, 1)
    assert (await agent.run(answers={"say": "yes"}, thread_id="b")).output == "yes"
    assert (await agent.run(answers={"say": "no"}, thread_id="a")).output == "no"


async def test_a_fork_takes_a_waiting_sub_graph_along(path: Path) -> None:
    outer = Graph(Counted).add_node("talk", talking()).add_edge(START, "talk").add_edge("talk", END)
    async with Agent(outer, threads=path) as agent, threads_of(agent) as threads:
        asked = (await agent.run("wait", thread_id="a")).interrupts
        await threads.fork("a", to="b")
        for thread_id in ("b", "a"):
            (call_id,) = asked
            assert (await agent.run(answers={call_id: thread_id}, thread_id=thread_id)).output == thread_id


async def test_two_tips_are_compared(agent: Agent, threads: ThreadsOf) -> None:
    await agent.run("hello", thread_id="a")
    then = (await threads.show("a")).checkpoints[0].checkpoint_id
    await threads.fork("a", to="b")
    same = await threads.diff("a", "b")
    assert not (same.added or same.removed or same.changed or same.keys)
    await agent.run("more", thread_id="a")
    found = await threads.diff(f"a@{then}", "a")
    assert [message.text for message in found.added] == ["more", "MORE"]
    assert found.keys["asked"] == (1, 2)
    assert [message.text for message in (await threads.diff("a", "b")).removed] == ["more", "MORE"]


async def test_a_deleted_thread_leaves_no_row_no_byte_and_no_medium(
    agent: Agent, path: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "a.png"
    PIL.Image.new("RGB", (40, 30), "red").save(picture)
    await agent.run([SECRET, Image(str(picture))], thread_id="a")
    await agent.run("hello", thread_id="b")
    assert len(await agent.held_media(["a", "b"])) == 1
    media = [each for each in (tmp_path / "media").rglob("*") if each.is_file()]
    assert media
    async with threads_of(agent) as threads:
        assert await threads.delete(["a", "a", "unknown"]) == ["a"]
        assert [row.thread_id for row in await threads.list()] == ["b"]
        assert await threads.delete(["a"]) == []
    assert await agent.messages("a") == []
    left = [each for each in path.parent.rglob("*") if each.is_file()]
    assert not any(SECRET.encode() in each.read_bytes() for each in left)
    assert not [each for each in media if each.exists()]


async def test_a_thread_whose_turn_runs_is_not_deleted_unless_told_so(
    agent: Agent, threads: ThreadsOf
) -> None:
    await agent.run("hello", thread_id="a")
    await agent.run("hello", thread_id="b")
    saver = (await agent._opened.kept()).compiled.checkpointer
    ticket = Ticket("run", "b", "default", "agent", b"{}")
    await saver.file.transact(lambda connection: arrive(connection, ticket, "reject"))
    with pytest.raises(ThreadConflict, match="a turn of thread `b` runs; stop it first"):
        await threads.delete(["a", "b"])
    assert await threads.count() == 2
    assert await threads.prune(Retention(threads=1)) == ["a"]
    assert await threads.delete(["b"], force=True) == ["b"]


async def test_all_of_a_tenant_goes_and_what_is_remembered_of_a_user(
    agent: Agent, threads: ThreadsOf
) -> None:
    await agent.run("hello", thread_id="a")
    await agent.run("hello", thread_id="b")
    await agent.run("hello", thread_id="c", tenant="other", user="bob")
    await agent.run("hello", thread_id="d", tenant="third", user="bob")
    saver = (await agent._opened.kept()).compiled.checkpointer

    def fill(connection: Any) -> None:
        connection.execute(
            "INSERT INTO media_references VALUES ('a', '" + "f" * 64 + "', 'acme', 3, 'image/png')"
        )
        for namespace in ("acme", "acme/ann", "other/bob", "third/bob"):
            connection.execute("INSERT INTO memories VALUES (?, 'x', x'00', x'00', 0, 0, 0, 0)", (namespace,))

    await saver.file.transact(fill)
    names = "SELECT namespace FROM memories ORDER BY namespace"
    assert await threads.delete_of(user="bob") == []
    assert await threads.delete_of(user="bob", tenant="other") == ["c"]
    left = await saver.file.transact(lambda c: c.execute(names).fetchall())
    assert left == [("acme",), ("acme/ann",), ("third/bob",)]
    assert await threads.delete_of(tenant="acme") == ["a"]
    assert await saver.file.transact(lambda c: c.execute(names).fetchall()) == [("third/bob",)]
    assert [row.thread_id for row in await threads.list()] == ["d", "b"]


async def test_pruning_says_what_would_go_before_it_goes(
    agent: Agent, threads: ThreadsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agent.run("hello", thread_id="a")
    await agent.run("more", thread_id="a")
    await agent.run("wait", thread_id="b")
    later = time.time() + 31 * 86_400
    monkeypatch.setattr("time.time", lambda: later)
    keep = Retention(days=30, checkpoints=None)
    assert await threads.prune(keep, dry=True) == ["a"]
    assert await threads.prune(keep, dry=True, waiting=True) == ["a", "b"]
    assert await threads.count() == 2
    assert len((await threads.show("a")).checkpoints) > 1
    assert await threads.prune(Retention(checkpoints=1)) == []
    assert len((await threads.show("a")).checkpoints) == 1
    assert await threads.prune(keep) == ["a"]
    assert (await agent.run(answers={"say": "yes"}, thread_id="b")).output == "yes"
