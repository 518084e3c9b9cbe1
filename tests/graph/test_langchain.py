"""Our messages and langchain-core's: the same back for all that both can say, and each row of the docs."""

import json
import operator
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.graph import MessagesState, StateGraph
from langgraph.types import Command

from stretto.context import Run, RunContext
from stretto.errors import GraphError
from stretto.graph import END, START, Conversation, Graph, new_turn
from stretto.graph.langchain import from_langchain, langchain_node, to_langchain
from stretto.graph.state import add_messages
from stretto.graph.stream import play
from stretto.messages import Audio, File, Image, Message, Reasoning, Refusal, Text, ToolCall, ToolResult

words = st.text(min_size=1, max_size=8)
extras = st.dictionaries(st.sampled_from(["a", "b"]), st.integers() | words, max_size=2)
texts = st.builds(Text, words, extras)
sources = st.sampled_from(["media:ab", "https://example.org/a.png", "a.png"])
images = st.builds(
    Image,
    sources,
    media_type=st.sampled_from(["", "image/png"]),
    name=st.sampled_from(["", "a"]),
    extra=extras,
    width=st.integers(0, 9),
    detail=st.sampled_from(["auto", "low"]),
    alt=st.sampled_from(["", "a cat"]),
) | st.just(Image.from_bytes(b"abc", "image/png", name="a"))
media = (
    images
    | st.builds(Audio, sources, media_type=st.just("audio/wav"), seconds=st.sampled_from([0.0, 1.5]))
    | st.builds(File, sources, pages=st.integers(0, 3))
)
spoken = texts | st.builds(Reasoning, words, extras) | st.builds(Refusal, words, extras)
calls = st.lists(
    st.builds(
        ToolCall,
        words,
        words,
        st.dictionaries(words, st.integers(), max_size=2).map(
            lambda given: json.dumps(given, ensure_ascii=False)
        ),
        extras,
    ),
    max_size=2,
    unique_by=lambda call: call.id,
)
ids = st.sampled_from(["", "m1"])
names = st.sampled_from(["", "ada"])


@st.composite
def messages(draw: Any) -> Message:
    role = draw(st.sampled_from(["system", "user", "assistant", "tool"]))
    common = {"id": draw(ids), "extra": draw(extras)}
    if role == "tool":
        content = tuple(draw(st.lists(texts | media, max_size=2)))
        result = ToolResult(
            draw(words), content, name=draw(names), is_error=draw(st.booleans()), extra=draw(extras)
        )
        return Message("tool", (result,), **common)
    parts = draw(st.lists(spoken if role == "assistant" else texts | media, max_size=3))
    parts += draw(calls) if role == "assistant" else []
    return Message(role, tuple(parts), name=draw(names), **common)


@settings(max_examples=150, deadline=None)
@given(st.lists(messages(), max_size=3))
def test_ours_there_and_back_is_the_same_message(given_: list[Message]) -> None:
    assert from_langchain(to_langchain(given_)) == given_


THEIRS = [
    HumanMessage("hello", id="1", name="ada", additional_kwargs={"a": 1}),
    HumanMessage([{"type": "text", "text": "hello"}]),
    HumanMessage([]),
    HumanMessage(""),
    HumanMessage([{"type": "image_url", "image_url": {"url": "https://x.org/a.png", "detail": "low"}}]),
    HumanMessage([{"type": "image", "base64": "YWJj", "mime_type": "image/png", "id": "block-1"}]),
    HumanMessage([{"type": "image", "file_id": "f1"}, {"type": "video", "url": "https://x.org/v"}]),
    HumanMessage([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]),
    SystemMessage("be short", response_metadata={"model": "m"}),
    AIMessage(
        "hi",
        tool_calls=[{"name": "f", "args": {"a": [1, "ü"]}, "id": "c1"}],
        invalid_tool_calls=[{"name": "g", "args": "{not json", "id": "c2", "error": "why"}],
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        response_metadata={"finish_reason": "stop"},
    ),
    AIMessage([{"type": "reasoning", "reasoning": "hm", "id": "r"}, {"type": "thinking", "thinking": "?"}]),
    ToolMessage("done", tool_call_id="c1", name="f", status="error", artifact={"rows": [1]}),
    ToolMessage([{"type": "image", "url": "media:x"}], tool_call_id="c1"),
    ChatMessage("hello", role="developer"),
    FunctionMessage("done", name="f", id="9"),
]


@pytest.mark.parametrize("message", THEIRS, ids=lambda message: message.type)
def test_theirs_there_and_back_keeps_every_field(message: Any) -> None:
    (back,) = to_langchain(from_langchain([message]))
    assert type(back) is type(message)
    assert back.model_dump() == message.model_dump()


def test_what_both_say_is_said_in_the_same_words() -> None:
    ours = [
        Message.user("What is this?", Image.from_bytes(b"abc", "image/png")),
        Message.assistant("A cat.", ToolCall("c1", "name_it", '{"cat": 1}')),
        Message.tool(ToolResult("c1", "Tom", name="name_it")),
    ]
    question, answer, result = to_langchain(ours)
    assert question.content_blocks[1] == {"type": "image", "base64": "YWJj", "mime_type": "image/png"}
    assert answer.content == "A cat." and answer.tool_calls[0]["args"] == {"cat": 1}  # type: ignore[attr-defined]
    assert (result.content, result.tool_call_id, result.status) == ("Tom", "c1", "success")  # type: ignore[attr-defined]


