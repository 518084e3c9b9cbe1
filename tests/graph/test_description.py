"""A graph is described by what a later version has to know of it; equal graphs have equal fingerprints."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec
import pytest

from stretto.context import Run
from stretto.graph import END, START, Conversation, Graph, new_turn
from stretto.graph.description import STAMP, describe, described, kept_description, read_description
from stretto.graph.stream import play
from stretto.threads.stores import open_store


@dataclass
class Claim:
    number: str
    amount: float = 0.0


class Shop(Conversation, total=False):
    claim: Claim
    size: int | None
    seen: Annotated[list[str], lambda old, new: [*old, *new]]


async def nothing(state: Any) -> dict[str, Any]:
    return {}


def shop(**options: Any) -> Graph:
    inner = Graph(Shop).add_node("check", nothing).add_edge(START, "check").add_edge("check", END)
    return (
        Graph(Shop, **options)
        .add_node("a", nothing, fallback="c")
        .add_node("b", nothing)
        .add_node("c", nothing)
        .add_node("claim", inner)
        .add_edge(START, "a")
        .add_edge(START, "b")
        .add_edge(["b", "c"], "claim")
        .add_route("a", lambda state: "c", ["c"])
        .add_edge("claim", END)
    )


def test_nodes_ways_keys_types_and_sub_graphs_are_described() -> None:
    found = describe(shop())
    assert found.nodes["claim"] == ("branch:to:claim", "join:b+c:claim")
    assert found.routes == {"a": ("c",)}
    assert ("c", "claim") in found.edges
    assert found.keys["size"] == ("None", "int")
    assert found.keys["messages"] == ("list[stretto.messages.Message]",)
    assert found.reducers["messages"] == "stretto.graph.state.add_messages"
    assert {"question", "output", "looks"} <= set(found.inputs)
    assert "messages" not in found.inputs
    (name,) = found.types
    assert name.endswith("test_description.Claim")
    assert found.types[name] == {"*number": ("str",), "amount": ("float",)}
    assert list(found.graphs["claim"].nodes) == ["check"]


def test_the_channels_that_start_nodes_are_those_of_langgraph() -> None:
    graph = shop()
    compiled = graph.compile()
    for name, starts in describe(graph).nodes.items():
        assert sorted(starts) == sorted(compiled.nodes[name].triggers)


def test_the_fingerprint_changes_with_the_graph_and_with_nothing_else() -> None:
    one, other, more = described(shop().compile()), described(shop().compile()), shop()
    more.add_node("d", nothing).add_edge("claim", "d").add_edge("d", END)
    changed = described(more.compile())
    assert one and other and changed
    assert one.fingerprint == other.fingerprint != changed.fingerprint
    assert read_description(one.content) == one.description


def test_a_description_of_a_later_version_with_more_in_it_can_be_read() -> None:
    content = msgspec.json.encode({"nodes": {"a": ["branch:to:a"]}, "weather": "fine"})
    assert read_description(content).nodes == {"a": ("branch:to:a",)}


@pytest.mark.parametrize("name", ["memory", "sqlite"])
async def test_each_checkpoint_carries_the_fingerprint_and_the_store_keeps_the_description_once(
    name: str, tmp_path: Path
) -> None:
    graph = shop()
    async with open_store(name, tmp_path / "t.sqlite", *graph.states) as saver:
        compiled = graph.compile(saver)
        mine = described(compiled)
        assert mine
        for thread in ("one", "two"):
            await play(compiled, new_turn("hello"), run=Run(), thread_id=thread)
        stamps = {item.metadata.get(STAMP) async for item in saver.alist(None)}
        assert stamps == {mine.fingerprint}
        assert await kept_description(saver, mine.fingerprint) == mine.description
        assert await kept_description(saver, "unknown") is None
        if name == "sqlite":
            rows = await saver.file.transact(lambda c: c.execute("SELECT COUNT(*) FROM graphs").fetchone())
            assert rows == (1,)


class Plain(TypedDict, total=False):
    text: str


def test_a_graph_of_langgraph_itself_is_described_by_its_nodes() -> None:
    inner: Any = Graph(Plain).add_node("x", nothing).add_edge(START, "x").add_edge("x", END).compile()
    outer = Graph(Plain).add_node("inner", inner).add_edge(START, "inner").add_edge("inner", END)
    assert describe(outer).graphs["inner"].nodes["x"] == ("branch:to:x",)
