"""The laws of the items, each row of docs/messages_responses.md, and the openai package's types."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses.response_input_param import ResponseInputParam

from stretto.errors import BadResponse, ConfigError, MediaNotFound, UnsupportedMedia
from stretto.messages import Audio, File, Image, Message, Reasoning, Refusal, Text, ToolCall, ToolResult
from stretto.models.responses.convert import from_items, to_items

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="
HERE = "https://api.example/v1"
PICTURE = {"type": "input_image", "detail": "auto", "image_url": PNG}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
SECRET = {"id": "rs_1", "encrypted_content": "gAAAA"}
THOUGHT = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], **SECRET}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed"}


def user(*content):
    return {"role": "user", "content": list(content) if not isinstance(content[0], str) else content[0]}


def said(text):
    return {"role": "assistant", "content": text}


def spoken(*content, **more):
    return {"type": "message", "role": "assistant", "content": list(content), **more}


def text(words, **more):
    return {"type": "output_text", "text": words, "annotations": [], **more}


def output(content, call="c1", **more):
    return {"type": "function_call_output", "call_id": call, "output": content, **more}


def result(*content, call="c1", **more):
    return ToolResult(call, content, **more)


# (row of the table, our messages, the items or the error)
OURS = [
    (
        "a message of the assistant",
        [Message.assistant(Reasoning("hm", SECRET), "I look.", ToolCall("c1", "f"), "And?")],
        [THOUGHT, said("I look."), CALL, said("And?")],
    ),
    (
        "several texts or refusals in a row",
        [Message.assistant("a", "b", Refusal("no"))],
        [spoken(text("a"), text("b"), {"type": "refusal", "refusal": "no"})],
    ),
    (
        "two assistant messages in a row",
        [Message.assistant("a"), Message.assistant("b")],
        [said("a"), said("b")],
    ),
    (
        "reasoning that carries encrypted content",
        [Message.assistant(Reasoning("hm", {**SECRET, "origin": HERE}), "Yes")],
        [THOUGHT, said("Yes")],
    ),
    (
        "reasoning that another address made",
        [Message.assistant(Reasoning("hm", {**SECRET, "origin": "https://other.example/v1"}), "Yes")],
        [said("Yes")],
    ),
    ("reasoning without encrypted content", [Message.assistant(Reasoning("hm"), "Yes")], [said("Yes")]),
    (
        "reasoning that nothing follows in its message",
        [Message.assistant("Yes", Reasoning("hm", SECRET))],
        [said("Yes")],
    ),
    (
        "what Chat Completions gave a tool call: `function`, `extra_content`",
        [Message.assistant(ToolCall("c1", "f", extra={"function": {"x": 1}, "extra_content": {"y": 2}}))],
        [CALL],
    ),
    (
        "several results in one tool message",
        [Message.tool(result("1"), result("2", call="c2"))],
        [output("1"), output("2", "c2")],
    ),
    (
        "two tool messages in a row",
        [Message.tool(result("1")), Message.tool(result("2", call="c2"))],
        [output("1"), output("2", "c2")],
    ),
    ("a tool result in a user message", [Message.user("so?", result("1"))], [output("1"), user("so?")]),
    (
        "a text in a tool message",
        [Message("tool", (Text("look"), result("1")))],
        [output("1"), user({"type": "input_text", "text": "look"})],
    ),
    (
        "media in a system message",
        [Message.system("Be kind.", Image(PNG)), Message.user("Hi")],
        [{"role": "system", "content": "Be kind."}, user(PICTURE), user("Hi")],
    ),
    (
        "media in an assistant message",
        [Message.assistant(Image(PNG), ToolCall("c1", "f")), Message.tool(result("1"))],
        [CALL, output("1"), user(PICTURE)],
    ),
    ("an assistant message without a part", [Message.assistant()], [said("")]),
    ("an empty text that is alone", [Message.user("")], [user("")]),
    ("a message's id and name", [Message("user", "a", id="m1", name="Ada")], [user("a")]),
    (
        "the name and the error flag of a tool result",
        [Message.tool(result("down", name="f", is_error=True))],
        [output("down")],
    ),
    (
        "the extra fields of a tool or assistant message",
        [Message("tool", (result("1", extra={"status": "completed"}),), extra={"a": 1})],
        [output("1", status="completed")],
    ),
    (
        "sizes, pages, alternative texts, names of pictures",
        [
            Message.user(
                Image(PNG, name="a.png", width=3, height=4, alt="a cat"), File(PDF, name="a.pdf", pages=3)
            )
        ],
        [user(PICTURE, {"type": "input_file", "filename": "a.pdf", "file_data": PDF})],
    ),
    (
        "a document without a name",
        [Message.user(File(PDF))],
        [user({"type": "input_file", "filename": "document.pdf", "file_data": PDF})],
    ),
    (
        "a picture or document that the endpoint holds",
        [Message.user(File("file-id:file-1"), Image("file-id:file-2"))],
        [
            user(
                {"type": "input_file", "file_id": "file-1"},
                {"type": "input_image", "detail": "auto", "file_id": "file-2"},
            )
        ],
    ),
    ("a recording", [Message.user(Audio("data:audio/wav;base64,UQ=="))], UnsupportedMedia),
    ("a path or an unresolved reference", [Message.user(Image("a.png"))], MediaNotFound),
    ("a path or an unresolved reference", [Message.user(File("media:" + "0" * 64))], MediaNotFound),
    ("a tool call or refusal outside an assistant message", [Message.user(ToolCall("c1", "f"))], ConfigError),
    ("a tool call or refusal outside an assistant message", [Message.system(Refusal("no"))], ConfigError),
]

# (row of the table, the items, our messages or the error, the items again)
ITEMS = [
    (
        "a developer message",
        [{"role": "developer", "content": "Be brief."}],
        [Message("system", "Be brief.", extra={"role": "developer"})],
        [{"role": "developer", "content": "Be brief."}],
    ),
    (
        "fields of a message item, such as `phase`",
        [spoken(text("a"), phase="commentary"), spoken(text("b"), phase="final_answer")],
        [
            Message.assistant(
                Text("a", {"item": {"phase": "commentary"}}), Text("b", {"item": {"phase": "final_answer"}})
            )
        ],
        [spoken(text("a"), phase="commentary"), spoken(text("b"), phase="final_answer")],
    ),
    (
        "two message items in a row without such fields",
        [spoken(text("a")), spoken(text("b"))],
        [Message.assistant("a", "b")],
        [spoken(text("a"), text("b"))],
    ),
    (
        "an item of a kind we have no name for",
        [SEARCH, spoken(text("a"))],
        [Message.assistant(Reasoning("", SEARCH), "a")],
        [SEARCH, said("a")],
    ),
    (
        "a part of a kind we have no name for",
        [user({"type": "input_video", "video_url": "https://x.example/v"})],
        [Message.user(Text("", {"type": "input_video", "video_url": "https://x.example/v"}))],
        [user({"type": "input_video", "video_url": "https://x.example/v"})],
    ),
    (
        "a summary of several parts",
        [
            {
                **THOUGHT,
                "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            },
            said("c"),
        ],
        [
            Message.assistant(
                Reasoning(
                    "a\n\nb",
                    {
                        **SECRET,
                        "summary": [
                            {"type": "summary_text", "text": "a"},
                            {"type": "summary_text", "text": "b"},
                        ],
                    },
                ),
                "c",
            )
        ],
        [
            {
                **THOUGHT,
                "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            },
            said("c"),
        ],
    ),
    (
        "reasoning that is no summary",
        [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "hm"}],
                "encrypted_content": "g",
            },
            said("c"),
        ],
        [Message.assistant(Reasoning("hm", {"id": "rs_1", "encrypted_content": "g", "raw": True}), "c")],
        [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "hm"}],
                "encrypted_content": "g",
            },
            said("c"),
        ],
    ),
    (
        "a document at a URL",
        [user({"type": "input_file", "file_url": "https://x.example/a.pdf"})],
        [Message.user(File("https://x.example/a.pdf"))],
        [user({"type": "input_file", "file_url": "https://x.example/a.pdf"})],
    ),
    ("an unknown role, a missing field", [{"role": "wizard", "content": "a"}], BadResponse, None),
    ("an unknown role, a missing field", [{"role": "user"}], BadResponse, None),
    ("an unknown role, a missing field", [{"type": "function_call", "name": "f"}], BadResponse, None),
    ("an unknown role, a missing field", [spoken(PICTURE)], BadResponse, None),
]


@pytest.mark.parametrize(("row", "messages", "expected"), OURS, ids=[case[0] for case in OURS])
def test_each_row_degrades_as_the_table_says(row, messages, expected):
    if isinstance(expected, list):
        assert to_items(messages, origin=HERE) == expected
        assert from_items(expected), "the items come back without an error"
    else:
        with pytest.raises(expected):
            to_items(messages)


@pytest.mark.parametrize(("row", "items", "expected", "again"), ITEMS, ids=[case[0] for case in ITEMS])
def test_each_row_of_items_is_read_as_the_table_says(row, items, expected, again):
    if isinstance(expected, list):
        assert from_items(items) == expected
        assert to_items(expected) == again
    else:
        with pytest.raises(expected):
            from_items(items)


def test_the_table_in_the_docs_has_exactly_the_rows_that_are_tested():
    page = (Path(__file__).parents[3] / "docs" / "messages_responses.md").read_text()
    cells = re.findall(r"^\| (.+?) \|", page.split("\n## ")[0], re.M)
    rows = [cell for cell in cells if cell not in ("Ours", "Items")]
    assert sorted(rows) == sorted({case[0] for case in OURS} | {case[0] for case in ITEMS})


def test_the_text_of_reasoning_is_sent_where_the_endpoint_wants_it():
    (thought, _) = to_items([Message.assistant(Reasoning("hm"), "Yes")], reasoning=True)
    assert thought["content"] == [{"type": "reasoning_text", "text": "hm"}]
    assert thought["summary"] == []


def test_a_call_loses_nothing_when_the_reasoning_before_it_is_dropped():
    foreign = Reasoning("hm", {**SECRET, "origin": "https://other.example/v1"})
    assert to_items([Message.assistant(foreign, ToolCall("c1", "f"))], origin=HERE) == [CALL]


def test_converting_leaves_the_messages_as_they_were():
    message = Message.assistant(
        Reasoning("hm", {**SECRET, "origin": HERE}), Text("a", {"item": {"phase": "x"}})
    )
    before = repr(message)
    to_items([message], origin=HERE)
    assert repr(message) == before


# ---- the openai package reads what we write


def complete_item(item):
    """What the types ask of an answer that goes back, and the endpoint does not."""
    if item.get("role") == "assistant" and not isinstance(item["content"], str):
        return {"id": "msg_1", "status": "completed", **item}
    return item


@pytest.mark.parametrize(("row", "messages", "expected"), OURS, ids=[case[0] for case in OURS])
def test_the_openai_package_takes_the_items_of_each_row(openai_takes, row, messages, expected):
    if isinstance(expected, list):
        openai_takes(ResponseInputParam, [complete_item(item) for item in expected])


def test_the_check_by_the_openai_package_finds_what_is_wrong(openai_takes):
    with pytest.raises(ValueError, match="validation error"):
        openai_takes(ResponseInputParam, [{"type": "function_call", "name": "f"}])


# ---- the laws

words = st.text(min_size=1, max_size=12)
unknown = st.dictionaries(st.sampled_from(["x_one", "x_two"]), words, max_size=2)
phases = st.sampled_from([{}, {"item": {"phase": "commentary"}}, {"item": {"phase": "final_answer"}}])
spoken_extra = st.builds(lambda phase, more: {**phase, **more}, phases, unknown)
secrets = st.fixed_dictionaries({"id": words, "encrypted_content": words})

texts = st.builds(Text, words, unknown)
images = st.builds(
    Image, st.just(PNG), st.just("image/png"), detail=st.sampled_from(["auto", "low", "high"]), extra=unknown
)
links = st.builds(Image, st.just("https://x.example/a.png"), extra=unknown)
files = st.builds(File, st.just(PDF), st.just("application/pdf"), words, extra=unknown)
shown = st.one_of(texts, images, links, files)
calls = st.builds(ToolCall, words, words, st.text(max_size=12), unknown)
results = st.builds(ToolResult, words, st.lists(shown, max_size=3).map(tuple), extra=unknown)
thoughts = st.builds(Reasoning, st.text(max_size=8), secrets)
speech = st.one_of(st.builds(Text, words, spoken_extra), st.builds(Refusal, words, spoken_extra))


@st.composite
def answers(draw):
    parts = draw(st.lists(st.one_of(speech, calls, thoughts), max_size=5))
    return Message("assistant", (*parts, draw(st.one_of(speech, calls))))


@st.composite
def conversations(draw):
    tools = st.builds(Message, st.just("tool"), st.lists(results, min_size=1, max_size=3).map(tuple))
    system = st.builds(Message, st.just("system"), st.lists(texts, max_size=3).map(tuple), extra=unknown)
    asked = st.builds(Message, st.just("user"), st.lists(shown, max_size=4).map(tuple), extra=unknown)
    messages = draw(st.lists(st.one_of(system, asked, answers(), tools), min_size=1, max_size=5))
    touching = [one.role == two.role and one.role in ("tool", "assistant") for one, two in pairwise(messages)]
    return [message for message, touches in zip(messages, [*touching, False], strict=True) if not touches]


@given(conversations())
def test_ours_to_items_and_back_is_the_identity(messages):
    assert from_items(to_items(messages)) == messages


@given(conversations())
def test_items_to_ours_and_back_keep_every_field(messages):
    items = to_items(messages)
    assert to_items(from_items(items)) == items


@given(conversations())
def test_the_openai_package_takes_every_conversation(openai_takes, messages):
    openai_takes(ResponseInputParam, [complete_item(item) for item in to_items(messages)])
