import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.errors import BadResponse, ModelUnavailable
from stretto.messages import Message, Reasoning, Refusal, Text, ToolCall
from stretto.models.protocol import ReasoningPiece, Reply, TextPiece, ToolCallPiece
from stretto.models.wire.decode import MAX_LINE, Answer
from stretto.models.wire.failures import Secrets
from stretto.testing.completions import Completion, events_of
from stretto.usage import Usage


def answer():
    return Answer("`m`", Secrets())


def chunk(finish=None, **delta):
    return _event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _event(content, end="\n\n"):
    return f"data: {json.dumps(content)}{end}".encode()


def call(index=None, id=None, name=None, arguments=None, **more):
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {
        key: v for key, v in {"index": index, "id": id, "function": function, **more}.items() if v is not None
    }


texts = st.text(alphabet=st.sampled_from("aé🌊ß\n \u0301\u2028"), min_size=1, max_size=20)
said = st.builds(
    lambda thoughts, words, refusals, calls: Message("assistant", (*thoughts, *words, *refusals, *calls)),
    st.lists(st.builds(Reasoning, texts), max_size=1),
    st.lists(st.builds(Text, texts), max_size=1),
    st.lists(st.builds(Refusal, texts), max_size=1),
    st.lists(st.builds(ToolCall, st.uuids().map(str), texts, texts), max_size=3),
)


@given(said, st.lists(st.integers(1, 400), max_size=40), st.sampled_from([b"\n", b"\r\n"]))
def test_an_answer_is_the_same_wherever_the_reads_are_cut(message, cuts, newline):
    stream = b"".join(events_of(Completion(message, "stop", 3, 4, "m"), chunks=None, usage=True))
    stream = b": comment\n\nevent: x\n" + stream
    stream = stream.replace(b"\n", newline)
    found, pieces, at = answer(), [], 0
    for size in [*cuts, len(stream)]:
        pieces += found.feed(stream[at : at + size])
        at += size
    reply = found.end()
    assert reply.message == message
    assert reply.usage == Usage(3, 4, calls=1)
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)) == message.text
    joined = {}
    for piece in pieces:
        if isinstance(piece, ToolCallPiece):
            before = joined.get(piece.index, ("", "", ""))
            joined[piece.index] = (before[0] + piece.id, before[1] + piece.name, before[2] + piece.arguments)
    assert list(joined.values()) == [(c.id, c.name, c.arguments) for c in message.tool_calls]


def test_one_read_gives_one_piece_of_each_kind_in_the_order_they_are_shown():
    pieces = answer().feed(
        chunk(reasoning_content="Let ")
        + chunk(reasoning="me see.")
        + chunk(content="So")
        + chunk(content="!")
        + chunk(tool_calls=[call(0, "c1", "f", "")])
        + chunk(tool_calls=[call(0, arguments='{"a"')])
        + chunk(tool_calls=[call(0, arguments=": 1}")])
    )
    assert pieces == [
        ReasoningPiece("Let me see."),
        TextPiece("So!", 2),
        ToolCallPiece(0, "c1", "f", '{"a": 1}'),
    ]


@pytest.mark.parametrize(
    "calls",
    [
        [call(0, "c1", "f", "{}"), call(1, "c2", "g", "{}")],
        [call(0, "c1", "f", "{}"), call(0, "c2", "g", "{}")],  # one gateway gives every call the index 0
        [call(None, "c1", "f", "{}"), call(None, "c2", "g", "{}")],  # others give none
        [call(None, "c1", "f", "{"), call(None, arguments="}"), call(None, "c2", "g", "{}")],
        [call(0, "c1", "f", "{"), call(0, "c1", arguments="}"), call(1, "c2", "g", "{}")],
        [call(3, "c1", "f", {}), call(7, "c2", "g", "{}")],
    ],
)
def test_parallel_calls_are_told_apart_as_every_server_numbers_them(calls):
    found = answer()
    for one in calls:
        found.feed(chunk(tool_calls=[one]))
    found.feed(chunk("stop"))
    reply = found.end()
    assert reply.message.tool_calls == (ToolCall("c1", "f", "{}"), ToolCall("c2", "g", "{}"))
    assert reply.finish == "tool_calls", "whatever the server said"


