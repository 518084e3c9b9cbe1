"""`ResponsesAnswer`: every kind of event, and every bad ending, from bytes alone."""

import json

import pytest

from stretto.errors import BadRequest, BadResponse, ContextOverflow, ModelUnavailable, RateLimited
from stretto.messages import Message, Reasoning, Refusal, Text, ToolCall
from stretto.models.protocol import ReasoningPiece, Reply, TextPiece, ToolCallPiece
from stretto.models.responses.decode import ResponsesAnswer
from stretto.models.wire.failures import Secrets
from stretto.usage import Usage

HERE = "https://api.example/v1"
USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 16},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 29,
}


def answer():
    return ResponsesAnswer("`m` at there", Secrets("sk-secret-1"), origin=HERE)


def sse(*events):
    lines = [f"event: {event.get('type')}\ndata: {json.dumps(event)}\n\n" for event in events]
    return "".join(lines).encode()


def delta(kind, words, index=0, **more):
    return {"type": f"response.{kind}.delta", "output_index": index, "delta": words, **more}


def text(words, index=0, **more):
    return delta("output_text", words, index, content_index=0, **more)


def added(item, index=0):
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(item, index=0):
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def end(kind="completed", **fields):
    response = {"status": kind, "model": "m-2026", "output": [], "usage": USAGE, **fields}
    return {"type": f"response.{kind}", "response": response}


def spoken(words, **more):
    content = [{"type": "output_text", "text": words, "annotations": [], "logprobs": []}]
    return {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": content,
    } | more


def played(*events):
    """The pieces of these events, and the Reply."""
    one = answer()
    pieces = one.feed(sse({"type": "response.created", "response": {"output": []}}, *events))
    assert one.done
    return pieces, one.end()


def test_text_of_one_read_is_one_piece_and_counts_its_events():
    pieces, reply = played(text("The "), text("sea"), text(""), text("."), end())
    assert pieces == [TextPiece("The sea.", 3)]
    assert reply == Reply(Message.assistant("The sea."), Usage(20, 9, 16, 5, 1), "stop", "m-2026", 3)


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_bytes_may_be_cut_anywhere(cut):
    data = sse(text("grün "), text("🌊"), end())
    one = answer()
    pieces = [piece for start in range(0, len(data), cut) for piece in one.feed(data[start : start + cut])]
    assert "".join(piece.text for piece in pieces) == "grün 🌊"
    assert one.end().message == Message.assistant("grün 🌊")


def test_lines_may_end_in_carriage_returns_and_comments_may_stand_between():
    one = answer()
    one.feed(b": ping\r\n\r\n" + sse(text("a"), end()).replace(b"\n", b"\r\n") + b"data: [DONE]\r\n\r\n")
    assert one.end().message == Message.assistant("a")


def test_a_tool_call_comes_in_pieces_that_join_to_it():
    call = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": ""}
    arguments = [delta("function_call_arguments", part) for part in ('{"x"', ": 1}")]
    whole = {**call, "arguments": '{"x": 1}', "status": "completed"}
    pieces, reply = played(added(call), *arguments, done(whole), end())
    assert pieces == [ToolCallPiece(0, "c1", "f", '{"x": 1}')]
    assert reply.message == Message.assistant(ToolCall("c1", "f", '{"x": 1}'))
    assert (reply.finish, reply.chunks) == ("tool_calls", 2)


def test_parallel_calls_are_told_apart_and_stand_where_they_stood():
    def call(name):
        return {"type": "function_call", "call_id": f"c_{name}", "name": name, "arguments": ""}

    pieces, reply = played(
        added(spoken("", content=[])),
        text("I look."),
        done(spoken("I look.")),
        added(call("a"), 1),
        added(call("b"), 2),
        delta("function_call_arguments", "{}", 2),
        delta("function_call_arguments", "[]", 1),
        end(),
    )
    assert [(p.index, p.name, p.arguments) for p in pieces[1:]] == [
        (0, "a", ""),
        (1, "b", "{}"),
        (0, "", "[]"),
    ]
    assert reply.message == Message.assistant(
        "I look.", ToolCall("c_a", "a", "[]"), ToolCall("c_b", "b", "{}")
    )


