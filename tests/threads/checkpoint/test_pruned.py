"""A retention keeps the size of a store within bounds, and every thread able to go on."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import pytest
from langgraph.channels import DeltaChannel

from stretto import Agent, RunContext, tool
from stretto.errors import ConfigError, ModelUnavailable
from stretto.events import NodeStarted
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message, ToolCall
from stretto.nodes import llm
from stretto.testing import ScriptedModel
from stretto.threads import Retention


@tool(effect="once", approval=True)
def refund(order: str) -> str:
    """Pays an order back.

    Args:
        order: Its number.
    """
    return f"paid back {order}"


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def threads(request: Any, tmp_path: Path) -> Any:
    if request.param == "postgres":
        return request.getfixturevalue("postgres")
    return "memory" if request.param == "memory" else tmp_path / "threads.sqlite"


def echoing(**options: Any) -> Agent:
    async def echo(state: Conversation) -> Conversation:
        return {"messages": [Message.assistant(state["question"].upper())]}

    inner = Graph().add_node("echo", echo).add_edge(START, "echo").add_edge("echo", END)
    return Agent(Graph().add_node("inner", inner).add_edge(START, "inner").add_edge("inner", END), **options)


async def size(agent: Agent) -> dict[str, int]:
    """How much the agent's store holds, by kind."""
    saver = (await agent._opened.kept()).compiled.checkpointer
    queries = {
        "threads": "SELECT COUNT(DISTINCT thread_id) FROM checkpoints",
        "checkpoints": "SELECT COUNT(*) FROM checkpoints",
        "writes": "SELECT COUNT(*) FROM writes",
    }
    return {
        kind: saver.file.transact_now(lambda connection, query=query: connection.execute(query).fetchone()[0])
        for kind, query in queries.items()
    }


async def test_a_thread_of_many_turns_is_one_checkpoint_and_whole(threads: Any) -> None:
    agent = echoing(threads=threads, retention=Retention())
    await agent.run("a", thread_id="t")
    first = await size(agent)
    for letter in "bcdefgh":
        await agent.run(letter, thread_id="t")
    assert await size(agent) == first and first["checkpoints"] == 1 and first["writes"] == 0
    assert "".join(message.text for message in await agent.messages("t")) == "aAbBcCdDeEfFgGhH"
    await agent.close()


async def test_without_a_retention_all_is_kept(threads: Any) -> None:
    agent = echoing(threads=threads)
    await agent.run("a", thread_id="t")
    first = await size(agent)
    await agent.run("b", thread_id="t")
    assert (await size(agent))["checkpoints"] == 2 * first["checkpoints"] > 2
    await agent.close()


async def test_some_checkpoints_can_be_kept_to_go_back_to(threads: Any) -> None:
    agent = echoing(threads=threads, retention=Retention(checkpoints=3))
    for letter in "abc":
        await agent.run(letter, thread_id="t")
    assert (await size(agent))["checkpoints"] == 3
    await agent.close()


@pytest.mark.parametrize("nested", [False, True])
async def test_a_thread_that_waits_goes_on_from_what_is_kept(threads: Any, nested: bool) -> None:
    def opened() -> Agent:
        call = ToolCall("c1", "refund", '{"order": "A1"}')
        model = ScriptedModel(otherwise=lambda asked: "Done." if asked.messages[-1].role == "tool" else call)
        graph = (
            Graph().add_node("say", llm(model, tools=[refund])).add_edge(START, "say").add_edge("say", END)
        )
        if nested:
            graph = Graph().add_node("inner", graph).add_edge(START, "inner").add_edge("inner", END)
        return Agent(graph, threads=threads, retention=Retention())

    agent = opened()
    for thread_id in ("a", "b"):
        assert (await agent.run("refund A1", thread_id=thread_id)).status == "interrupted"
    if threads != "memory":
        await agent.close()
        agent = opened()
    paid = await agent.run(thread_id="a", answers={"c1": True})
    assert paid.output == "Done." and paid.tools[-1].output == "paid back A1"
    assert (await size(agent))["writes"] > 0  # the other one still waits
    assert (await agent.run(thread_id="b", answers={"c1": False})).output == "Done."
    held = await size(agent)
    assert held["checkpoints"] == 2 and held["writes"] == 0
    await agent.close()