def test_a_call_without_an_id_gets_one():
    found = answer()
    pieces = found.feed(chunk(tool_calls=[call(0, None, "f", "{}")]) + chunk("tool_calls"))
    (made,) = found.end().message.tool_calls
    assert made.id.startswith("call_")
    assert pieces[0].id == made.id


def test_what_a_server_adds_to_a_call_goes_back_to_it():
    found = answer()
    found.feed(
        chunk(tool_calls=[call(0, "c1", "f", "{}", extra_content={"sign": "x"})]) + chunk("tool_calls")
    )
    assert found.end().message.tool_calls[0].extra == {"extra_content": {"sign": "x"}}


@pytest.mark.parametrize(
    ("said", "finish"),
    [("stop", "stop"), ("length", "length"), ("max_tokens", "length"), ("content_filter", "content_filter"),
     ("eos", "stop"), ("function_call", "tool_calls")],
)  # fmt: skip
def test_every_reason_to_end_is_one_of_ours(said, finish):
    found = answer()
    found.feed(chunk(content="a") + chunk(said))
    assert found.end().finish == finish


def test_done_is_an_ending_even_without_a_reason():
    found = answer()
    found.feed(chunk(content="a") + b"data: [DONE]\n\n" + chunk(content="after the end"))
    assert found.end().message.text == "a"


def test_a_last_line_without_its_newline_counts():
    found = answer()
    found.feed(chunk(content="a") + chunk("stop").rstrip())
    assert found.end().message.text == "a"


def test_other_choices_than_the_first_are_left_out():
    found = answer()
    found.feed(
        _event({"choices": [{"index": 1, "delta": {"content": "b"}}]}) + chunk(content="a") + chunk("stop")
    )
    assert found.end().message.text == "a"


def test_cached_and_reasoning_tokens_are_counted():
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 8,
        "prompt_tokens_details": {"cached_tokens": 7},
        "completion_tokens_details": {"reasoning_tokens": 6},
    }
    found = answer()
    found.feed(chunk("stop") + _event({"choices": [], "usage": usage}))
    assert found.end().usage == Usage(9, 8, 7, 6, 1)


@pytest.mark.parametrize("content", [b"", b": ping\n\n", b"data: [DONE]\n\n"])
def test_nothing_at_all_is_no_answer(content):
    found = answer()
    found.feed(content)
    with pytest.raises((ModelUnavailable, BadResponse)):
        found.end()


@pytest.mark.parametrize(
    "content", [b"data: nonsense\n", b"data: [1]\n", b'data: {"choices": 3}\n', b'data: {"choices": null}\n',
                b'data: {"choices": [{"delta": {"content": ["x"]}}]}\n', b"data: \xff\xfe\n"],
)  # fmt: skip
def test_a_chunk_of_a_wrong_shape_is_a_bad_response_with_what_came_before(content):
    found = answer()
    with pytest.raises(BadResponse) as caught:
        found.feed(chunk(content="before") + content)
    assert caught.value.partial == "before"


def test_a_line_without_an_end_is_stopped():
    found = answer()
    with pytest.raises(BadResponse, match="a line of over"):
        found.feed(b"data: " + b"x" * MAX_LINE)


def test_a_whole_answer_is_pieces_too():
    body = {
        "choices": [
            {
                "message": {
                    "role": "assistant",
                    "content": "a",
                    "refusal": None,
                    "annotations": [],
                    "tool_calls": [
                        {"id": "", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                    ],
                },
                "finish_reason": "stop",
            }
        ]
    }
    *pieces, reply = answer().whole(json.dumps(body).encode())
    assert isinstance(reply, Reply)
    assert [type(piece) for piece in pieces] == [TextPiece, ToolCallPiece]
    assert reply.message.tool_calls[0].id
    assert reply.message.extra == {}
    assert reply.finish == "tool_calls"


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"choices": []}', b"no", b'{"choices": [{"message": {"content": 3}}]}']
)
def test_a_whole_answer_of_a_wrong_shape_is_a_bad_response(body):
    with pytest.raises(BadResponse):
        answer().whole(body)


def test_an_error_as_a_whole_answer_is_raised():
    with pytest.raises(ModelUnavailable, match="overloaded"):
        answer().whole(b'{"error": {"message": "overloaded"}}')
