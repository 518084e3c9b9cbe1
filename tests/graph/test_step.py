"""How one node runs: fallback, timeout, retry, visits; and the limits of a whole run."""

import asyncio
import itertools
import operator
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from stretto.context import Run, RunContext, current_context
from stretto.errors import BadResponse, GraphError, LimitReached, ModelUnavailable, NodeTimeout
from stretto.events import ErrorRaised, NodeFinished
from stretto.graph import END, START, Conversation, Graph, Retry, new_turn
from stretto.graph.stream import play
from stretto.results import Missing
from stretto.settings import Limits


class Tally(TypedDict, total=False):
    seen: Annotated[list[str], operator.add]
    word: str
    count: int


def says(word: str) -> Any:
    async def node(state: Tally) -> Tally:
        return {"seen": [word]}

    return node


def line(*nodes: tuple[str, Any], **options: Any) -> Graph:
    """The nodes one after the other."""
    graph = Graph(Tally)
    names = [START, *(name for name, _ in nodes), END]
    for name, function in nodes:
        graph.add_node(name, function, **options)
    for source, target in itertools.pairwise(names):
        graph.add_edge(source, target)
    return graph


async def run(
    graph: Graph, given: dict[str, Any] | None = None, **options: Any
) -> tuple[dict[str, Any], Run]:
    shared = Run(**options)
    played = await play(graph.compile(), given or {"seen": []}, run=shared)
    return played.state, shared


async def test_after_a_failure_only_the_way_to_the_fallback_node_is_taken() -> None:
    async def down(state: Conversation) -> Conversation:
        raise ModelUnavailable("the camera model is down")

    async def note(state: Conversation) -> Conversation:
        return {"output": "noted"}

    async def never(state: Conversation) -> Conversation:
        raise AssertionError

    graph = Graph().add_node("look", down, fallback="search").add_node("search", note).add_node("next", never)
    graph.add_edge(START, "look").add_edge("look", "next").add_edge("next", END).add_edge("search", END)
    events: list[Any] = []
    state, shared = await run(graph, new_turn("what is this?"), sink=events.append)
    missing = Missing("look", "the camera model is down")
    assert state["output"] == "noted" and state["missing"] == [missing] == shared.missing
    assert shared.path == ["look", "search"]
    finished = [event for event in events if isinstance(event, NodeFinished)]
    assert (finished[0].status, finished[0].missing) == ("fallback", missing)
    assert not any(isinstance(event, ErrorRaised) for event in events)


async def test_without_a_failure_a_node_with_a_fallback_takes_its_ordinary_ways() -> None:
    graph = Graph(Tally).add_node("a", says("a"), fallback="z")
    for name in ("b", "c", "z"):
        graph.add_node(name, says(name)).add_edge(name, END)
    graph.add_edge(START, "a").add_edge("a", "b").add_route("a", lambda state: "on", {"on": "c"})
    state, shared = await run(graph)
    assert sorted(state["seen"]) == ["a", "b", "c"] and shared.missing == []


async def test_a_fallback_function_gives_the_update_and_the_route_goes_on() -> None:
    async def down(state: Conversation) -> Conversation:
        raise ValueError("no\nluck")

    async def instead(state: Conversation, ctx: RunContext, error: Exception) -> Conversation:
        return {"route": f"{ctx.node}:{error!s:.2}"}

    graph = Graph().add_node("a", down, fallback=instead).add_node("b", lambda state: {"output": 1})
    graph.add_edge(START, "a").add_route("a", lambda state: state["route"], {"a:no": "b"}).add_edge("b", END)
    state, shared = await run(graph, new_turn("x"))
    assert state["output"] == 1 and shared.path == ["a", "b"]
    assert state["missing"] == [Missing("a", "ValueError: no luck")]


async def test_the_error_of_a_node_keeps_its_class_and_is_reported_once() -> None:
    class Theirs(Exception):
        pass

    async def down(state: Tally) -> Tally:
        raise Theirs("as it was")

    inner = Graph(Tally).add_node("deep", down).add_edge(START, "deep").add_edge("deep", END)
    events: list[Any] = []
    with pytest.raises(Theirs, match="as it was"):
        await run(line(("sub", inner)), sink=events.append)
    assert [(event.kind, event.node) for event in events if isinstance(event, ErrorRaised)] == [
        ("Theirs", "sub/deep")
    ]
    assert [event.status for event in events if isinstance(event, NodeFinished)] == ["failed", "failed"]


@pytest.mark.parametrize("error", [LimitReached("enough", limit="tokens"), GraphError("wrong")])
async def test_a_fallback_does_not_hide_a_used_up_budget_or_a_broken_graph(error: Exception) -> None:
    async def over(state: Tally) -> Tally:
        raise error

    async def instead(state: Tally, ctx: RunContext, error: Exception) -> Tally:
        return {"seen": ["hidden"]}

    with pytest.raises(type(error)):
        await run(line(("over", over), fallback=instead))


