"""A node that runs again repeats nothing: counted at the model's endpoint and in the tools themselves."""

import asyncio
import itertools
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent, Model, RunContext, tool
from stretto.context import Run
from stretto.errors import AnswerRefused
from stretto.events import Approved, TextDelta, ToolFinished, ToolStarted, UsageReported
from stretto.graph import END, START, Conversation, Graph, new_turn
from stretto.graph.stream import play
from stretto.messages import Message, Text, ToolCall
from stretto.nodes import llm
from stretto.questions import Answer
from stretto.testing import ChatServer, ScriptedModel
from stretto.threads.journal import ThreadJournal

_ids = itertools.count()


def calls(*named: tuple[str, str], text: str = "") -> list[Any]:
    """Tool calls under ids that were never there before, written with other spaces each time."""
    said: list[Any] = [Text(text)] if text else []
    spaces = " " * (next(_ids) % 5)
    return said + [
        ToolCall(f"call_{next(_ids)}", name, arguments.replace(":", f":{spaces}"))
        for name, arguments in named
    ]


def once_then(*named: tuple[str, str], end: str = "Done.", text: str = "") -> Any:
    """Asks for the tools, then answers; whatever the count of requests."""
    return lambda asked: end if asked.messages[-1].role == "tool" else calls(*named, text=text)


async def go_on(agent: Agent, thread_id: str) -> tuple[Run, Any]:
    """Takes up a turn that was left, as a process that comes back does."""
    run, events = Run(thread_id=thread_id), []
    run.sink = events.append
    store = await agent._opened.kept()
    compiled = store.compiled
    agent._opened.keep_steps(store, run)
    played = await play(compiled, None, run=run, thread_id=thread_id)
    return run, (played, events)


async def left(turn: Any, inside: asyncio.Event) -> None:
    """The turn, cut off while it is in a tool."""
    task = asyncio.create_task(turn)
    await inside.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_five_approvals_in_one_node_repeat_no_request(tmp_path: Path) -> None:
    paid: list[str] = []

    @tool(approval=True, effect="once")
    async def pay(order: str) -> str:
        paid.append(order)
        return f"paid {order}"

    asked = [("pay", f'{{"order":"{number}"}}') for number in range(5)]
    async with ChatServer(otherwise=once_then(*asked, text="I pay.")) as server:
        agent = Agent(
            model=Model("compatible:x", base_url=server.url), tools=[pay], threads=tmp_path / "t.sqlite"
        )
        result = await agent.run("pay all", thread_id="t")
        assert len(result.interrupts) == 5 and len(server.requests) == 1
        for left_over in range(4, -1, -1):
            call_id = next(iter(result.interrupts))
            result = await agent.run(thread_id="t", answers={call_id: Answer(True, by="ada")})
            assert len(result.interrupts) == left_over
        assert len(server.requests) == 2
        assert result.output == "I pay.\n\nDone." and sorted(paid) == list("01234")
        assert [run.approved_by for run in result.tools] == ["ada"] * 5
        await agent.close()


async def test_approvals_of_parallel_tools_never_cross(tmp_path: Path) -> None:
    ran: list[str] = []

    @tool(approval=True, effect="once")
    async def act(what: str) -> str:
        ran.append(what)
        return what

    asked = [("act", f'{{"what":"{what}"}}') for what in "abc"]
    model = ScriptedModel(otherwise=once_then(*asked))
    agent = Agent(model=model, tools=[act], threads=tmp_path / "t.sqlite")
    chance = random.Random(4)
    for number in range(100):
        ran.clear()
        result = await agent.run("act", thread_id=str(number))
        wanted = {what: chance.random() < 0.5 for what in "abc"}
        given = [(call, wanted[asked["arguments"]["what"]]) for call, asked in result.interrupts.items()]
        chance.shuffle(given)
        if chance.random() < 0.5:
            for call, yes in given:
                result = await agent.run(thread_id=str(number), answers={call: yes})
        else:
            result = await agent.run(thread_id=str(number), answers=dict(given))
        assert result.status == "done"
        assert sorted(ran) == [what for what in "abc" if wanted[what]]
        assert {run.output for run in result.tools if not run.is_error} == set(ran)
    assert len(model.requests) == 200
    await agent.close()