async def test_threads_over_the_limit_go_and_those_used_last_stay(threads: Any) -> None:
    agent = echoing(threads=threads, retention=Retention(threads=3))
    for name in ("a", "b", "c", "a", "d"):
        await agent.run(name, thread_id=name)
    assert (await size(agent))["threads"] == 3
    kept = [name for name in "abcd" if await agent.messages(name)]
    assert kept == ["a", "c", "d"]
    assert (await size(agent))["threads"] == 3  # reading what is not there makes nothing
    await agent.close()


async def test_the_store_is_as_large_after_many_threads_as_after_a_few(threads: Any) -> None:
    agent = echoing(threads=threads, retention=Retention(threads=3))
    for number in range(5):
        await agent.run("x", thread_id=str(number))
    few = await size(agent)
    for number in range(5, 25):
        await agent.run("x", thread_id=str(number))
    assert await size(agent) == few
    await agent.close()


async def test_a_thread_whose_turn_plays_is_not_dropped(threads: Any) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(state: Conversation) -> Conversation:
        if state["question"] == "slow":
            inside.set()
            await go_on.wait()
        return {"messages": [Message.assistant("well")]}

    graph = Graph().add_node("a", slow).add_edge(START, "a").add_edge("a", END)
    agent = Agent(graph, threads=threads, retention=Retention(threads=1))
    await agent.run("x", thread_id="slow")
    turn = asyncio.create_task(agent.run("slow", thread_id="slow"))
    await inside.wait()
    for number in range(3):
        await agent.run("x", thread_id=str(number))
    go_on.set()
    await turn
    assert [message.text for message in await agent.messages("slow")] == ["x", "well", "slow", "well"]
    await agent.close()


async def test_only_the_last_turns_of_a_conversation_are_kept(threads: Any) -> None:
    agent = echoing(threads=threads, retention=Retention(turns=2))
    for letter in "abcde":
        await agent.run(letter, thread_id="t")
    messages = await agent.messages("t")
    assert "".join(message.text for message in messages) == "dDeE"
    assert len({message.id for message in messages}) == 4 and all(message.id for message in messages)
    await agent.close()


async def test_what_failed_and_left_turns_wrote_goes_with_the_next_turn(threads: Any) -> None:
    model = ScriptedModel(ModelUnavailable("down"), ModelUnavailable("down"), "Well.")
    agent = Agent(model=model, threads=threads, retention=Retention())
    for _ in range(2):
        with pytest.raises(ModelUnavailable):
            await agent.run("hi", thread_id="t")
    await agent.run("hi", thread_id="t")
    held = await size(agent)
    assert held["checkpoints"] == 1 and held["writes"] == 0
    await agent.close()


@pytest.mark.parametrize("names", ["one", "many"])
async def test_turns_that_are_all_left_do_not_add_up(threads: Any, names: str) -> None:
    async def endless(state: Conversation) -> Conversation:
        await asyncio.Event().wait()
        return {}

    inner = Graph().add_node("wait", endless).add_edge(START, "wait").add_edge("wait", END)
    graph = Graph().add_node("inner", inner).add_edge(START, "inner").add_edge("inner", END)
    agent = Agent(graph, threads=threads, retention=Retention(threads=2, turns=2))
    sizes = []
    for number in range(8):
        async for event in agent.stream("hi", thread_id="t" if names == "one" else str(number)):
            if isinstance(event, NodeStarted) and event.node == "inner/wait":
                break
        while len(asyncio.all_tasks()) > 1:  # `break` leaves the closing of the stream to the loop
            await asyncio.sleep(0)
        sizes.append(await size(agent))
    assert sizes[-1] == sizes[-2] == sizes[-3]
    assert sizes[-1]["threads"] <= 3 and sizes[-1]["checkpoints"] <= 3 * 4
    await agent.close()


async def test_a_state_that_needs_all_its_checkpoints_is_refused() -> None:
    def add(old: list[str], writes: list[Any]) -> list[str]:
        return [*old, *(item for write in writes for item in write)]

    class Long(Conversation):
        notes: Annotated[list[str], DeltaChannel(add)]

    async def note(state: Long, ctx: RunContext) -> Any:
        return {"notes": ["x"]}

    graph = Graph(Long).add_node("a", note).add_edge(START, "a").add_edge("a", END)
    with pytest.raises(ConfigError, match=r"`notes` is a DeltaChannel.*checkpoints=None"):
        await Agent(graph, retention=Retention(threads=3)).run("hi", thread_id="t")
