"""Questions to a person: asked once per node run, answered by call id in any order, kept in sqlite."""

import asyncio
import operator
import random
import uuid
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from stretto.context import Run, RunContext
from stretto.errors import GraphError, ThreadError
from stretto.events import NodeFinished
from stretto.graph import END, START, Graph
from stretto.graph.pause import _answer, kept_for
from stretto.graph.stream import play, thread_standing, thread_state
from stretto.questions import Answer, Terms
from stretto.threads.stores import open_store


class Asked(TypedDict, total=False):
    got: Annotated[list[str], operator.add]
    note: Any


async def approves(state: Asked, ctx: RunContext, calls: tuple[str, ...], prefix: str = "") -> Asked:
    """Asks for every call at once, as parallel tools do."""

    async def one(call: str) -> str:
        await asyncio.sleep(0)
        try:
            answer = ctx.interrupt(f"may {call} run?", call_id=call)
        except Exception as error:  # what a careless tool does
            raise AssertionError from error
        return f"{prefix}{call}={answer}"

    results = await asyncio.gather(*(one(call) for call in calls), return_exceptions=True)
    paused = [result for result in results if isinstance(result, BaseException)]
    if paused:
        raise BaseExceptionGroup("tools", paused)
    return {"got": sorted(str(result) for result in results)}


def asking(*calls: str, prefix: str = "") -> Any:
    async def node(state: Asked, ctx: RunContext) -> Asked:
        return await approves(state, ctx, calls, prefix)

    return node


def one_node(*calls: str) -> Graph:
    return Graph(Asked).add_node("tools", asking(*calls)).add_edge(START, "tools").add_edge("tools", END)


async def test_shuffled_answers_of_parallel_nodes_reach_their_calls_through_sqlite(tmp_path: Path) -> None:
    graph = Graph(Asked).add_node("left", asking("a", "b", "c")).add_node("right", asking("d", "e"))
    graph.add_edge(START, "left").add_edge(START, "right").add_edge("left", END).add_edge("right", END)
    answers = {call: f"{call}!" for call in "abcde"}
    for seed in range(10):
        shuffled = list(answers.items())
        random.Random(seed).shuffle(shuffled)
        async with open_store("sqlite", tmp_path / "threads.sqlite", Asked) as saver:
            asked = await play(graph.compile(saver), {"got": []}, run=Run(), thread_id=str(seed))
        assert asked.questions == {call: f"may {call} run?" for call in "abcde"}
        async with open_store("sqlite", tmp_path / "threads.sqlite", Asked) as saver:  # another process, say
            compiled = graph.compile(saver)
            assert (await thread_standing(compiled, str(seed))).questions == asked.questions
            done = await play(compiled, None, run=Run(), thread_id=str(seed), resume=dict(shuffled))
        assert done.questions == {}
        assert sorted(done.state["got"]) == [f"{call}={call}!" for call in "abcde"]


async def test_answers_may_come_one_by_one_and_earlier_ones_are_kept() -> None:
    compiled = one_node("a", "b", "c").compile(InMemorySaver())
    asked = await play(compiled, {"got": []}, run=Run(), thread_id="t")
    for call, waiting in (("b", {"a", "c"}), ("c", {"a"}), ("a", set())):
        assert call in asked.questions
        asked = await play(compiled, None, run=Run(), thread_id="t", resume={call: call.upper()})
        assert set(asked.questions) == waiting
    assert asked.state["got"] == ["a=A", "b=B", "c=C"]


async def test_a_question_after_an_answer_is_another_pause_of_the_same_node() -> None:
    async def twice(state: Asked, ctx: RunContext) -> Asked:
        first = ctx.interrupt("who?", call_id="who")
        second = ctx.interrupt(f"sure, {first}?", call_id="sure")
        return {"got": [f"{first} {second}"]}

    compiled = (
        Graph(Asked).add_node("n", twice).add_edge(START, "n").add_edge("n", END).compile(InMemorySaver())
    )
    assert (await play(compiled, {"got": []}, run=Run(), thread_id="t")).questions == {"who": "who?"}
    asked = await play(compiled, None, run=Run(), thread_id="t", resume={"who": "Ada"})
    assert asked.questions == {"sure": "sure, Ada?"}
    done = await play(compiled, None, run=Run(), thread_id="t", resume={"sure": False})
    assert done.state["got"] == ["Ada False"] and done.questions == {}


