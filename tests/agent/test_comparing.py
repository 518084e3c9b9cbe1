"""Two states differ by messages, told by their ids, and by keys."""

from stretto.agent.comparing import compared
from stretto.messages import Message, Text


def said(id: str, text: str) -> Message:
    return Message("user", (Text(text),), id=id)


def test_messages_are_told_by_their_ids_and_keys_by_their_values() -> None:
    one = {"messages": [said("1", "hi"), said("2", "old"), said("3", "gone")], "same": 1, "left": 2}
    other = {"messages": [said("1", "hi"), said("2", "new"), said("4", "more")], "same": 1, "come": 3}
    found = compared(one, other)
    assert found.added == [said("4", "more")]
    assert found.removed == [said("3", "gone")]
    assert found.changed == [(said("2", "old"), said("2", "new"))]
    assert found.keys == {"come": (None, 3), "left": (2, None)}


def test_plain_messages_without_ids_are_told_by_their_place() -> None:
    found = compared({"messages": [{"text": "a"}]}, {"messages": [{"text": "b"}, {"text": "c"}]})
    assert (found.changed, found.added) == ([({"text": "a"}, {"text": "b"})], [{"text": "c"}])
