"""Every row of docs/endings.md, over a real server: the wire, the Responses API, and `openai` clients."""

import asyncio
import re
from pathlib import Path

import openai
import pytest

from stretto.errors import BadResponse, ModelError, ModelTimeout, ModelUnavailable, RateLimited
from stretto.messages import Message, ToolCall
from stretto.models.factory import Model
from stretto.models.protocol import Reply, TextPiece
from stretto.settings import ModelSettings
from stretto.testing import ROWS, Fault, FaultyServer
from stretto.testing.faults import CALL, SCRIPTS

ASK = [Message.user("Say something.")]
ANSWER = "One two three four five."
PARTIAL = "One two three"
PATIENT = ModelSettings(first_token=20.0, idle=20.0, timeout=30.0)
SHORT = {
    "first_token": ModelSettings(first_token=0.25, idle=20.0),
    "idle": ModelSettings(first_token=20.0, idle=0.25),
}
DOCS = Path(__file__).parents[2] / "docs" / "endings.md"


def called(arguments):
    return Message.assistant(ToolCall("c1", "forecast", arguments))


ENDINGS = {
    "refused": (ModelUnavailable, "", None),
    "dns": (ModelUnavailable, "", None),
    "tls": (ModelUnavailable, "", None),
    "stall_at_headers": (ModelTimeout, "", "first_token"),
    "hangup": (ModelUnavailable, "", None),
    "stall_mid_stream": (ModelTimeout, PARTIAL, "idle"),
    "keepalive_only": (ModelTimeout, "", "first_token"),
    "keepalive_mid_stream": (ModelTimeout, PARTIAL, "idle"),
    "empty_deltas": (ModelTimeout, PARTIAL, "idle"),
    "eof": (ModelUnavailable, PARTIAL, None),
    "abrupt_close": (ModelUnavailable, PARTIAL, None),
    "reset": (ModelUnavailable, PARTIAL, None),
    "malformed_chunk": (BadResponse, PARTIAL, None),
    "wrong_shape": (BadResponse, PARTIAL, None),
    "chunk_without_choices": (BadResponse, PARTIAL, None),
    "error_event": (ModelUnavailable, PARTIAL, None),
    "html": (BadResponse, "", None),
    "no_choices": (BadResponse, "", None),
    "whole": Message.assistant(ANSWER),
    "utf8_split": Message.assistant(SCRIPTS),
    "tool_call_cut": (BadResponse, "", None),
    "tool_call_broken_off": (BadResponse, "", None),
    "tool_call_half": called('{"city": "Paris", "da'),
    "tool_call_invalid": called("Paris, three days"),
    "429": (RateLimited, "", None),
    "429_after_0": (RateLimited, "", 0.0),
    "429_after_2": (RateLimited, "", 2.0),
    "429_after_30": (RateLimited, "", 30.0),
    "429_after_90": (RateLimited, "", 90.0),
    "429_after_date": (RateLimited, "", pytest.approx(29.5, abs=1.0)),
    "429_after_rubbish": (RateLimited, "", None),
    "down": (ModelUnavailable, "", None),
    "slow": Message.assistant(ANSWER),
}
"""The message that comes all the same, or the error, its `partial`, and its `deadline` or `retry_after`."""


@pytest.fixture(params=["wire", "responses", "client"])
async def ask(request):
    """Asks a server through the wire, the Responses API or a client, and returns the last Reply."""
    closing = []

    async def ask(server, *, settings=PATIENT, messages=ASK, **options):
        if request.param != "client":
            name = "compatible:m" if request.param == "wire" else "compatible/responses:m"
            model = Model(name, base_url=server.url, settings=settings, **options)
            closing.append(model.close)
        else:
            client = openai.AsyncOpenAI(base_url=server.url, api_key="key-0123456789")
            model = Model("compatible:m", client=client, settings=settings, **options)
            closing.append(client.close)
        pieces = [piece async for piece in model.stream(messages)]
        assert isinstance(pieces[-1], Reply)
        shown = "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))
        assert shown == pieces[-1].message.text
        return pieces[-1]

    ask.close = lambda: asyncio.gather(*(close() for close in closing))
    yield ask
    await ask.close()


@pytest.mark.parametrize("row", ENDINGS)
async def test_each_row_ends_as_the_table_says(ask, row):
    expected = ENDINGS[row]
    async with FaultyServer(otherwise=lambda request: ANSWER, faults=row, first_token=lambda: 0.01) as server:
        if isinstance(expected, Message):
            found = (await ask(server)).message
            calls = tuple(ToolCall("c1", call.name, call.arguments) for call in found.tool_calls)
            assert (found.text, calls) == (expected.text, expected.tool_calls)
            assert all(call.id for call in found.tool_calls)
        else:
            kind, partial, more = expected
            with pytest.raises(ModelError) as caught:
                await ask(server, settings=SHORT.get(str(more), PATIENT))
            error = caught.value
            assert type(error) is kind
            assert error.partial == partial
            assert re.search("`compatible(/responses)?:m`", str(error))
            assert error.__cause__ is None
            if kind is ModelTimeout:
                assert error.deadline == more
                async with asyncio.timeout(1):
                    await server.all_left()
                assert server.left == 1, "the endpoint saw it go"
            if kind is RateLimited:
                assert error.retry_after == more
        await ask.close()
        async with asyncio.timeout(1):
            await server.all_left()
        assert len(server.requests) == (0 if row in ("refused", "dns", "tls") else 1), "asked once"