async def test_the_task_id_stays_the_same_and_the_node_runs_once_more_per_answer() -> None:
    seen: list[tuple[str, dict[str, Any]]] = []

    async def node(state: Asked, ctx: RunContext) -> Asked:
        seen.append((ctx.task_id, dict(ctx.answers)))
        return {"got": [ctx.interrupt("?", call_id="x")]}

    graph = Graph(Asked).add_node("n", node).add_edge(START, "n").add_edge("n", END)
    compiled = graph.compile(InMemorySaver())
    await play(compiled, {"got": []}, run=Run(), thread_id="t")
    await play(compiled, None, run=Run(), thread_id="t", resume={"x": "yes"})
    assert [answers for _, answers in seen] == [{}, {"x": "yes"}]
    assert seen[0][0] == seen[1][0] != ""


async def test_a_pause_is_no_failure_for_fallback_retry_or_timeout() -> None:
    async def instead(state: Asked, ctx: RunContext, error: Exception) -> Asked:
        raise AssertionError

    graph = Graph(Asked).add_node("n", asking("a"), fallback=instead, retry=3, timeout=5)
    graph.add_edge(START, "n").add_edge("n", END)
    shared, events = Run(), list[Any]()
    shared.sink = events.append
    asked = await play(graph.compile(InMemorySaver()), {"got": []}, run=shared, thread_id="t")
    assert asked.questions == {"a": "may a run?"}
    assert shared.path == [] and not any(isinstance(event, NodeFinished) for event in events)


async def test_a_sync_node_may_ask_from_its_thread() -> None:
    def node(state: Asked, ctx: RunContext) -> Asked:
        return {"got": [ctx.interrupt("?", call_id="x")]}

    graph = Graph(Asked).add_node("n", node).add_edge(START, "n").add_edge("n", END)
    compiled = graph.compile(InMemorySaver())
    assert (await play(compiled, {"got": []}, run=Run(), thread_id="t")).questions == {"x": "?"}
    assert (await play(compiled, None, run=Run(), thread_id="t", resume={"x": "y"})).state["got"] == ["y"]


async def test_a_sub_graph_asks_through_the_graph_around_it() -> None:
    runs: list[str] = []

    async def before(state: Asked) -> Asked:
        runs.append("before")
        return {"got": ["before"]}

    inner = Graph(Asked).add_node("before", before).add_node("ask", asking("x", "y"))
    inner.add_edge(START, "before").add_edge("before", "ask").add_edge("ask", END)
    graph = Graph(Asked).add_node("sub", inner).add_edge(START, "sub").add_edge("sub", END)
    compiled = graph.compile(InMemorySaver())
    asked = await play(compiled, {"got": []}, run=Run(), thread_id="t")
    assert set(asked.questions) == {"x", "y"}
    done = await play(compiled, None, run=Run(), thread_id="t", resume={"y": 2, "x": 1})
    assert done.state["got"] == ["before", "x=1", "y=2"]
    assert runs == ["before"]  # what the sub-graph had done is not done again


async def test_a_node_of_langgraph_asks_beside_ours_under_its_interrupts_id() -> None:
    async def theirs(state: Asked, config: Any) -> Asked:
        return {"got": [f"theirs={interrupt({'any': 'value'})}"]}

    theirs.__annotations__["config"] = "RunnableConfig"
    graph = Graph(Asked).add_node("theirs", theirs).add_node("ours", asking("a"))
    graph.add_edge(START, "theirs").add_edge(START, "ours").add_edge("theirs", END).add_edge("ours", END)
    compiled = graph.compile(InMemorySaver())
    asked = await play(compiled, {"got": []}, run=Run(), thread_id="t")
    (theirs_id,) = set(asked.questions) - {"a"}
    assert asked.questions[theirs_id] == {"any": "value"}
    done = await play(compiled, None, run=Run(), thread_id="t", resume={theirs_id: 1, "a": 2})
    assert sorted(done.state["got"]) == ["a=2", "theirs=1"]


