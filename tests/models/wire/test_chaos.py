"""The decoder under broken streams: cut anywhere, split anywhere, with bytes changed."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.errors import BadResponse, ModelError, ModelUnavailable
from stretto.messages import Message, Reasoning, ToolCall
from stretto.models.protocol import ReasoningPiece, TextPiece, ToolCallPiece
from stretto.models.wire.decode import Answer
from stretto.models.wire.failures import Secrets
from stretto.testing.completions import Completion, events_of

SAID = Message.assistant(
    Reasoning("Let me 思う."),
    "Wide, grün and 🌊. e\u0301 👩\u200d👩\u200d👧",
    ToolCall("c1", "look", '{"at": "海"}'),
    ToolCall("c2", "look", "{}"),
)
TEXT_ONLY = Message.assistant(SAID.text)


def stream_of(message):
    return b"".join(events_of(Completion(message, "stop", 3, 4, "m"), chunks=None, usage=True))


def answer():
    return Answer("`m`", Secrets())


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
        sum(piece.chunks for piece in pieces if isinstance(piece, TextPiece)),
    )


@pytest.mark.parametrize("said", [SAID, TEXT_ONLY], ids=["calls", "text"])
def test_a_stream_cut_at_any_byte_is_the_whole_answer_or_an_error_with_what_was_received(said):
    stream = stream_of(said)
    whole = 0
    for at in range(1, len(stream)):
        found, pieces = answer(), []
        pieces += found.feed(stream[:at])
        shown = joined(pieces)[1]
        try:
            reply = found.end()
        except (ModelUnavailable, BadResponse) as error:
            # a cut last line may be broken JSON, or hold one more chunk than the lines before it
            assert error.partial.startswith(shown)
            assert said.text.startswith(error.partial)
        else:
            whole += 1
            assert reply.message == said
    assert 0 < whole < len(stream) / 4, "whole from the chunk on that says why it ends"


def test_a_stream_cut_inside_a_tool_call_is_told_from_one_cut_inside_a_text():
    kinds = []
    for end in ('"content":"🌊.', '"arguments":"{\\"at\\":'):
        stream = stream_of(Message.assistant("🌊.", ToolCall("c1", "look", '{"at": "海"}')))
        at = stream.index(b"\n\n", stream.index(end.encode())) + 2
        found = answer()
        found.feed(stream[:at])
        with pytest.raises(ModelError) as caught:
            found.end()
        kinds.append(type(caught.value))
        assert caught.value.partial == "🌊."
    assert kinds == [ModelUnavailable, BadResponse]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_reads_of_any_size_give_the_same_pieces(size):
    stream = stream_of(SAID)
    found, pieces = answer(), []
    for at in range(0, len(stream), size):
        pieces += found.feed(stream[at : at + size])
    assert joined(pieces) == joined(answer().feed(stream))
    assert found.end().message == SAID


@given(st.lists(st.integers(1, len(stream_of(SAID)) - 1), max_size=12))
def test_reads_cut_anywhere_give_the_same_pieces(cuts):
    stream = stream_of(SAID)
    edges = [0, *sorted(set(cuts)), len(stream)]
    found, pieces = answer(), []
    for start, end in itertools.pairwise(edges):
        pieces += found.feed(stream[start:end])
    assert joined(pieces) == joined(answer().feed(stream))


PLACES = st.integers(0, len(stream_of(SAID)) - 1)


@given(st.lists(st.tuples(PLACES, st.binary(max_size=8)), min_size=1, max_size=4))
def test_damaged_bytes_raise_nothing_but_errors_of_ours(changes):
    stream = bytearray(stream_of(SAID))
    for at, data in changes:
        stream[at : at + len(data)] = data
    found = answer()
    try:
        found.feed(bytes(stream))
        found.end()
    except ModelError as error:
        assert isinstance(error.partial, str)


@given(st.binary(max_size=60))
def test_any_bytes_as_an_answer_raise_nothing_but_errors_of_ours(data):
    with pytest.raises(ModelError):
        answer().whole(data)
    for body in (data, b"data: " + data + b"\n\n"):
        found = answer()
        with pytest.raises(ModelError):
            found.feed(body)
            found.end()
