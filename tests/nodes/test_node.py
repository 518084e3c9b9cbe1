"""What is shown of a conversation begins at the same message for several turns, and holds enough of them."""

import pytest

from stretto.messages import Message, ToolCall, ToolResult
from stretto.nodes.node import last_turns, steady_turns


def conversation(turns: int) -> list[Message]:
    """Turns with a tool call each; the last one is only asked yet."""
    said: list[Message] = []
    for turn in range(1, turns + 1):
        call = Message.assistant(ToolCall(f"c{turn}", "stock"))
        said += [Message("user", str(turn)), call, Message.tool(ToolResult(f"c{turn}", "x"))]
        said.append(Message("assistant", f"a{turn}"))
    return said[:-3]


def shown(turns: int, history: int, room: int = 10_000) -> list[int]:
    found = steady_turns(conversation(turns), history, room=room)
    assert found[0].role == "user"
    return [int(message.text) for message in found if message.role == "user"]


@pytest.mark.parametrize("history", [1, 2, 3, 4, 8])
def test_at_least_the_turns_wanted_are_shown_and_less_than_twice_as_many(history: int) -> None:
    for turns in range(1, 40):
        found = shown(turns, history)
        assert found[-1] == turns
        assert min(turns, history) <= len(found) < 2 * history


def test_the_beginning_stays_for_as_many_turns() -> None:
    assert [shown(turns, 4)[0] for turns in range(1, 17)] == [1] * 7 + [5] * 4 + [9] * 4 + [13]
    assert [shown(turns, 1)[0] for turns in range(1, 5)] == [1, 2, 3, 4]


def test_where_there_is_no_room_the_turns_wanted_are_shown_alone() -> None:
    assert shown(7, 4, room=10) == [4, 5, 6, 7]
    assert steady_turns(conversation(7), 4, room=10) == last_turns(conversation(7), 4)
    assert shown(3, 4, room=0) == [1, 2, 3]
