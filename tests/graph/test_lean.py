"""Nodes without langgraph's reports to callbacks that nobody hears."""

from contextvars import ContextVar
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langgraph.config import get_config

from stretto.context import Run
from stretto.graph import END, START, Conversation, Graph, new_turn
from stretto.graph.lean import Lean
from stretto.graph.stream import play

_seen: ContextVar[str] = ContextVar("seen", default="nothing")


async def first(state: Conversation) -> Conversation:
    before = _seen.get()
    _seen.set("first")
    return {"route": before, "output": get_config()["configurable"].get("city")}


async def second(state: Conversation) -> Conversation:
    return {"question": _seen.get()}


async def choose(state: Conversation) -> str:
    return state["question"]


GRAPH = Graph().add_node("first", first).add_node("second", second)
GRAPH.add_route(START, choose, ["first"]).add_edge("first", "second").add_edge("second", END)


class Listener(AsyncCallbackHandler):
    """Keeps the names of the nodes that were reported."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        self.names.append(kwargs["name"])


async def test_nodes_are_told_their_config_and_keep_their_context_variables_to_themselves() -> None:
    compiled = GRAPH.compile()
    state = await compiled.ainvoke(new_turn("first"), {"configurable": {"city": "Oslo"}})
    assert (state["output"], state["route"], state["question"]) == ("Oslo", "nothing", "nothing")
    assert _seen.get() == "nothing"


async def test_every_node_is_lean_and_the_graph_is_still_langgraphs() -> None:
    compiled = GRAPH.compile()
    assert {name for name, node in compiled.nodes.items() if isinstance(node.node, Lean)} == {
        "__start__",
        "first",
        "second",
    }
    assert set(compiled.get_graph().nodes) == {"__start__", "first", "second", "__end__"}


@pytest.mark.parametrize("version", ["ainvoke", "astream_events"])
async def test_callbacks_hear_every_node(version: str) -> None:
    listener = Listener()
    config: Any = {"callbacks": [listener]}
    if version == "ainvoke":
        await GRAPH.compile().ainvoke(new_turn("first"), config)
    else:
        names = [
            event["name"]
            async for event in GRAPH.compile().astream_events(new_turn("first"), config, version="v2")
        ]
        assert {"first", "second"} <= set(names)
    assert {"first", "second"} <= set(listener.names)


async def test_the_same_state_comes_with_and_without_callbacks() -> None:
    compiled = GRAPH.compile()
    heard = await compiled.ainvoke(new_turn("first"), {"callbacks": [Listener()]})
    played = await play(compiled, new_turn("first"), run=Run())
    assert {**played.state, "messages": []} == {**heard, "messages": []}


def test_a_graph_is_invoked_from_synchronous_code_as_before() -> None:
    assert GRAPH.compile().invoke(new_turn("first"))["question"] == "nothing"
