"""The wire's laws, and every row of the tables in docs/messages.md."""

import base64
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.errors import BadResponse, ConfigError, MediaNotFound, UnsupportedMedia
from stretto.messages import (
    Audio,
    File,
    Image,
    Message,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from stretto.models.wire.convert import from_wire, to_wire

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="
WAV = "data:audio/wav;base64,UklGRg=="
SHOWN = {"type": "text", "text": "Shown by the tool call c1:"}
PICTURE = {"type": "image_url", "image_url": {"url": PNG}}
NEXT = "The result is shown in the next user message."
CALLS = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def tool(content, call="c1", **more):
    return {"role": "tool", "tool_call_id": call, "content": content, **more}


def user(*content):
    return {"role": "user", "content": list(content) if not isinstance(content[0], str) else content[0]}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def recording(format, data="UklGRg=="):
    return user({"type": "input_audio", "input_audio": {"data": data, "format": format}})


def result(*content, call="c1", **more):
    return ToolResult(call, content, **more)


# (row of the table, our messages, the wire or the error)
OURS = [
    (
        "an image in a tool result",
        [Message.tool(result("a receipt", Image(PNG))), Message.tool(result("two", call="c2"))],
        [tool("a receipt"), tool("two", "c2"), user(SHOWN, PICTURE)],
    ),
    (
        "a recording or document in a tool result",
        [Message.tool(result("a page", File(PDF, name="a.pdf"))), Message.user("so?")],
        [
            tool("a page"),
            user(SHOWN, {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}),
            user("so?"),
        ],
    ),
    (
        "a tool result that holds media only",
        [Message.tool(result(Image(PNG)))],
        [tool(NEXT), user(SHOWN, PICTURE)],
    ),
    (
        "several results in one tool message",
        [Message.tool(result("1"), result("2", call="c2"))],
        [tool("1"), tool("2", "c2")],
    ),
    (
        "two tool messages in a row",
        [Message.tool(result("1")), Message.tool(result("2", call="c2"))],
        [tool("1"), tool("2", "c2")],
    ),
    (
        "a tool result in a user message",
        [Message.user("and now?", result("1"))],
        [tool("1"), user("and now?")],
    ),
    (
        "a text in a tool message",
        [Message("tool", (Text("look"), result("1")))],
        [tool("1"), user({"type": "text", "text": "look"})],
    ),
    (
        "media in a system message",
        [Message.system("Be kind.", Image(PNG)), Message.user("Hi")],
        [{"role": "system", "content": "Be kind."}, user(PICTURE), user("Hi")],
    ),
    (
        "media in an assistant message",
        [Message.assistant(Image(PNG), ToolCall("c1", "f")), Message.tool(result("1"))],
        [assistant(None, tool_calls=CALLS), tool("1"), user(PICTURE)],
    ),
    ("reasoning", [Message.assistant(Reasoning("hm"), "Yes")], [assistant("Yes")]),
    ("a refusal", [Message.assistant(Refusal("I "), Refusal("won't"))], [assistant(None, refusal="I won't")]),
    ("an assistant message without a part", [Message.assistant()], [assistant("")]),
    (
        "an assistant message of tool calls only",
        [Message.assistant(ToolCall("c1", "f"))],
        [assistant(None, tool_calls=CALLS)],
    ),
    (
        "parts of an assistant message in another order",
        [Message.assistant(ToolCall("c1", "f"), Refusal("no"), "a")],
        [assistant("a", refusal="no", tool_calls=CALLS)],
    ),
    ("an empty text that is alone", [Message.user("")], [user("")]),
    (
        "what the Responses API gave a text: `item`, `annotations`",
        [Message.assistant(Text("a", {"item": {"phase": "final_answer"}, "annotations": [{}]}))],
        [assistant("a")],
    ),
    ("a message's id", [Message("user", "a", id="m1")], [user("a")]),
    (
        "the extra fields of a tool message",
        [Message("tool", (result("1", extra={"b": 2}),), extra={"a": 1})],
        [tool("1", b=2)],
    ),
    ("the error flag of a tool result", [Message.tool(result("down", is_error=True))], [tool("down")]),
    (
        "sizes, seconds, pages, alternative texts, transcripts, names of pictures and recordings",
        [
            Message.user(
                Image(PNG, name="a.png", width=3, height=4, alt="a cat"),
                Audio(WAV, name="a.wav", seconds=2.5, transcript="hello"),
                File(PDF, name="a.pdf", pages=3),
            )
        ],
        [
            user(
                PICTURE,
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
            )
        ],
    ),
    (
        "a recording of any format",
        [Message.user(Audio("data:audio/x-wav;base64,UQ=="))],
        [recording("wav", "UQ==")],
    ),
    (
        "a recording of any format",
        [Message.user(Audio("data:audio/mpeg;base64,UQ=="))],
        [recording("mp3", "UQ==")],
    ),
    (
        "a recording of any format",
        [Message.user(Audio("data:audio/flac;base64,UQ=="))],
        [recording("flac", "UQ==")],
    ),
    ("a recording or document at a URL", [Message.user(Audio("https://x.example/a.wav"))], UnsupportedMedia),
    ("a recording or document at a URL", [Message.user(File("https://x.example/a.pdf"))], UnsupportedMedia),
    (
        "a document without a name",
        [Message.user(File(PDF))],
        [user({"type": "file", "file": {"filename": "document.pdf", "file_data": PDF}})],
    ),
    (
        "a file that the endpoint holds",
        [Message.user(File("file-id:file-1"))],
        [user({"type": "file", "file": {"file_id": "file-1"}})],
    ),
    ("a path or an unresolved reference", [Message.user(Image("a.png"))], MediaNotFound),
    ("a path or an unresolved reference", [Message.user(Image("media:" + "0" * 64))], MediaNotFound),
    ("a tool call or refusal outside an assistant message", [Message.user(ToolCall("c1", "f"))], ConfigError),
    ("a tool call or refusal outside an assistant message", [Message.system(Refusal("no"))], ConfigError),
]

# (row of the table, the wire, our messages or the error, the wire again)
WIRES = [
    (
        "a developer message",
        [{"role": "developer", "content": "Be brief."}],
        [Message("system", "Be brief.", extra={"role": "developer"})],
        [{"role": "developer", "content": "Be brief."}],
    ),
    (
        "a part of an unknown kind",
        [user({"type": "video_url", "video_url": {"url": "https://x.example/v"}})],
        [Message.user(Text("", {"type": "video_url", "video_url": {"url": "https://x.example/v"}}))],
        [user({"type": "video_url", "video_url": {"url": "https://x.example/v"}})],
    ),
    (
        "an image in a tool message",
        [tool([PICTURE])],
        [Message.tool(result(Image(PNG, "image/png")))],
        [tool(NEXT), user(SHOWN, PICTURE)],
    ),
    (
        "the field `reasoning`",
        [assistant("Yes", reasoning="hm")],
        [Message.assistant(Reasoning("hm"), "Yes")],
        [assistant("Yes", reasoning_content="hm")],
    ),
    (
        "arguments as an object",
        [assistant(None, tool_calls=[{"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}])],
        [Message.assistant(ToolCall("c1", "f", '{"a":1}'))],
        [
            assistant(
                None,
                tool_calls=[
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
                ],
            )
        ],
    ),
    ("an unknown role, a custom tool call, a missing field", [{"role": "wizard"}], BadResponse, None),
    ("an unknown role, a custom tool call, a missing field", [{"content": "a"}], BadResponse, None),
    ("an unknown role, a custom tool call, a missing field", [user({"type": "text"})], BadResponse, None),
    (
        "an unknown role, a custom tool call, a missing field",
        [assistant(None, tool_calls=[{"id": "c1", "type": "custom", "custom": {"name": "f", "input": "x"}}])],
        BadResponse,
        None,
    ),
]


@pytest.mark.parametrize(("row", "messages", "expected"), OURS, ids=[case[0] for case in OURS])
def test_each_row_degrades_as_the_table_says(row, messages, expected):
    if isinstance(expected, list):
        assert to_wire(messages) == expected
        assert from_wire(expected), "the wire's form comes back without an error"
    else:
        with pytest.raises(expected):
            to_wire(messages)


@pytest.mark.parametrize(("row", "wire", "expected", "again"), WIRES, ids=[case[0] for case in WIRES])
def test_each_row_of_the_wire_is_read_as_the_table_says(row, wire, expected, again):
    if isinstance(expected, list):
        assert from_wire(wire) == expected
        assert to_wire(expected, reasoning=True) == again
    else:
        with pytest.raises(expected):
            from_wire(wire)


def test_the_table_in_the_docs_has_exactly_the_rows_that_are_tested():
    text = (Path(__file__).parents[3] / "docs" / "messages.md").read_text()
    section = text.split("## To the Chat Completions wire")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (.+?) \|", section, re.M)
    rows = [cell for cell in cells if cell not in ("Ours", "On the wire")]
    assert sorted(rows) == sorted({case[0] for case in OURS} | {case[0] for case in WIRES})


def test_reasoning_is_kept_where_the_endpoint_wants_it():
    message = Message.assistant(Reasoning("a"), Reasoning("b"), "Yes")
    assert to_wire([message], reasoning=True) == [assistant("Yes", reasoning_content="ab")]


def test_the_error_about_a_reference_says_what_to_call():
    with pytest.raises(MediaNotFound, match=r"resolve\(messages, store\)"):
        to_wire([Message.user(Image("media:abc"))])


def test_an_error_shows_no_more_than_the_head_of_a_source():
    with pytest.raises(MediaNotFound) as caught:
        to_wire([Message.user(Image("ftp://" + "x" * 500))])
    assert len(str(caught.value)) < 250


# ---- the laws

words = st.text(min_size=1, max_size=12)
values = st.one_of(st.booleans(), st.integers(-9, 9), words, st.lists(words, max_size=2))
unknown = st.dictionaries(st.sampled_from(["x_one", "x_two", "cache_control"]), values, max_size=2)
base64_text = st.binary(max_size=6).map(lambda data: base64.b64encode(data).decode())


@st.composite
def media(draw, types, build, **more):
    media_type = draw(st.sampled_from(types))
    source = f"data:{media_type};base64,{draw(base64_text)}"
    return build(
        source=source, media_type=media_type, extra=draw(unknown), **{k: draw(v) for k, v in more.items()}
    )


texts = st.builds(Text, words, unknown)
images = media(["image/png", "image/jpeg"], Image, detail=st.sampled_from(["auto", "low", "high"]))
links = st.builds(Image, st.just("https://x.example/a.png"), extra=unknown)
audios = media(["audio/wav", "audio/mpeg", "audio/flac"], Audio)
files = media(["application/pdf", "text/plain"], File, name=words)
calls = st.builds(ToolCall, words, words, st.text(max_size=12), unknown)
results = st.builds(
    ToolResult, words, st.lists(texts, max_size=3).map(tuple), st.text(max_size=5), st.just(False), unknown
)


def said(role, parts):
    return st.builds(
        Message,
        st.just(role),
        st.lists(parts, max_size=4).map(tuple),
        name=st.text(max_size=5),
        extra=unknown,
    )


@st.composite
def answers(draw):
    parts = [
        *draw(st.lists(st.builds(Reasoning, words), max_size=1)),
        *draw(st.lists(texts, max_size=3)),
        *draw(st.lists(st.builds(Refusal, words), max_size=1)),
        *draw(st.lists(calls, max_size=3)),
    ]
    return Message("assistant", tuple(parts), name=draw(st.text(max_size=5)), extra=draw(unknown))


@st.composite
def conversations(draw):
    tools = st.builds(Message, st.just("tool"), st.lists(results, min_size=1, max_size=3).map(tuple))
    message = st.one_of(
        said("system", texts), said("user", st.one_of(texts, images, links, audios, files)), answers(), tools
    )
    messages = draw(st.lists(message, min_size=1, max_size=5))
    touching = [one.role == two.role == "tool" for one, two in pairwise(messages)]
    return [message for message, touches in zip(messages, [*touching, False], strict=True) if not touches]


@given(conversations())
def test_ours_to_the_wire_and_back_is_the_identity(messages):
    assert from_wire(to_wire(messages, reasoning=True)) == messages


@given(conversations())
def test_the_wire_to_ours_and_back_is_the_identity(messages):
    wire = to_wire(messages, reasoning=True)
    assert to_wire(from_wire(wire), reasoning=True) == wire


@given(unknown, unknown, unknown)
def test_the_wire_to_ours_and_back_keeps_unknown_fields_at_every_depth(first, second, third):
    wire = [
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": PNG, **third}, **second}],
            **first,
        },
        assistant(
            None,
            tool_calls=[
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "", **third}, **second}
            ],
            **first,
        ),
        tool([{"type": "text", "text": "a", "x_always": 1, **second}], **first),
    ]
    assert to_wire(from_wire(wire)) == wire
