"""A turn that goes straight to its first nodes."""

from typing import Any

import pytest
from langgraph.types import Send

from stretto.context import Run
from stretto.errors import GraphError, LimitReached
from stretto.graph import END, START, Conversation, Graph, new_turn
from stretto.graph.entry import entry_of
from stretto.graph.stream import play, thread_messages
from stretto.messages import Message
from stretto.threads.stores import open_store


async def answer(state: Conversation) -> Conversation:
    said = state["messages"][-1].text
    return {"messages": [Message.assistant(said.upper())], "output": said.upper()}


async def nothing(state: Conversation) -> None:
    return None


def routed(choose: Any, *names: str) -> Graph:
    graph = Graph().add_route(START, choose, [*names, END])
    for name in names:
        graph.add_node(name, nothing).add_edge(name, END)
    return graph


async def path_of(graph: Graph, question: str = "hello") -> list[str]:
    run = Run()
    await play(graph.compile(), new_turn(question), run=run)
    return run.path


async def test_a_kept_turn_of_one_node_is_two_checkpoints_and_not_three() -> None:
    graph = Graph().add_node("answer", answer).add_edge(START, "answer").add_edge("answer", END)
    async with open_store("memory", "", *graph.states) as saver:
        compiled = graph.compile(saver)
        config: Any = {"configurable": {"thread_id": "t"}}
        await play(compiled, new_turn("one"), run=Run(), thread_id="t")
        sources = [item.metadata["source"] async for item in compiled.aget_state_history(config)]
        assert sources == ["loop", "input"]
        await play(compiled, new_turn("two"), run=Run(), thread_id="t")
        texts = [message.text for message in await thread_messages(compiled, "t")]
    assert texts == ["one", "ONE", "two", "TWO"]


async def test_a_turn_that_broke_off_in_its_first_node_goes_on_there() -> None:
    broken = [True]

    async def once(state: Conversation) -> Conversation:
        if broken.pop():
            broken.append(False)
            raise OSError("down")
        return await answer(state)

    graph = Graph().add_node("answer", once).add_edge(START, "answer").add_edge("answer", END)
    async with open_store("memory", "", *graph.states) as saver:
        compiled = graph.compile(saver)
        with pytest.raises(OSError, match="down"):
            await play(compiled, new_turn("one"), run=Run(), thread_id="t")
        played = await play(compiled, None, run=Run(), thread_id="t")
    assert played.state["output"] == "ONE"


async def test_the_first_route_sees_the_thread_and_what_the_turn_begins_with() -> None:
    seen: list[tuple[list[str], list[Any], str]] = []

    async def choose(state: Conversation) -> str:
        seen.append(([m.text for m in state["messages"]], state["looks"], state["question"]))
        return "answer"

    graph = Graph().add_node("answer", answer).add_edge("answer", END)
    graph.add_route(START, choose, ["answer"])
    async with open_store("memory", "", *graph.states) as saver:
        compiled = graph.compile(saver)
        await play(compiled, new_turn("one"), run=Run(), thread_id="t")
        await play(compiled, new_turn("two"), run=Run(), thread_id="t")
    await play(graph.compile(), {"messages": [Message.user("bare")], "question": "bare"}, run=Run())
    assert seen == [
        (["one"], [], "one"),
        (["one", "ONE", "two"], [], "two"),
        (["bare"], [], "bare"),
    ]


async def test_the_first_route_may_lead_to_several_nodes_or_to_the_end() -> None:
    assert sorted(await path_of(routed(lambda state: ["a", "b"], "a", "b"))) == ["a", "b"]
    assert await path_of(routed(lambda state: END, "a")) == []
    assert await path_of(routed(lambda state: Send("a", state), "a")) == ["a"]
    with pytest.raises(GraphError, match="the route after `START` chose 'c'"):
        await path_of(routed(lambda state: "c", "a"))


async def test_a_turn_in_which_no_node_writes_ends_in_the_state_it_was_given() -> None:
    graph = Graph().add_node("a", nothing).add_edge(START, "a").add_edge("a", END)
    bare = await play(graph.compile(), {"question": "why", "unknown": 1}, run=Run())
    assert bare.state["question"] == "why"
    assert (bare.state["messages"], bare.state["missing"]) == ([], [])
    assert "unknown" not in bare.state
    async with open_store("memory", "", *graph.states) as saver:
        kept = await play(graph.compile(saver), {"question": "why"}, run=Run(), thread_id="t")
    assert kept.state["question"] == "why"


@pytest.mark.parametrize("most", [None, 2])
@pytest.mark.parametrize("direct", [True, False])
async def test_the_limit_of_steps_is_that_of_langgraph(direct: bool, most: int | None) -> None:
    for count in (1, 2, 3, 4):
        graph = Graph(max_steps=3)
        names = [f"n{number}" for number in range(count)]
        for name, after in zip(names, [*names[1:], END], strict=True):
            graph.add_node(name, nothing).add_edge(name, after)
        compiled = graph.add_edge(START, "n0").compile()
        compiled = compiled if direct else compiled.copy()
        if count <= (most or 3):
            await play(compiled, new_turn("x"), run=Run(), max_steps=most)
        else:
            with pytest.raises(LimitReached, match=f"took {most or 3} steps"):
                await play(compiled, new_turn("x"), run=Run(), max_steps=most)


async def test_a_copy_of_the_graph_begins_as_langgraph_has_it() -> None:
    graph = Graph().add_node("a", nothing).add_edge(START, "a").add_edge("a", END)
    compiled = graph.compile()
    assert entry_of(compiled) is not None
    copied = compiled.with_config({"tags": ["mine"]})
    assert entry_of(copied) is None
    assert (await play(copied, new_turn("x"), run=Run())).state["question"] == "x"