async def test_a_turn_that_was_left_in_a_tool_goes_on_without_asking_again(tmp_path: Path) -> None:
    inside, seen = asyncio.Event(), list[str]()

    @tool
    async def look() -> str:
        seen.append("look")
        return "seen"

    @tool(effect="idempotent")
    async def write(ctx: RunContext) -> str:
        seen.append(ctx.idempotency_key)
        inside.set()
        if len(seen) == 2:
            await asyncio.Event().wait()
        return "written"

    def answer(asked: Any) -> Any:
        rounds = sum(message.role == "tool" for message in asked.messages)
        return [calls(("look", "{}"), text="Let me see."), calls(("write", "{}")), "Done."][rounds]

    async with ChatServer(otherwise=answer) as server:
        agent = Agent(
            model=Model("compatible:x", base_url=server.url), tools=[look, write], threads=tmp_path / "t.db"
        )
        await left(agent.run("go", thread_id="t"), inside)
        assert len(server.requests) == 2
        run, (played, events) = await go_on(agent, "t")
        assert played.state["output"] == "Let me see.\n\nDone."
        assert len(server.requests) == 3  # the answer alone
        assert seen[0] == "look" and len(seen) == 3 and seen[1] == seen[2] != ""
        told = "".join(event.text for event in events if isinstance(event, TextDelta))
        assert told == "Let me see.\n\nDone."
        assert run.usage.calls == 1 and sum(isinstance(event, UsageReported) for event in events) == 1
        assert [(e.name, e.recalled) for e in events if isinstance(e, ToolFinished)] == [
            ("look", True),
            ("write", False),
        ]
        await agent.close()


async def test_a_node_that_is_tried_again_asks_nothing_twice_and_says_nothing_twice(tmp_path: Path) -> None:
    done: list[str] = []

    @tool(effect="once")
    async def pay() -> str:
        done.append("paid")
        return "paid"

    model = ScriptedModel(otherwise=once_then(("pay", "{}"), text="I pay."))
    answer, tries = llm(model, tools=[pay]), itertools.count()

    async def flaky(state: Conversation, ctx: RunContext) -> Any:
        update = await answer(state, ctx)
        if next(tries) == 0:
            raise OSError("the disk")
        return update

    graph = Graph().add_node("flaky", flaky, retry=2, writes=("messages", "output", "citations"))
    graph.add_edge(START, "flaky").add_edge("flaky", END)
    agent = Agent(graph, threads=tmp_path / "t.sqlite")
    text = ""
    async for event in agent.stream("pay", thread_id="t"):
        if isinstance(event, TextDelta):
            text += event.text
        elif type(event).__name__ == "Retracted":
            text = text[: -event.length]
    assert text == "I pay.\n\nDone." and done == ["paid"] and len(model.requests) == 2
    await agent.close()


@pytest.mark.parametrize(
    ("said", "runs", "told"),
    [
        ("it took effect", 1, "took effect, a person says"),
        ("run it", 2, "paid"),
        ("leave it", 1, "decided not to run it again"),
    ],
)
async def test_once_goes_to_a_person_who_may_say_three_things(
    said: str, runs: int, told: str, tmp_path: Path
) -> None:
    inside, paid = asyncio.Event(), list[int]()

    @tool(effect="once")
    async def pay(amount: int) -> str:
        paid.append(amount)
        inside.set()
        if len(paid) == 1:
            await asyncio.Event().wait()
        return "paid"

    model = ScriptedModel(otherwise=once_then(("pay", '{"amount":3}')))
    agent = Agent(model=model, tools=[pay], threads=tmp_path / "t.sqlite")
    await left(agent.run("pay", thread_id="t"), inside)
    _, (played, _) = await go_on(agent, "t")
    ((call_id, question),) = played.questions.items()
    assert question["tool"] == "pay" and question["arguments"] == {"amount": 3}
    assert "not known" in question["uncertain"] and call_id.endswith(":uncertain")
    with pytest.raises(AnswerRefused, match="is not one of"):
        await agent.run(thread_id="t", answers={call_id: "perhaps"})
    result = await agent.run(thread_id="t", answers={call_id: said})
    assert result.output == "Done." and len(paid) == runs
    assert told in result.tools[0].output
    assert len(model.requests) == 2
    await agent.close()


