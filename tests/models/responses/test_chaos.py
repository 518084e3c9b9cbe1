"""The decoder under broken streams: cut anywhere, split anywhere, with bytes or whole events changed."""

import itertools

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stretto.errors import BadResponse, ModelError, ModelUnavailable
from stretto.messages import Message, Reasoning, Refusal, ToolCall
from stretto.models.protocol import ReasoningPiece, TextPiece, ToolCallPiece
from stretto.models.responses.decode import ResponsesAnswer
from stretto.models.wire.failures import Secrets
from stretto.testing.completions import Completion
from stretto.testing.responses import event_of, events_of

SECRET = {"id": "rs_1", "encrypted_content": "gAAA"}
SAID = Message.assistant(
    Reasoning("Let me 思う.", {**SECRET, "origin": ""}),
    "Wide, grün and 🌊. e\u0301 👩\u200d👩\u200d👧",
    ToolCall("c1", "look", '{"at": "海"}'),
    ToolCall("c2", "look", "{}"),
    Refusal("No more."),
)
STREAM = b"".join(events_of(Completion(SAID, "stop", 3, 4, "m"), chunks=None))
EVENTS = [msgspec.json.decode(line[5:]) for line in STREAM.splitlines() if line.startswith(b"data:")]


def answer():
    return ResponsesAnswer("`m`", Secrets())


def joined(pieces):
    """Pieces with the text of one kind, and the calls, put together."""
    calls = {}
    for piece in pieces:
        if isinstance(piece, ToolCallPiece):
            before = calls.get(piece.index, ("", "", ""))
            calls[piece.index] = (before[0] + piece.id, before[1] + piece.name, before[2] + piece.arguments)
    return (
        "".join(piece.text for piece in pieces if isinstance(piece, ReasoningPiece)),
        "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)),
        calls,
    )


def test_a_stream_cut_at_any_byte_is_an_error_with_what_was_received():
    last = STREAM.rindex(b"event:")
    for at in range(1, len(STREAM)):
        found, pieces = answer(), []
        try:
            pieces = found.feed(STREAM[:at])
            reply = found.end()
        except (ModelUnavailable, BadResponse) as error:
            assert error.partial.startswith(joined(pieces)[1])
            assert SAID.text.startswith(error.partial)
        else:
            assert at > last, "whole only with its last event"
            assert reply.message == SAID


def test_a_stream_cut_inside_a_tool_call_is_told_from_one_cut_inside_a_text():
    kinds = []
    for words in ('"delta":" grün"', '"delta":"{\\"at\\":"'):
        at = STREAM.index(b"\n\n", STREAM.index(words.encode())) + 2
        found = answer()
        found.feed(STREAM[:at])
        with pytest.raises(ModelError) as caught:
            found.end()
        kinds.append(type(caught.value))
        assert SAID.text.startswith(caught.value.partial)
    assert kinds == [ModelUnavailable, BadResponse]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_reads_of_any_size_give_the_same_pieces(size):
    found, pieces = answer(), []
    for at in range(0, len(STREAM), size):
        pieces += found.feed(STREAM[at : at + size])
    assert joined(pieces) == joined(answer().feed(STREAM))
    assert found.end().message == SAID


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=12))
def test_reads_cut_anywhere_give_the_same_pieces(cuts):
    edges = [0, *sorted(set(cuts)), len(STREAM)]
    found, pieces = answer(), []
    for start, end in itertools.pairwise(edges):
        pieces += found.feed(STREAM[start:end])
    assert joined(pieces) == joined(answer().feed(STREAM))


def heard(stream):
    """What was shown, and the Reply that says it; None where an error of ours came."""
    found = answer()
    try:
        pieces = found.feed(stream)
        return joined(pieces), found.end()
    except ModelError as error:
        assert isinstance(error.partial, str)
        return None


@given(st.lists(st.tuples(st.integers(0, len(STREAM) - 1), st.binary(max_size=8)), min_size=1, max_size=4))
def test_damaged_bytes_raise_nothing_but_errors_of_ours(changes):
    stream = bytearray(STREAM)
    for at, data in changes:
        stream[at : at + len(data)] = data
    heard(bytes(stream))


@given(st.lists(st.integers(0, len(EVENTS) - 1), max_size=len(EVENTS)))
def test_events_that_are_missing_repeated_or_out_of_order_never_show_what_the_reply_does_not_say(order):
    found = heard(b"".join(event_of(EVENTS[index]) for index in [*order, len(EVENTS) - 1]))
    if found is not None:
        (_, text, calls), reply = found
        assert reply.message.text == text or sorted(reply.message.text) == sorted(text)
        said = [(call.id, call.name, call.arguments) for call in reply.message.tool_calls]
        assert sorted(calls.values()) == sorted(said)


odd = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def places(value, path=()):
    """The path of each field in an event."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in pairs:
        yield (*path, name)
        yield from places(inner, (*path, name))


FIELDS = [(index, path) for index, event in enumerate(EVENTS) for path in places(event)]


CALLED = next(field for field in FIELDS if field[1] == ("item", "call_id"))


@example([(CALLED, [None])])
@given(st.lists(st.tuples(st.sampled_from(FIELDS), odd), min_size=1, max_size=3))
def test_fields_of_another_shape_raise_nothing_but_errors_of_ours(changes):
    events = msgspec.json.decode(msgspec.json.encode(EVENTS))
    for (index, path), value in changes:
        place = events[index]
        try:
            for name in path[:-1]:
                place = place[name]
            place[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took this place away
    heard(b"".join(event_of(event) for event in events))
    whole = events[-1].get("response")
    try:
        answer().whole(msgspec.json.encode(whole))
    except ModelError as error:
        assert isinstance(error.partial, str)


@given(st.binary(max_size=60))
def test_any_bytes_as_an_answer_raise_nothing_but_errors_of_ours(data):
    with pytest.raises(ModelError):
        answer().whole(data)
    assert heard(data) is None
    assert heard(b"data: " + data + b"\n\n") is None
