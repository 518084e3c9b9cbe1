"""Messages and parts: short ways to write them, values that compare, JSON and back."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.messages import (
    Audio,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    as_message,
)

texts = st.text(max_size=20)
extras = st.dictionaries(texts, st.none() | st.booleans() | st.integers(-9, 9) | texts, max_size=2)
media = st.sampled_from([Image, Audio, File])
simple = st.one_of(
    st.builds(Text, texts, extra=extras),
    st.builds(lambda kind, source, name: kind(source, name=name), media, texts, texts),
)
parts = st.one_of(
    simple,
    st.builds(ToolCall, texts, texts, texts, extra=extras),
    st.builds(Reasoning, texts, extra=extras),
    st.builds(Refusal, texts),
    st.builds(ToolResult, texts, st.lists(simple, max_size=3).map(tuple), is_error=st.booleans()),
)
messages = st.builds(
    Message, st.sampled_from(["system", "user", "assistant", "tool"]), st.lists(parts, max_size=4).map(tuple)
)


@given(messages)
def test_json_and_back_is_the_same_message(message: Message) -> None:
    assert msgspec.json.decode(msgspec.json.encode(message), type=Message) == message


@pytest.mark.parametrize(
    "message",
    [
        Message("user", "hello"),
        Message("user", ["hello"]),
        Message("user", [Text("hello")]),
        Message("user", Text("hello")),
        Message.user("hello"),
        as_message("hello"),
        as_message(["hello"]),
        as_message(Message.user("hello")),
    ],
)
def test_a_message_can_be_written_in_short(message: Message) -> None:
    assert message == Message("user", (Text("hello"),))


def test_a_question_mixes_texts_and_parts() -> None:
    message = as_message(["What is this?", Image("receipt.jpg"), " And why?"])
    assert message.text == "What is this? And why?"
    assert message.media == (Image("receipt.jpg"),)


def test_tool_calls_come_in_their_order() -> None:
    calls = (ToolCall("1", "a"), ToolCall("2", "b"))
    assert Message.assistant("I look.", *calls).tool_calls == calls


def test_a_result_may_be_written_as_text() -> None:
    assert ToolResult("1", "shipped").text == "shipped"  # type: ignore[arg-type]
    assert Message.tool(ToolResult("1", (Text("a"), Image("x.png"), Text("b")))).parts[0].text == "ab"  # type: ignore[union-attr]


def test_a_path_becomes_text_so_that_it_can_be_stored() -> None:
    assert Image(Path("a") / "b.png").source == "a/b.png"  # type: ignore[arg-type]


def test_bytes_become_a_data_url() -> None:
    assert Image.from_bytes(b"abc", "image/png", name="x").source == "data:image/png;base64,YWJj"


def test_parts_and_messages_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Text("a").text = "b"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Message.user("a").role = "system"  # type: ignore[misc]


def test_every_part_is_told_by_its_type() -> None:
    decoder = msgspec.json.Decoder(Part)
    made = [Text("a"), Image("a"), Audio("a"), File("a"), ToolCall("1", "t"), Reasoning("r"), Refusal("no")]
    assert [type(decoder.decode(msgspec.json.encode(part))) for part in made] == [type(part) for part in made]