async def test_run_it_holds_for_one_time_only(tmp_path: Path) -> None:
    """Cut off again after a person let it run: that answer does not let it run a third time."""
    inside, paid = asyncio.Event(), list[int]()

    @tool(effect="once")
    async def pay() -> str:
        paid.append(1)
        inside.set()
        await asyncio.Event().wait()
        return "paid"

    agent = Agent(
        model=ScriptedModel(otherwise=once_then(("pay", "{}"))), tools=[pay], threads=tmp_path / "t.sqlite"
    )
    await left(agent.run("pay", thread_id="t"), inside)
    _, (played, _) = await go_on(agent, "t")
    (call_id,) = played.questions
    inside.clear()
    await left(agent.run(thread_id="t", answers={call_id: "run it"}), inside)
    assert len(paid) == 2
    _, (played, _) = await go_on(agent, "t")
    assert set(played.questions) == {call_id} and len(paid) == 2
    await agent.close()


@pytest.mark.parametrize(("found", "runs"), [("paid before", 1), (None, 2)])
async def test_once_asks_its_reconcile_instead_of_a_person(
    found: str | None, runs: int, tmp_path: Path
) -> None:
    inside, paid, asked = asyncio.Event(), list[str](), list[Any]()

    async def look_up(order: str, ctx: RunContext) -> str | None:
        asked.append((order, ctx.idempotency_key))
        return found

    @tool(effect="once", reconcile=look_up)
    async def pay(order: str, amount: int, ctx: RunContext) -> str:
        paid.append(ctx.idempotency_key)
        inside.set()
        if len(paid) == 1:
            await asyncio.Event().wait()
        return "paid now"

    model = ScriptedModel(otherwise=once_then(("pay", '{"order":"A1","amount":2}')))
    agent = Agent(model=model, tools=[pay], threads=tmp_path / "t.sqlite")
    await left(agent.run("pay", thread_id="t"), inside)
    _, (played, events) = await go_on(agent, "t")
    assert played.state["output"] == "Done." and not played.questions
    assert asked == [("A1", paid[0])] and len(paid) == runs and len(set(paid)) == 1
    (result,) = [event.output for event in events if isinstance(event, ToolFinished)] or [found]
    assert result == (found or "paid now")
    await agent.close()


async def test_a_reconcile_that_fails_leaves_it_to_a_person(tmp_path: Path) -> None:
    inside = asyncio.Event()

    def broken() -> str | None:
        raise OSError("no way to the bank")

    @tool(effect="once", reconcile=broken)
    async def pay() -> str:
        inside.set()
        await asyncio.Event().wait()
        return "paid"

    agent = Agent(
        model=ScriptedModel(otherwise=once_then(("pay", "{}"))), tools=[pay], threads=tmp_path / "t.sqlite"
    )
    await left(agent.run("pay", thread_id="t"), inside)
    _, (played, _) = await go_on(agent, "t")
    (question,) = played.questions.values()
    assert question["reconcile"] == "OSError"
    await agent.close()


