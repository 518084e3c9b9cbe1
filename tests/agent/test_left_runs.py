"""Started runs under bad luck: closed at once, other loops, answers of a program that ended, odd results."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent, tool
from stretto.agent.threads import threads_of
from stretto.context import RunContext
from stretto.errors import GraphError, ThreadConflict, ThreadError
from stretto.events import Event, RunFinished, TextDelta
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message, ToolCall
from stretto.questions import Answer
from stretto.testing import ScriptedModel


def one_node(play: Any, state: Any = Conversation) -> Graph:
    return Graph(state).add_node("play", play).add_edge(START, "play").add_edge("play", END)


def well(model: Any = None) -> ScriptedModel:
    return ScriptedModel(otherwise=lambda asked: "Well.")


@pytest.mark.parametrize("ends", ["closed", "its loop ends"])
def test_a_run_that_had_not_begun_is_left_to_the_next_agent(ends: str, tmp_path: Path) -> None:
    async def leave() -> str:
        agent = Agent(model=well(), threads=tmp_path / "t.sqlite")
        started = await agent.start("a question", thread_id="t")
        if ends == "closed":
            await agent.close()
            assert not agent._running._tasks and not asyncio.all_tasks() - {asyncio.current_task()}
        else:
            await asyncio.sleep(0)
        return started.run_id

    async def go_on(run_id: str) -> None:
        async with Agent(model=well(), threads=tmp_path / "t.sqlite") as agent:
            assert await agent.recover() == [run_id]
            assert (await agent.result(run_id)).output == "Well."

    asyncio.run(go_on(asyncio.run(leave())))


def test_a_run_of_one_event_loop_is_followed_and_stopped_from_another(tmp_path: Path) -> None:
    agent_loop = asyncio.new_event_loop()
    thread = threading.Thread(target=agent_loop.run_forever, daemon=True)
    thread.start()

    async def play(state: Conversation, ctx: RunContext) -> Conversation:
        ctx.emit(TextDelta(text="well, "))
        await asyncio.Event().wait()
        return {}

    agent = Agent(one_node(play), threads=tmp_path / "t.sqlite")
    starting = asyncio.run_coroutine_threadsafe(agent.start("a question", thread_id="t"), agent_loop)
    run_id = starting.result(20).run_id

    async def watch() -> list[Event]:
        seen: list[Event] = []
        async for event in agent.follow(run_id):
            seen.append(event)
            if isinstance(event, TextDelta):
                assert await agent.stop(run_id)
        await agent.close()
        return seen

    try:
        seen = asyncio.run(asyncio.wait_for(watch(), 20))
    finally:
        asyncio.run_coroutine_threadsafe(agent.close(), agent_loop).result(20)
        agent_loop.call_soon_threadsafe(agent_loop.stop)
        thread.join(20)
        agent_loop.close()
    assert isinstance(seen[-1], RunFinished) and seen[-1].status == "stopped"
    assert not agent._running._signals and not agent._running._tasks


async def test_answers_of_a_program_that_ended_are_given_by_the_next(tmp_path: Path) -> None:
    paid: list[int] = []

    @tool(approval=True, effect="once")
    async def pay() -> str:
        """Pays."""
        paid.append(1)
        return "paid"

    def agent() -> Agent:
        script = ScriptedModel(
            otherwise=lambda asked: "Done." if asked.messages[-1].role == "tool" else ToolCall("c1", "pay")
        )
        return Agent(model=script, tools=[pay], threads=tmp_path / "t.sqlite")

    first = agent()
    assert (await first.run("pay", thread_id="t")).status == "interrupted"
    started = await first.start(thread_id="t", answers={"c1": Answer(True, by="ada")})
    await first.close()
    second = agent()
    assert await second.recover() == [started.run_id]
    result = await second.result(started.run_id)
    assert result.output == "Done." and paid == [1] and result.tools[-1].approved_by == "ada"
    await second.close()


async def test_a_turn_that_is_stopped_before_it_began_leaves_a_question_open(tmp_path: Path) -> None:
    @tool(approval=True)
    async def pay() -> str:
        """Pays."""
        return "paid"

    script = ScriptedModel(ToolCall("c1", "pay"), "Done.")
    agent = Agent(model=script, tools=[pay], threads=tmp_path / "t.sqlite", second_turn="interrupt")
    assert (await agent.run("pay", thread_id="t")).status == "interrupted"
    turns = [asyncio.create_task(agent.run(str(number), thread_id="t")) for number in range(2)]
    ended = await asyncio.gather(*turns, return_exceptions=True)
    assert any(isinstance(each, ThreadError) for each in ended)
    assert (await agent.run(thread_id="t", answers={"c1": True})).output == "Done."
    await agent.close()


async def test_a_resumed_turn_goes_on_when_who_wanted_to_join_it_has_left(tmp_path: Path) -> None:
    inside, gate = asyncio.Event(), asyncio.Event()
    tries: list[int] = []

    async def play(state: Conversation, ctx: RunContext) -> Conversation:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("no")
        ctx.emit(TextDelta(text="Well."))
        inside.set()
        await gate.wait()
        return {"messages": [Message.assistant("Well.")], "output": "Well."}

    agent = Agent(one_node(play), threads=tmp_path / "t.sqlite", second_turn="merge")
    with pytest.raises(ValueError, match="no"):
        await agent.run("a question", thread_id="t")
    turn = asyncio.create_task(agent.resume("t"))
    await inside.wait()
    inside.clear()
    joining = asyncio.create_task(agent.run("another", thread_id="t"))
    store = await agent._opened.kept()
    hold = next(iter(store.turns._holds.values()))
    while not hold.wish:
        await asyncio.sleep(0)
    joining.cancel()
    await asyncio.wait([joining])
    gate.set()
    assert (await turn).output == "Well."
    assert [message.text for message in await agent.messages("t")] == ["a question", "Well."]
    await agent.close()


class Odd(Conversation, total=False):
    more: Any


async def test_a_result_that_json_cannot_say_is_kept_as_far_as_it_can_be(tmp_path: Path) -> None:
    circle: list[Any] = []

    async def play(state: Odd, ctx: RunContext) -> Odd:
        ctx.emit(TextDelta(text="half \ud800"))
        return {"output": "half \ud800", "more": {("a", 1): "\udc00", "deep": circle}}

    agent = Agent(one_node(play, Odd), threads="memory")
    started = await agent.start("a question", thread_id="t")
    result = await agent.result(started.run_id)
    assert result.output == "half ?" and result.state["more"]["deep"] == []
    assert (await agent.run("again", thread_id="t")).status == "done", "the thread is free"
    await agent.close()


async def test_a_node_that_is_cancelled_from_within_fails_its_run(tmp_path: Path) -> None:
    async def play(state: Conversation) -> Conversation:
        raise asyncio.CancelledError

    agent = Agent(one_node(play), threads=tmp_path / "t.sqlite")
    started = await agent.start("a question", thread_id="t")
    assert [event async for event in agent.follow(started.run_id)][-1].status == "failed"
    with pytest.raises(GraphError, match="cancelled from within"):
        await agent.run("a question", thread_id="t")
    await agent.close()


@pytest.mark.parametrize("again", [False, True])
async def test_a_thread_that_is_deleted_while_it_is_answered_does_not_come_back(
    again: bool, tmp_path: Path
) -> None:
    inside, gate = asyncio.Event(), asyncio.Event()

    async def play(state: Conversation) -> Conversation:
        inside.set()
        await (gate.wait() if state["messages"][-1].text == "a secret" else asyncio.sleep(0))
        return {"messages": [Message.assistant("Well.")], "output": "Well."}

    agent = Agent(one_node(play), threads=tmp_path / "t.sqlite")
    turn = asyncio.create_task(agent.run("a secret", thread_id="t"))
    await inside.wait()
    async with threads_of(agent) as threads:
        assert await threads.delete(["t"], force=True) == ["t"]
        if again:
            await agent.run("hello", thread_id="t")
        gate.set()
        with pytest.raises(ThreadConflict, match="or it was deleted"):
            await turn
        assert [message.text for message in await agent.messages("t")] == (
            ["hello", "Well."] if again else []
        )
        assert again or (await threads.list() == [] and await threads.delete(["t"]) == [])
    await agent.close()