def test_reasoning_is_shown_and_kept_with_what_only_its_endpoint_can_read():
    summary = [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}]
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": summary,
        "encrypted_content": "gAAA",
        "status": None,
    }
    pieces, reply = played(
        added({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gA"}),
        delta("reasoning_summary_text", "on", summary_index=0),
        delta("reasoning_summary_text", "e", summary_index=0),
        delta("reasoning_summary_text", "two", summary_index=1),
        done(item),
        text("Yes.", 1),
        end(),
    )
    assert pieces == [ReasoningPiece("one\n\ntwo"), TextPiece("Yes.")]
    kept = {"id": "rs_1", "summary": summary, "encrypted_content": "gAAA", "origin": HERE}
    assert reply.message == Message.assistant(Reasoning("one\n\ntwo", kept), "Yes.")


def test_reasoning_in_the_open_is_shown_too():
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    pieces, reply = played(added(item), delta("reasoning_text", "hm", content_index=0), text("a", 1), end())
    assert pieces == [ReasoningPiece("hm"), TextPiece("a")]
    assert reply.message == Message.assistant(Reasoning("hm", {"id": "rs_1"}), "a")


def test_a_refusal_is_a_part_and_not_text():
    item = spoken("", content=[{"type": "refusal", "refusal": "I will not."}])
    events = [delta("refusal", words, content_index=0) for words in ("I will ", "not.")]
    for ending in ([done(item)], []):
        pieces, reply = played(added(spoken("", content=[])), *events, *ending, end())
        assert pieces == []
        assert reply.message == Message.assistant(Refusal("I will not."))
        assert reply.chunks == 2


def test_citations_and_the_phase_of_a_text_are_kept_and_its_ids_are_not():
    cited = [
        {"type": "url_citation", "url": "https://x.example", "title": "x", "start_index": 0, "end_index": 1}
    ]
    item = spoken("a", phase="final_answer")
    item["content"][0]["annotations"] = cited
    _, reply = played(added(spoken("", content=[])), text("a"), done(item), end())
    assert reply.message == Message.assistant(
        Text("a", {"item": {"phase": "final_answer"}, "annotations": cited})
    )


def test_an_item_of_an_unknown_kind_goes_back_to_where_it_came_from():
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    _, reply = played(
        added(search), {"type": "response.web_search_call.searching"}, done(search), text("a", 1), end()
    )
    kept = {"type": "web_search_call", "id": "ws_1", "origin": HERE}
    assert reply.message == Message.assistant(Reasoning("", kept), "a")


@pytest.mark.parametrize(
    ("details", "finish"),
    [
        ({"reason": "max_output_tokens"}, "length"),
        ({"reason": "content_filter"}, "content_filter"),
        (None, "length"),
    ],
)
def test_an_incomplete_answer_says_why(details, finish):
    _, reply = played(text("a"), end("incomplete", incomplete_details=details))
    assert reply.finish == finish
    assert reply.message == Message.assistant("a")


@pytest.mark.parametrize(
    "events",
    [
        [done(spoken("The sea."))],
        [added(spoken("", content=[])), text("The "), done(spoken("The sea."))],
        [text("The sea."), done(spoken("Another sea."))],
        [text("The sea.")],
        [],
    ],
    ids=["no deltas", "some deltas", "other deltas", "no items", "only the end"],
)
def test_what_was_shown_is_what_the_reply_says(events):
    last = end() if events else end(output=[spoken("The sea.")])
    pieces, reply = played(*events, last)
    assert "".join(piece.text for piece in pieces) == "The sea."
    assert reply.message == Message.assistant("The sea.")
    assert reply.chunks >= 1


def test_a_call_that_comes_whole_or_without_an_id_is_a_call_all_the_same():
    item = {"type": "function_call", "name": "f", "arguments": '{"x": 1}'}
    pieces, reply = played(done(item), end())
    (call,) = reply.message.tool_calls
    assert call.id.startswith("call_")
    assert pieces == [ToolCallPiece(0, call.id, "f", '{"x": 1}')]


def test_an_answer_in_one_object_is_read_as_one():
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    body = {"status": "completed", "model": "m", "output": [thought, spoken("a"), call], "usage": None}
    *pieces, reply = answer().whole(json.dumps(body).encode())
    assert pieces == [ReasoningPiece("hm"), TextPiece("a"), ToolCallPiece(0, "c1", "f", "{}")]
    assert reply.message == Message.assistant(
        Reasoning("hm", {"id": "rs_1", "raw": False}), "a", ToolCall("c1", "f")
    )
    assert (reply.finish, reply.chunks, reply.usage) == ("tool_calls", 1, Usage(calls=1))


FAILURES = [
    ({"type": "error", "code": "server_error", "message": "down"}, ModelUnavailable, "down"),
    ({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}, RateLimited, "slow"),
    (
        {"type": "error", "code": "context_length_exceeded", "message": "too long"},
        ContextOverflow,
        "too long",
    ),
    ({"type": "error", "code": "429", "message": "slow"}, RateLimited, "slow"),
    ({"type": "error", "code": None, "message": None}, ModelUnavailable, "no reason"),
    ({"type": "error", "error": {"type": "invalid_request_error", "message": "bad"}}, BadRequest, "bad"),
    ({"error": {"message": "a gateway's"}}, ModelUnavailable, "a gateway's"),
    ({"error": "plain words"}, ModelUnavailable, "plain words"),
    (end("failed", error={"code": "server_error", "message": "broke"}), ModelUnavailable, "broke"),
    (end("failed", error={"code": "rate_limit_exceeded", "message": "slow"}), RateLimited, "slow"),
    (end("failed", error={"code": "invalid_prompt", "message": "flagged"}), BadRequest, "flagged"),
    (end("failed", error={"code": "image_too_large", "message": "large"}), BadRequest, "large"),
    (end("failed", error=None), ModelUnavailable, "no reason"),
    (
        end("failed", error={"code": "server_error", "message": "key sk-secret-1"}),
        ModelUnavailable,
        r"\*\*\*",
    ),
    ({"type": "response.completed"}, BadResponse, "end that cannot be read"),
    ({"type": "response.completed", "response": None}, BadResponse, "end that cannot be read"),
    ({"type": "response.completed", "response": {"usage": "much"}}, BadResponse, "end that cannot be read"),
    ({"choices": []}, BadResponse, "without `type`; does it speak the Responses API"),
    ({"type": "response.output_text.delta", "delta": 7}, BadResponse, "cannot be read"),
    (delta("function_call_arguments", "{}", 3), BadResponse, "did not begin"),
    (added({"type": "function_call", "call_id": "c1"}, 1), BadResponse, "item that cannot be read"),
    (added({"no": "type"}, 1), BadResponse, "item that cannot be read"),
    (done(spoken("", content=["words"]), 1), BadResponse, "item that cannot be read"),
]


@pytest.mark.parametrize(
    ("event", "error", "words"), FAILURES, ids=[json.dumps(case[0])[:60] for case in FAILURES]
)
def test_each_bad_ending_is_an_error_of_ours_with_what_came_before(event, error, words):
    one = answer()
    with pytest.raises(error, match=words) as caught:
        one.feed(sse(text("The sea"), event))
    assert type(caught.value) is error
    assert "`m` at there" in str(caught.value)
    assert "sk-secret" not in str(caught.value)
    if error not in (RateLimited, BadRequest):
        assert caught.value.partial == "The sea"


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (sse(text("The sea")), ModelUnavailable, "ended its stream before"),
        (sse(text("The sea")) + b"data: [DONE]\n\n", ModelUnavailable, "ended its stream before"),
        (b"", ModelUnavailable, "ended its stream before"),
        (b"hello\n\n", BadResponse, "hold no event"),
        (sse(added({"type": "message", "content": "a"}), end()), BadResponse, "cannot be read"),
    ],
)
def test_an_end_before_the_end_is_an_error_of_ours(data, error, words):
    one = answer()
    with pytest.raises(error, match=words) as caught:
        one.feed(data)
        one.end()
    assert caught.value.partial == ("The sea" if b"The sea" in data else "")


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b"[]", BadResponse, "no JSON object"),
        (b"{", BadResponse, "cannot be read"),
        (b"{}", BadResponse, "without `output`"),
        (b'{"output": [{"type": "message", "content": null}]}', None, ""),
        (b'{"status": "failed", "error": {"code": "server_error", "message": "x"}}', ModelUnavailable, "x"),
        (b'{"error": {"message": "x"}}', ModelUnavailable, "x"),
        (b'{"output": [{"type": "function_call"}]}', BadResponse, "cannot be read"),
    ],
)
def test_one_object_that_is_no_answer_is_an_error_of_ours(body, error, words):
    if error is None:
        assert answer().whole(body)[-1].message == Message.assistant()
    else:
        with pytest.raises(error, match=words):
            answer().whole(body)