async def test_a_node_over_its_timeout_is_named_and_its_own_timeouts_pass() -> None:
    async def slow(state: Tally) -> Tally:
        await asyncio.Event().wait()
        return {}

    async def own(state: Tally) -> Tally:
        raise TimeoutError("mine")

    with pytest.raises(NodeTimeout, match=r"node `slow` did not end within 0.01 s"):
        await run(line(("slow", slow), timeout=0.01))
    with pytest.raises(TimeoutError, match="mine"):
        await run(line(("own", own), timeout=5))


@pytest.mark.parametrize(
    ("error", "retry", "calls"),
    [
        (OSError("again"), 3, 3),
        (OSError("again"), Retry(attempts=5, on=(KeyError,), delay=0), 1),
        (ModelUnavailable("down"), 3, 1),
        (BadResponse("odd"), Retry(attempts=3, on=(BadResponse,), delay=0), 1),
        (TypeError("a bug"), 3, 1),
    ],
)
async def test_retries_are_counted_and_never_repeat_a_model_error(
    error: Exception, retry: Any, calls: int
) -> None:
    made: list[int] = []

    async def fails(state: Tally) -> Tally:
        made.append(1)
        raise error

    spec = Retry(attempts=retry, delay=0) if isinstance(retry, int) else retry
    with pytest.raises(type(error)):
        await run(line(("fails", fails), retry=spec))
    assert len(made) == calls


async def test_a_second_attempt_may_succeed() -> None:
    made: list[int] = []

    async def flaky(state: Tally) -> Tally:
        made.append(1)
        if len(made) == 1:
            raise OSError
        return {"seen": ["ok"]}

    state, shared = await run(line(("flaky", flaky), retry=Retry(delay=0)))
    assert state["seen"] == ["ok"] and shared.path == ["flaky"]


def looping(**options: Any) -> Graph:
    graph = Graph(Tally, max_steps=options.pop("max_steps", None)).add_node("again", says("x"), **options)
    return graph.add_edge(START, "again").add_route(
        "again", lambda state: "more", {"more": "again", "done": END}
    )


async def test_visits_are_bounded_also_without_our_runner() -> None:
    graph = looping(max_visits=4)
    with pytest.raises(LimitReached, match=r"node `again` .* may run 4 times") as told:
        await run(graph)
    assert told.value.limit == "visits"
    compiled = graph.compile()
    for _ in range(2):  # each invocation counts for itself
        with pytest.raises(LimitReached, match="`again`"):
            await compiled.ainvoke({"seen": []})


async def test_steps_are_bounded_and_exactly_as_many_are_allowed() -> None:
    with pytest.raises(LimitReached, match="took 5 steps") as told:
        await run(looping(max_steps=5))
    assert told.value.limit == "steps"
    three = line(("a", says("a")), ("b", says("b")), ("c", says("c"))).compile()
    assert (await play(three, {"seen": []}, run=Run(), max_steps=3)).state["seen"] == ["a", "b", "c"]
    with pytest.raises(LimitReached):
        await play(three, {"seen": []}, run=Run(), max_steps=2)


async def test_the_seconds_of_a_run_are_bounded() -> None:
    async def slow(state: Tally) -> Tally:
        await asyncio.Event().wait()
        return {}

    with pytest.raises(LimitReached, match=r"longer than 0\.02 s") as told:
        await run(line(("slow", slow)), limits=Limits(seconds=0.02))
    assert told.value.limit == "seconds"


async def test_cancelling_a_run_reaches_the_node() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def slow(state: Tally) -> Tally:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return {}

    async def instead(state: Tally, ctx: RunContext, error: Exception) -> Tally:
        raise AssertionError

    task = asyncio.create_task(run(line(("slow", slow), fallback=instead, retry=3)))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_two_writers_at_once_are_a_graph_error_of_ours() -> None:
    async def writes(state: Tally) -> Tally:
        return {"word": "x"}

    graph = Graph(Tally).add_node("a", writes).add_node("b", writes)
    graph.add_edge(START, "a").add_edge(START, "b").add_edge("a", END).add_edge("b", END)
    with pytest.raises(GraphError, match="'word'"):
        await run(graph)


async def test_plain_runs_of_langgraph_share_one_run_and_leave_nothing_behind() -> None:
    runs: list[Run] = []

    async def who(state: Tally, ctx: RunContext) -> None:
        runs.append(ctx.run)

    compiled = line(("a", who), ("b", who)).compile(InMemorySaver())
    await compiled.ainvoke({"seen": []}, {"configurable": {"thread_id": "t1"}})
    await compiled.ainvoke({"seen": []}, {"configurable": {"thread_id": "t2"}})
    assert runs[0] is runs[1] and runs[2] is runs[3] and runs[0] is not runs[2]
    assert [run.thread_id for run in runs] == ["t1", "t1", "t2", "t2"]
    assert current_context().run not in runs