# Each test below is a row of docs/messages_langchain.md.


def test_several_results_become_several_messages() -> None:
    there = to_langchain([Message("tool", (ToolResult("1", "a"), ToolResult("2", "b")), id="m")])
    assert [(message.tool_call_id, message.id) for message in there] == [("1", "m"), ("2", "m#1")]  # type: ignore[attr-defined]
    assert [message.parts[0].call_id for message in from_langchain(there)] == ["1", "2"]  # type: ignore[union-attr]


def test_arguments_come_back_equal_as_json() -> None:
    (back,) = from_langchain(to_langchain([Message.assistant(ToolCall("1", "f", '{"a":1}'))]))
    assert back.tool_calls[0].arguments == '{"a": 1}'


def test_arguments_that_are_no_object_are_an_invalid_call_and_come_back_as_they_were() -> None:
    message = Message.assistant(ToolCall("1", "f", "{broken"), ToolCall("2", "f", "[1]"))
    (there,) = to_langchain([message])
    assert [call["args"] for call in there.invalid_tool_calls] == ["{broken", "[1]"]  # type: ignore[attr-defined]
    assert from_langchain([there]) == [message]


def test_tool_calls_stand_after_the_content() -> None:
    message = Message.assistant(ToolCall("1", "f"), "then")
    (back,) = from_langchain(to_langchain([message]))
    assert [type(part) for part in back.parts] == [Text, ToolCall]


def test_calls_and_results_in_the_wrong_role_are_left_out() -> None:
    (there,) = to_langchain([Message.user("a", ToolCall("1", "f"), ToolResult("1", "x"))])
    assert there.content == "a"


def test_an_empty_text_alone_is_no_part() -> None:
    assert from_langchain(to_langchain([Message.user("")])) == [Message("user", ())]


def test_the_media_type_of_a_data_url_is_filled_in() -> None:
    source = "data:image/png;base64,YWJj"
    assert from_langchain(to_langchain([Message.user(Image(source))]))[0].parts == (
        Image(source, media_type="image/png"),
    )


def test_a_block_without_a_part_of_ours_is_an_empty_text_that_carries_it() -> None:
    (ours,) = from_langchain([HumanMessage([{"type": "video", "url": "u"}])])
    assert ours.text == "" and ours.parts[0].extra["langchain"] == {"type": "video", "url": "u"}


def test_a_bare_string_among_blocks_comes_back_as_a_text_block() -> None:
    (back,) = to_langchain(from_langchain([HumanMessage(["a", {"type": "text", "text": "b"}])]))
    assert back.content == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


def test_a_chunk_comes_back_as_a_whole_message() -> None:
    (back,) = to_langchain(from_langchain([AIMessageChunk("part")]))
    assert type(back) is AIMessage and back.content == "part"


def test_a_role_of_its_own_is_a_user_message_that_keeps_its_role() -> None:
    (ours,) = from_langchain([ChatMessage("x", role="narrator")])
    assert ours.role == "user" and to_langchain([ours])[0].role == "narrator"  # type: ignore[attr-defined]


def test_a_remove_message_is_refused() -> None:
    with pytest.raises(GraphError, match="RemoveMessage"):
        from_langchain([RemoveMessage(id="1")])


# Nodes written for langgraph, on our conversations.


async def answer(state: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
    assert isinstance(state["messages"][-1], HumanMessage) and config
    return {"messages": [AIMessage(state["messages"][-1].content + "!")], "output": 1}


def chatbot() -> Any:
    def bot(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(str(state["messages"][-1].content) + "!")]}

    return (
        StateGraph(MessagesState).add_node("bot", bot).add_edge(START, "bot").add_edge("bot", END).compile()
    )


def command(state: dict[str, Any], ctx: RunContext) -> Any:
    assert ctx.node == "theirs"
    return Command(update={"messages": AIMessage(state["messages"][-1].content + "!")})


@pytest.mark.parametrize(
    "node", [answer, chatbot(), RunnableLambda(answer), command], ids=lambda node: type(node).__name__
)
async def test_their_nodes_answer_in_our_conversation(node: Any) -> None:
    graph = Graph().add_node("theirs", langchain_node(node)).add_edge(START, "theirs").add_edge("theirs", END)
    state = (await play(graph.compile(), new_turn("hello"), run=Run())).state
    assert [(message.role, message.text) for message in state["messages"]] == [
        ("user", "hello"),
        ("assistant", "hello!"),
    ]
    assert all(isinstance(message, Message) for message in state["messages"])


async def test_a_state_key_can_hold_their_messages() -> None:
    class Both(Conversation, total=False):
        theirs: Annotated[list[Any], operator.add]

    async def node(state: Both) -> Both:
        return {"theirs": to_langchain(state["messages"])}

    graph = Graph(Both).add_node("n", node).add_edge(START, "n").add_edge("n", END)
    state = (await play(graph.compile(), new_turn("hello", theirs=[]), run=Run())).state
    assert [message.content for message in state["theirs"]] == ["hello"]


def test_their_messages_get_ids_from_our_reducer_too() -> None:
    first, second = add_messages([], [AIMessage("a"), Message.user("b")])
    assert first.id and second.id and first.id != second.id