async def test_a_tool_that_asked_runs_again_from_its_top_under_the_same_key(tmp_path: Path) -> None:
    keys: list[str] = []

    @tool(effect="once")
    async def book(ctx: RunContext) -> str:
        keys.append(ctx.idempotency_key)
        seat = ctx.interrupt("which seat?", schema={"type": "string"})
        return f"booked {seat}"

    agent = Agent(
        model=ScriptedModel(otherwise=once_then(("book", "{}"))), tools=[book], threads=tmp_path / "t.sqlite"
    )
    result = await agent.run("book", thread_id="t")
    (call_id,) = result.interrupts
    result = await agent.run(thread_id="t", answers={call_id: "7A"})
    assert result.tools[0].output == "booked 7A" and len(keys) == 2 and len(set(keys)) == 1
    await agent.close()


async def test_an_answer_that_was_given_is_not_asked_for_again_after_a_crash(tmp_path: Path) -> None:
    inside, seen = asyncio.Event(), list[str]()

    @tool(approval=True)
    async def look(what: str) -> str:
        seen.append(what)
        inside.set()
        if len(seen) == 1:
            await asyncio.Event().wait()
        return "seen"

    model = ScriptedModel(otherwise=once_then(("look", '{"what":"a"}'), ("look", '{"what":"b"}')))
    agent = Agent(model=model, tools=[look], threads=tmp_path / "t.sqlite")
    first, second = (await agent.run("look", thread_id="t")).interrupts
    await agent.run(thread_id="t", answers={second: Answer(False, by="eve")})
    await left(agent.run(thread_id="t", answers={first: Answer(True, by="ada")}), inside)
    run, (played, _) = await go_on(agent, "t")
    assert played.state["output"] == "Done." and not played.questions
    assert [(each.approved_by, each.is_error) for each in run.tools] == [("ada", False), ("eve", True)]
    assert seen == ["a", "a"] and len(model.requests) == 2
    await agent.close()


async def test_a_sub_graph_that_is_tried_again_goes_on_where_it_stopped(tmp_path: Path) -> None:
    done, tries = list[str](), itertools.count()

    @tool(effect="once")
    async def pay() -> str:
        done.append("paid")
        return "paid"

    async def flaky(state: Conversation) -> Conversation:
        if next(tries) == 0:
            raise OSError("the disk")
        return {}

    model = ScriptedModel(otherwise=once_then(("pay", "{}")))
    inner = Graph().add_node("answer", llm(model, tools=[pay])).add_node("flaky", flaky)
    inner.add_edge(START, "answer").add_edge("answer", "flaky").add_edge("flaky", END)
    graph = Graph().add_node("sub", inner, retry=2).add_edge(START, "sub").add_edge("sub", END)
    agent = Agent(graph, threads=tmp_path / "t.sqlite")
    result = await agent.run("pay", thread_id="t")
    assert result.output == "Done." and done == ["paid"] and len(model.requests) == 2
    await agent.close()


async def test_who_answered_is_told_and_a_fork_says_so(tmp_path: Path) -> None:
    @tool(approval=True)
    async def pay() -> str:
        return "paid"

    agent = Agent(
        model=ScriptedModel(otherwise=once_then(("pay", "{}"))), tools=[pay], threads=tmp_path / "t.sqlite"
    )
    result = await agent.run("pay", thread_id="t")
    (call_id,) = result.interrupts
    events = [e async for e in agent.stream(thread_id="t", answers={call_id: Answer(True, by="ada")})]
    (approved,) = [event for event in events if isinstance(event, Approved)]
    assert (approved.call_id, approved.approved, approved.by) == (call_id, True, "ada")
    compiled = (await agent._opened.kept()).compiled
    run, events = Run(thread_id="t", fork="c7", journal=ThreadJournal(compiled.checkpointer.file, "t")), []
    run.sink = events.append
    played = await play(compiled, new_turn(Message.user("again")), run=run)
    (question,) = played.questions.values()
    assert question["fork"] == "c7"
    await play(compiled, None, run=run, resume=dict.fromkeys(played.questions, True))
    assert [event.fork for event in events if isinstance(event, ToolStarted)] == ["c7"]
    await agent.close()
