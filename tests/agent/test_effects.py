"""Effects of tools over forks, other calls in their place, timeouts, and approvals of exactly one call."""

import asyncio
import itertools
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent, RunContext, tool
from stretto._internal.sqlite_file import SqliteFile
from stretto.context import Run, use_context
from stretto.errors import ConfigError, Pause, ThreadError
from stretto.events import ToolStarted
from stretto.graph import END, START, Conversation, Graph
from stretto.graph.stream import play
from stretto.messages import Image, Message, Text, ToolCall
from stretto.nodes import llm, tools
from stretto.nodes.voice import replied
from stretto.questions import Answer
from stretto.steps import Effect, Place, call_hash
from stretto.testing import ScriptedModel
from stretto.threads import Retention
from stretto.threads.journal import ThreadJournal, forget
from stretto.threads.tables import prepare
from stretto.tools.effects import MOST, Outcome, begun, kept, recalled
from stretto.tools.execute import execute


@pytest.mark.parametrize("changed", [True, False], ids=["changed", "played again"])
async def test_a_fork_gets_new_keys_and_does_its_own_effect(changed: bool, tmp_path: Path) -> None:
    keys: list[str] = []

    @tool(effect="once")
    async def pay(ctx: RunContext) -> str:
        keys.append(ctx.idempotency_key)
        return "paid"

    async def ask(state: Conversation) -> Conversation:
        return {"messages": [Message("assistant", (ToolCall("c1", "pay", "{}"),))]}

    graph = Graph().add_node("ask", ask).add_node("pay", tools([pay]))
    graph.add_edge(START, "ask").add_edge("ask", "pay").add_edge("pay", END)
    agent = Agent(graph, threads=tmp_path / "t.sqlite", retention=Retention(checkpoints=None))
    await agent.run("pay", thread_id="t")
    compiled = (await agent._opened.kept()).compiled
    history = compiled.aget_state_history({"configurable": {"thread_id": "t"}})
    place = [each.config async for each in history if each.next == ("pay",)].pop()
    if changed:
        place = await compiled.aupdate_state(place, {"route": "another"})
    events: list[Any] = []
    journal = ThreadJournal(compiled.checkpointer.file, "t")
    use_context(RunContext(Run(thread_id="t", journal=journal, fork="c1", sink=events.append)))
    await compiled.ainvoke(None, place)
    use_context(None)
    assert len(keys) == 2 and len(set(keys)) == 2
    assert [event.fork for event in events if isinstance(event, ToolStarted)] == ["c1"]
    await agent.close()


async def journalled(path: Path, thread_id: str = "t") -> Any:
    """The journal of a thread in a database of its own."""
    return ThreadJournal(SqliteFile(path, prepare=prepare, refusal=ThreadError), thread_id)


def context(journal: Any, answers: dict[str, Any] | None = None) -> RunContext:
    return RunContext(Run(thread_id="t", journal=journal)).at("n", "task", answers)


@pytest.mark.parametrize(("written", "runs"), [('{ "order":"A1" }', 1), ('{"order":"B2"}', None)])
async def test_another_call_in_the_place_of_one_goes_to_a_person(
    written: str, runs: int | None, tmp_path: Path
) -> None:
    """A node whose replies are not journalled asks anew: other ids, and perhaps other arguments."""
    done: list[str] = []

    @tool(effect="once")
    async def pay(order: str) -> str:
        done.append(order)
        return "paid"

    journal = await journalled(tmp_path / "t.sqlite")
    await execute([ToolCall("x", "pay", '{"order":"A1"}')], {"pay": pay}, context(journal))
    again = execute([ToolCall("y", "pay", written)], {"pay": pay}, context(journal))
    if runs is None:
        with pytest.raises(Pause) as pause:
            await again
        question = pause.value.questions["y:uncertain"]
        assert "another call was begun" in question["uncertain"] and question["before"]["standing"] == "done"
    else:
        (result,) = await again
        assert result.call_id == "y" and result.text == "paid"
    assert done == ["A1"]


async def test_an_idempotent_tool_gets_the_same_key_for_another_call_in_its_place(tmp_path: Path) -> None:
    keys: list[str] = []

    @tool(effect="idempotent")
    async def write(text: str, ctx: RunContext) -> None:
        keys.append(ctx.idempotency_key)

    journal = await journalled(tmp_path / "t.sqlite")
    for text in "ab":
        await execute([ToolCall("x", "write", f'{{"text":"{text}"}}')], {"write": write}, context(journal))
    assert len(keys) == 2 and len(set(keys)) == 1


async def test_the_timeout_of_a_once_tool_stays_what_it_was_when_the_node_runs_again(tmp_path: Path) -> None:
    runs: list[int] = []

    @tool(effect="once", timeout=0.01)
    async def pay() -> None:
        runs.append(1)
        await asyncio.Event().wait()

    journal = await journalled(tmp_path / "t.sqlite")
    call = ToolCall("x", "pay", "{}")
    (first,) = await execute([call], {"pay": pay}, context(journal))
    assert first.is_error and first.text.endswith("Do not call it again before that is known.")
    ctx = context(journal)
    (again,) = await execute([call], {"pay": pay}, ctx)
    assert again == first and runs == [1]
    assert ctx.run.missing[0].reason == first.text  # the answer says again what was missing