def table():
    """The rows of the docs' table: name, and the error or outcome."""
    return dict(re.findall(r"^\| `(\w+)` \| .+? \| (.+?) \| .+? \|$", DOCS.read_text(), re.M))


def test_the_docs_the_server_and_these_tests_have_the_same_rows():
    assert list(table()) == list(ROWS) == list(ENDINGS)


@pytest.mark.parametrize("row", ENDINGS)
def test_the_docs_name_the_error_that_comes(row):
    expected, cell = ENDINGS[row], table()[row]
    if isinstance(expected, Message):
        assert "Error" not in cell
        assert cell.startswith("the ")
    else:
        kind, partial, more = expected
        assert cell.startswith(f"`{kind.__name__}`")
        assert ("`partial`" in cell) == bool(partial)
        assert kind is not ModelTimeout or f", `{more}`" in cell
        if kind is RateLimited and row != "429_after_date":
            assert cell.endswith("`retry_after` is None" if more is None else f"`retry_after` is {more:g}")


@pytest.mark.parametrize("kind", ["silent", "stall", "pings", "empty"])
async def test_without_the_other_two_the_whole_call_has_its_deadline(ask, kind):
    async with FaultyServer(ANSWER, faults=Fault(kind, after=3)) as server:
        with pytest.raises(ModelTimeout, match=r"did not finish within 0\.2 s") as caught:
            await ask(server, settings=ModelSettings(timeout=0.2))
        assert caught.value.deadline == "total"
        assert caught.value.partial == ("" if kind == "silent" else PARTIAL)
        async with asyncio.timeout(1):
            await server.all_left()
        assert server.left == 1


async def test_content_that_keeps_coming_is_not_idle(ask):
    async with FaultyServer(" ".join("word" for _ in range(12)), pace=0.1) as server:
        reply = await ask(server, settings=ModelSettings(idle=1.0))
    assert reply.message.text.count("word") == 12


@pytest.mark.parametrize("said", [Message.assistant("One."), called(CALL)])
@pytest.mark.parametrize("kind", ["abort", "stall", "pings"])
async def test_an_answer_that_said_why_it_ends_is_whole_whatever_follows(ask, said, kind):
    """The end is there, the usage and the end of the stream are not."""
    after = {"One.": 2}.get(said.text, 6)
    async with FaultyServer(said, faults=Fault(kind, after=after)) as server:
        reply = await ask(server, settings=SHORT["idle"])
    assert reply.message == said
    assert reply.finish == ("stop" if said.text else "tool_calls")
    assert reply.usage.calls == 1


async def test_a_slow_reader_is_not_a_slow_endpoint(clock):
    async with FaultyServer(ANSWER, pace=0.01) as server:
        model = Model("compatible:m", base_url=server.url, settings=ModelSettings(idle=5.0, first_token=5.0))
        texts = []
        async for piece in model.stream(ASK):
            if isinstance(piece, TextPiece):
                texts.append(piece.text)
                await clock.forward(6.0)
        await model.close()
    assert "".join(texts) == ANSWER


async def test_prefill_goes_on_behind_what_was_received(ask):
    async with FaultyServer(
        otherwise=lambda request: ANSWER, faults=["abrupt_close"], prefill=True
    ) as server:
        with pytest.raises(ModelUnavailable) as caught:
            await ask(server)
        reply = await ask(server, messages=[*ASK, Message.assistant(caught.value.partial)])
    assert caught.value.partial + reply.message.text == ANSWER


LIMITS = {
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-reset-tokens": "6m0s",
}


async def test_what_is_left_of_the_limits_comes_with_the_reply(ask):
    async with FaultyServer(ANSWER, "Again.", headers=LIMITS, faults=["whole"]) as server:
        for _ in range(2):
            headroom = (await ask(server)).headroom
            assert (headroom.requests, headroom.tokens) == (59, 149984)
            assert (headroom.requests_reset, headroom.tokens_reset) == (1.0, 360.0)
        server.headers = {}
        server.faults = Fault("status", status=429, headers={**LIMITS, "Retry-After": "1"})
        with pytest.raises(RateLimited) as caught:
            await ask(server)
    assert caught.value.headroom.requests == 59


async def test_where_nothing_is_said_of_limits_there_is_no_headroom(ask):
    async with FaultyServer(ANSWER) as server:
        assert (await ask(server)).headroom is None
