"""The state of a conversation: messages get ids and keep their order, a turn begins empty."""

from langgraph.types import Overwrite

from stretto.context import Run
from stretto.graph import END, START, Conversation, Graph, new_turn
from stretto.graph.state import KEPT_KEYS, TURN_KEYS, add_messages, gather
from stretto.graph.stream import play
from stretto.messages import Message
from stretto.results import Missing


def test_messages_are_appended_with_ids_of_their_own() -> None:
    first = add_messages([], Message.user("a"))
    both = add_messages(first, [Message.user("b"), Message("user", "c", id="mine")])
    assert [message.text for message in both] == ["a", "b", "c"] and both[0] is first[0]
    assert both[2].id == "mine" and len({message.id for message in both}) == 3


def test_a_message_with_a_known_id_replaces_the_old_one_in_its_place() -> None:
    old = [Message("user", "a", id="1"), Message("user", "b", id="2")]
    new = add_messages(
        old, [Message("user", "A", id="1"), Message("user", "c", id="3"), Message("user", "C", id="3")]
    )
    assert [message.text for message in new] == ["A", "b", "C"]
    assert [message.text for message in old] == ["a", "b"]


def test_gathered_keys_grow_and_none_empties_them() -> None:
    down = Missing("look", "down")
    assert gather([down], [down]) == [down, down] and gather([down], None) == []


def test_the_input_of_a_turn_gives_every_key_of_a_conversation_but_those_that_stay() -> None:
    assert set(Conversation.__annotations__) == TURN_KEYS | KEPT_KEYS
    assert not TURN_KEYS & KEPT_KEYS
    assert new_turn("hello")["question"] == "hello" and new_turn("x", price=1)["price"] == 1


async def test_overwrite_replaces_the_history() -> None:
    async def shorten(state: Conversation) -> dict[str, object]:
        return {"messages": Overwrite(state["messages"][-1:])}

    graph = Graph().add_node("shorten", shorten).add_node("next", lambda state: {"route": "x"})
    graph.add_edge(START, "shorten").add_edge("next", END)
    graph.add_route("shorten", lambda state: len(state["messages"]), {1: "next", 2: END})
    given = new_turn("b") | {"messages": [Message.user("a"), Message.user("b")]}
    state = (await play(graph.compile(), given, run=Run())).state
    assert [message.text for message in state["messages"]] == ["b"] and state["route"] == "x"
