"""Before a deploy one is told which threads the new graph can take up, fast, and a turn says the same."""

import time
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent, RunContext
from stretto.agent import threads_of
from stretto.agent.deploys import Checked
from stretto.errors import ThreadOutdated
from stretto.graph import END, START, Conversation, Graph
from stretto.graph.description import STAMP
from stretto.messages import Message


class Sized(Conversation, total=False):
    size: int


async def look(state: Any) -> dict[str, Any]:
    return {"size": 7} if "size" in state["question"] else {}


async def ask(state: Any, ctx: RunContext) -> dict[str, Any]:
    answer = ctx.interrupt("Really?") if "wait" in state["question"] else "done"
    return {"output": answer, "messages": [Message.assistant(str(answer))]}


def line(*names: str, state: type[Any] = Sized, **options: Any) -> Graph:
    graph, before = Graph(state, **options), START
    for name in names:
        graph.add_node(name, look if name == "look" else ask).add_edge(before, name)
        before = name
    return graph.add_edge(before, END)


async def checked(path: Path, graph: Graph) -> Checked:
    async with Agent(graph, threads=path) as agent, threads_of(agent) as threads:
        return await threads.check()


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    kept = tmp_path / "threads.sqlite"
    async with Agent(line("look", "ask"), threads=kept) as agent:
        await agent.run("wait", thread_id="waits")
        await agent.run("wait size", thread_id="waits with a size")
        await agent.run("size", thread_id="done with a size")
        await agent.run("hello", thread_id="done")
    return kept


def groups(found: Checked) -> dict[str, set[str]]:
    return {group.verdict: set(group.some) for group in found.groups}


async def test_the_same_graph_and_one_with_more_in_it_take_all_up(path: Path) -> None:
    for graph in (line("look", "ask"), line("look", "think", "ask", "more")):
        found = await checked(path, graph)
        assert found.passed
        assert (found.threads, found.waiting, found.unfinished) == (4, 2, 2)
        assert [group.verdict for group in found.groups] == ["fits"]


async def test_threads_at_a_node_that_is_gone_are_named_and_a_new_name_lets_them_go_on(path: Path) -> None:
    found = await checked(path, line("look", "confirm"))
    assert not found.passed
    gone, fits = found.groups
    assert (gone.verdict, gone.threads, gone.waiting, gone.nodes) == ("nodes_gone", 2, 2, ["ask"])
    assert set(gone.some) == {"waits", "waits with a size"}
    assert 'renamed={"ask": "confirm"}' in gone.why
    assert fits.verdict == "fits"
    assert (await checked(path, line("look", "confirm", renamed={"ask": "confirm"}))).passed


async def test_threads_that_need_migrate_are_named_until_there_is_one(path: Path) -> None:
    found = await checked(path, line("look", "ask", state=Conversation))
    assert not found.passed
    assert groups(found)["needs_migrate"] == {"waits with a size", "done with a size"}
    assert found.groups[0].keys == ["size"]
    found = await checked(path, line("look", "ask", state=Conversation, migrate=lambda state, old: state))
    assert found.passed
    assert groups(found)["migrates"] == {"waits with a size", "done with a size"}


@pytest.mark.parametrize("graph", [line("look", "confirm"), line("look", "ask", state=Conversation)])
async def test_a_turn_refuses_what_the_check_named(path: Path, graph: Graph) -> None:
    found = await checked(path, graph)
    named = {
        name for group in found.groups if group.verdict not in ("fits", "migrates") for name in group.some
    }
    async with Agent(graph, threads=path) as agent:
        for thread_id in ("waits", "waits with a size", "done with a size", "done"):
            given = {"answers": {"ask": "yes"}} if thread_id.startswith("waits") else {"question": "hello"}
            if thread_id in named:
                with pytest.raises(ThreadOutdated, match=f"thread `{thread_id}`"):
                    await agent.run(thread_id=thread_id, **given)
            else:
                assert (await agent.run(thread_id=thread_id, **given)).output in ("yes", "done")


async def test_a_question_does_not_silently_drop_what_a_thread_waits_for(path: Path) -> None:
    async with Agent(line("look", "confirm"), threads=path) as agent:
        with pytest.raises(ThreadOutdated, match="`ask`"):
            await agent.run("never mind", thread_id="waits")
        assert (await agent.messages("waits"))[0].text == "wait"


async def test_threads_without_a_fingerprint_are_looked_at_too(path: Path) -> None:
    async with Agent(line("look", "ask"), threads=path) as agent:
        saver = (await agent._opened.kept()).compiled.checkpointer
        strip = (
            f"UPDATE checkpoints SET metadata = CAST(json_remove(metadata, '$.{STAMP}') AS BLOB), "
            "type = 'msgpack', checkpoint = SUBSTR(checkpoint, 7)"  # as an earlier version wrote them
        )
        await saver.file.transact(lambda c: (c.execute(strip), c.execute("DELETE FROM graphs")))
    assert (await checked(path, line("look", "ask"))).passed
    found = groups(await checked(path, line("look", "confirm")))
    assert found["nodes_gone"] == {"waits", "waits with a size"}


async def test_a_thousand_paused_threads_are_checked_in_less_than_five_seconds(tmp_path: Path) -> None:
    kept = tmp_path / "threads.sqlite"
    async with Agent(line("look", "ask"), threads=kept) as agent:
        for number in range(1000):
            await agent.run(f"wait {number} " + "word " * 200, thread_id=str(number))
    began, cpu = time.perf_counter(), time.process_time()
    found = await checked(kept, line("look", "confirm"))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert (found.threads, found.waiting, found.groups[0].threads) == (1000, 1000, 1000)
    assert cpu < 5, f"{seconds:.2f} s, {cpu:.2f} s of CPU"