async def test_an_approval_holds_for_exactly_one_call(tmp_path: Path) -> None:
    """The same call id with other arguments, as providers count theirs anew: it is asked again."""
    done: list[str] = []

    @tool(approval=True)
    async def pay(amount: int) -> str:
        done.append(str(amount))
        return "paid"

    amounts, asked = iter([3, 3000, 3000]), []

    async def node(state: Conversation, ctx: RunContext) -> Any:
        call = ToolCall("call_0", "pay", f'{{"amount": {next(amounts)}}}')
        asked.append(call)
        return {"messages": [Message.tool(*await execute([call], {"pay": pay}, ctx))]}

    graph = Graph().add_node("n", node).add_edge(START, "n").add_edge("n", END)
    agent = Agent(graph, threads=tmp_path / "t.sqlite")
    first = await agent.run("pay", thread_id="t")
    assert first.interrupts["call_0"]["arguments"] == {"amount": 3}
    second = await agent.run(thread_id="t", answers={"call_0": Answer(True, by="ada")})
    assert second.interrupts["call_0"]["arguments"] == {"amount": 3000} and not done
    third = await agent.run(thread_id="t", answers={"call_0": True})
    assert third.status == "done" and done == ["3000"]
    await agent.close()


async def test_models_that_a_node_asks_at_once_are_asked_once_each(tmp_path: Path) -> None:
    inside = asyncio.Event()
    chance = itertools.cycle([0, 3, 1, 2])

    async def node(state: Conversation, ctx: RunContext) -> Any:
        async def branch(name: str) -> str:
            for _ in range(next(chance)):
                await asyncio.sleep(0)
            one = await replied(model, [Message.user(f"{name} one")], ctx)
            two = await replied(model, [Message.user(f"{name} two, {one.message.text}")], ctx)
            return two.message.text

        said = await asyncio.gather(*(branch(name) for name in "abc"))
        inside.set()
        if len(model.requests) == 6 and not again:
            again.append(1)
            await asyncio.Event().wait()
        return {"output": " ".join(said)}

    again: list[int] = []
    model = ScriptedModel(otherwise=lambda asked: f"<{asked.messages[-1].text}>")
    graph = Graph().add_node("n", node).add_edge(START, "n").add_edge("n", END)
    agent = Agent(graph, threads=tmp_path / "t.sqlite")
    turn = asyncio.create_task(agent.run("go", thread_id="t"))
    await inside.wait()
    turn.cancel()
    with suppress(asyncio.CancelledError):
        await turn
    store = await agent._opened.kept()
    compiled, run = store.compiled, Run(thread_id="t")
    agent._opened.keep_steps(store, run)
    played = await play(compiled, None, run=run, thread_id="t")
    assert played.state["output"] == " ".join(f"<{name} two, <{name} one>>" for name in "abc")
    assert len(model.requests) == 6
    await agent.close()


async def test_the_end_of_a_turn_drops_its_steps_and_keeps_what_was_changed(tmp_path: Path) -> None:
    @tool(effect="once")
    async def pay() -> str:
        return "paid"

    model = ScriptedModel(ToolCall("x", "pay", "{}"), "Done.")
    agent = Agent(model=model, tools=[pay], threads=tmp_path / "t.sqlite")
    await agent.run("pay", thread_id="t")
    file = (await agent._opened.kept()).compiled.checkpointer.file

    def counts(connection: Any) -> list[int]:
        return [connection.execute(f"SELECT COUNT(*) FROM {t}").fetchone()[0] for t in ("journal", "effects")]

    assert await file.transact(counts, writes=False) == [0, 1]
    await agent.close()


async def test_a_thread_that_is_deleted_leaves_no_trace_in_the_journal(tmp_path: Path) -> None:
    @tool(effect="once")
    async def pay(card: str) -> str:
        return f"paid with {card}"

    model = ScriptedModel(
        ToolCall("x", "pay", '{"card":"5500-1111"}'), "Done.", ToolCall("y", "pay", '{"card":"1"}')
    )
    graph = Graph().add_node("n", llm(model, tools=[pay])).add_edge(START, "n").add_edge("n", END)
    agent = Agent(graph, threads=tmp_path / "t.sqlite")
    await agent.run("pay", thread_id="t")
    with suppress(Exception):
        await agent.run("pay", thread_id="t")  # it fails after its first step, which stays
    file = (await agent._opened.kept()).compiled.checkpointer.file

    def counts(connection: Any) -> list[int]:
        return [connection.execute(f"SELECT COUNT(*) FROM {t}").fetchone()[0] for t in ("journal", "effects")]

    assert await file.transact(counts, writes=False) == [1, 2]
    await file.transact(lambda connection: forget(connection, "t"))
    assert await file.transact(counts, writes=False) == [0, 0]
    await agent.close()


def test_a_large_result_is_kept_by_its_text() -> None:
    picture = Image(source="data:image/png;base64," + "A" * MOST)
    effect = Effect("k", "show", "once", "{}", "done", content=kept(Outcome((Text("A cat."), picture))))
    place = Place(0, call_hash("show", "{}"), effect=effect)
    outcome = recalled(place)
    assert outcome and [part.text for part in outcome.content] == ["A cat.", "[what it showed is not kept]"]
    assert begun(place)


@pytest.mark.parametrize(
    ("effect", "problem"),
    [("none", 'is for effect="once"'), ("once", "takes `other`, which the tool does not")],
)
def test_a_reconcile_that_cannot_be_is_refused(effect: Any, problem: str) -> None:
    def look_up(other: str) -> str | None:
        return None

    with pytest.raises(ConfigError, match=problem):

        @tool(effect=effect, reconcile=look_up)
        async def pay(order: str) -> str:
            return order