async def test_a_call_id_that_looks_like_an_interrupts_id_is_still_a_call_id() -> None:
    call = uuid.UUID(int=7).hex
    compiled = one_node(call).compile(InMemorySaver())
    await play(compiled, {"got": []}, run=Run(), thread_id="t")
    done = await play(compiled, None, run=Run(), thread_id="t", resume={call: "yes"})
    assert done.state["got"] == [f"{call}=yes"]


async def test_langgraphs_own_command_resumes_too() -> None:
    compiled = one_node("a", "b").compile(InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    result = await compiled.ainvoke({"got": []}, config)
    assert result["__interrupt__"][0].value == {"a": "may a run?", "b": "may b run?"}
    assert (await compiled.ainvoke(Command(resume={"b": 2}), config))["__interrupt__"][0].value == {
        "a": "may a run?"
    }
    assert (await compiled.ainvoke(Command(resume={"a": 1}), config))["got"] == ["a=1", "b=2"]


async def test_an_answer_that_nobody_waits_for_is_refused_by_name() -> None:
    compiled = one_node("a").compile(InMemorySaver())
    with pytest.raises(ThreadError, match="`t` waits for no answer"):
        await play(compiled, None, run=Run(), thread_id="t", resume={"a": 1})
    await play(compiled, {"got": []}, run=Run(), thread_id="t")
    with pytest.raises(ThreadError, match="answer to `b`; it waits for `a`"):
        await play(compiled, None, run=Run(), thread_id="t", resume={"a": 1, "b": 2})
    with pytest.raises(ThreadError, match="no answer; it waits for `a`"):
        await play(compiled, None, run=Run(), thread_id="t", resume={})
    with pytest.raises(ThreadError, match="keeps no threads"):
        await play(one_node("a").compile(), None, run=Run(), resume={"a": 1})
    with pytest.raises(ThreadError, match="give a `thread_id`"):
        await play(compiled, {"got": []}, run=Run())


async def test_a_group_of_pauses_and_an_error_is_the_error() -> None:
    async def node(state: Asked, ctx: RunContext) -> Asked:
        async def ask() -> None:
            ctx.interrupt("?", call_id="x")

        async def fail() -> None:
            raise OSError("disk")

        results = await asyncio.gather(ask(), fail(), return_exceptions=True)
        raise BaseExceptionGroup("both", [result for result in results if result is not None])

    graph = Graph(Asked).add_node("n", node).add_edge(START, "n").add_edge("n", END)
    with pytest.raises(BaseExceptionGroup, match="both"):
        await play(graph.compile(InMemorySaver()), {"got": []}, run=Run(), thread_id="t")


async def test_a_question_that_could_not_be_kept_is_refused() -> None:
    async def node(state: Asked, ctx: RunContext) -> Asked:
        return ctx.interrupt(asyncio.Lock(), call_id="x")

    graph = Graph(Asked).add_node("n", node).add_edge(START, "n").add_edge("n", END)
    with pytest.raises(GraphError, match=r"asyncio\.locks\.Lock"):
        await play(graph.compile(InMemorySaver()), {"got": []}, run=Run(), thread_id="t")


async def test_the_state_of_a_waiting_thread_can_be_read() -> None:
    compiled = one_node("a").compile(InMemorySaver())
    assert await thread_state(compiled, "t") == {}
    await play(compiled, {"got": ["hello"]}, run=Run(), thread_id="t")
    assert await thread_state(compiled, "t") == {"got": ["hello"]}


def test_a_kept_answer_is_for_the_question_that_it_was_bound_to_alone() -> None:
    given = {"a": Answer(True, "ada", 5.0, "x"), "b": Answer("Ann", "ada", 5.0), "c": Answer(True, bound="y")}
    kept = msgspec.msgpack.encode((given, {}))
    assert kept_for(kept, {"a": "x", "b": "", "c": "z"}) == {"a": given["a"]}


def test_an_answer_that_was_given_in_time_does_not_expire_while_nobody_goes_on() -> None:
    until = Terms(until=10.0, bound="x")
    assert _answer("a", Answer(True, at=5.0), until, "t", 100.0)["expired"] is False
    assert _answer("a", Answer(True, at=50.0), until, "t", 100.0)["expired"] is True
    assert _answer("a", True, until, "t", 100.0)["expired"] is True
    assert _answer("a", Answer(True, at=5.0, expired=True), until, "t", 6.0)["expired"] is True
