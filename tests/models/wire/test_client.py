"""`WireChat` against a real server on 127.0.0.1."""

import asyncio
import socket

import pytest

from stretto.errors import (
    BadRequest,
    BadResponse,
    ContextOverflow,
    ModelTimeout,
    ModelUnavailable,
    RateLimited,
)
from stretto.messages import Message, Reasoning, Refusal, ToolCall
from stretto.models.factory import Model
from stretto.models.protocol import OutputSchema, Reply, TextPiece, ToolSpec, complete
from stretto.settings import ModelSettings
from stretto.testing.chat_server import ChatServer, Fault
from stretto.testing.model_contract import ModelContract, contract_answer

ASK = [Message.user("Say something.")]
WORDS = "Wide, grün and 🌊 is the sea."


def model_at(server, **more):
    return Model("compatible:scripted", base_url=server.url, **more)


class TestContract(ModelContract):
    cancel_within = 1.0

    @pytest.fixture
    async def model(self):
        async with ChatServer(otherwise=contract_answer, pace=0.001) as server:
            model = model_at(server)
            yield model
            await model.close()


@pytest.fixture
async def asked():
    """Asks a server that plays the turns, and returns the pieces and the server."""
    opened = []

    async def ask(*turns, settings=None, model_options=None, **more):
        server = await ChatServer(*turns, **more).__aenter__()
        model = model_at(server, **(model_options or {}))
        opened.append((server, model))
        return [piece async for piece in model.stream(ASK, settings=settings)], server

    yield ask
    for server, model in opened:
        await model.close()
        await server.__aexit__()


async def test_a_burst_is_one_piece_that_counts_its_chunks(asked):
    pieces, _ = await asked(WORDS, chunks=12)
    texts = [piece for piece in pieces if isinstance(piece, TextPiece)]
    assert len(texts) == 1
    assert texts[0].chunks == 12
    assert pieces[-1].message == Message.assistant(WORDS)
    assert pieces[-1].chunks == 12 + 3, "the role, the end and the usage are chunks too"


async def test_a_paced_stream_comes_piece_by_piece(asked):
    pieces, _ = await asked(WORDS, chunks=5, pace=0.01)
    texts = [piece.text for piece in pieces if isinstance(piece, TextPiece)]
    assert len(texts) == 5
    assert "".join(texts) == WORDS


async def test_reasoning_refusal_and_calls_are_parts_of_the_reply(asked):
    said = Message.assistant(
        Reasoning("Let me see."), "I look.", ToolCall("c1", "a", '{"x": 1}'), ToolCall("c2", "b", "{}")
    )
    pieces, _ = await asked(said)
    assert pieces[-1].message == said
    assert pieces[-1].finish == "tool_calls"
    refused, _ = await asked(Message.assistant(Refusal("No.")))
    assert refused[-1].message == Message.assistant(Refusal("No."))


async def test_invalid_arguments_of_a_call_are_kept_as_they_came(asked):
    pieces, _ = await asked(ToolCall("c1", "a", '{"x": '))
    assert pieces[-1].message.tool_calls[0].arguments == '{"x": '


async def test_the_request_says_everything_that_was_asked():
    tool = ToolSpec("look", "Looks.", {"type": "object", "properties": {}})
    schema = OutputSchema("an answer", {"type": "object"})
    settings = ModelSettings(
        temperature=0.5,
        max_tokens=9,
        top_p=0.9,
        seed=3,
        stop=("END",),
        tool_choice="look",
        extra={"user": "u1"},
    )
    async with ChatServer("{}") as server:
        model = model_at(server, headers={"X-Team": "blue"}, api_key="key-123456")
        await complete(model, ASK, tools=[tool], schema=schema, settings=settings)
        await model.close()
        (served,) = server.served
    assert served.path == "/v1/chat/completions"
    assert served.headers["authorization"] == "Bearer key-123456"
    assert served.headers["x-team"] == "blue"
    assert served.body == {
        "model": "scripted",
        "messages": [{"role": "user", "content": "Say something."}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [
            {
                "type": "function",
                "function": {"name": "look", "description": "Looks.", "parameters": tool.parameters},
            },
        ],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "an_answer", "schema": {"type": "object"}, "strict": True},
        },
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "max_tokens": 9,
        "stop": ["END"],
        "user": "u1",
    }


async def test_a_field_set_to_none_is_left_out():
    async with ChatServer("Hello.") as server:
        model = model_at(server, settings=ModelSettings(extra={"stream_options": None}))
        reply = await complete(model, ASK)
        await model.close()
        assert "stream_options" not in server.served[0].body
    assert (reply.usage.calls, reply.usage.input_tokens) == (1, 0)


async def test_an_endpoint_that_does_not_stream_still_answers(asked):
    pieces, _ = await asked(Fault("whole", answer=WORDS))
    assert [type(piece) for piece in pieces] == [TextPiece, Reply]
    assert pieces[-1].message == Message.assistant(WORDS)
    assert pieces[-1].usage.output_tokens > 0


@pytest.mark.parametrize(
    ("turn", "expected", "words"),
    [
        (Fault("status", status=503), ModelUnavailable, "answered 503: out of order"),
        (Fault("status", status=500), ModelUnavailable, "answered 500"),
        (Fault("status", status=529), ModelUnavailable, "answered 529"),
        (Fault("status", status=404, message="no such model"), BadRequest, "404: no such model"),
        (Fault("status", status=403), BadRequest, "check the API key"),
        (Fault("status", status=422), BadRequest, "answered 422"),
        (Fault("status", status=408), ModelTimeout, "answered 408"),
        (
            Fault("status", status=307, headers={"Location": "https://x.example/"}),
            BadResponse,
            "final address",
        ),
        (
            Fault("status", status=400, message="the prompt exceeds the context window"),
            ContextOverflow,
            "context",
        ),
        (Fault("status", status=202), BadResponse, "answered 202"),
        (Fault("html"), BadResponse, "web page.*/v1"),
        (Fault("cut", after=3), ModelUnavailable, "ended its stream before"),
        (Fault("abort", after=3), ModelUnavailable, "connection broke"),
        (Fault("malformed", after=3), BadResponse, "cannot be read"),
        (Fault("shapeless", after=3), BadResponse, "without `choices`"),
        (Fault("error", after=3, message="overloaded"), ModelUnavailable, "overloaded"),
        (Fault("error", after=3, status=429, message="slow"), RateLimited, "slow"),
        (Fault("error", after=3, status=400, message="context window"), ContextOverflow, "context"),
    ],
    ids=lambda value: f"{value.kind} {value.status}" if isinstance(value, Fault) else None,
)
async def test_each_failure_is_an_error_of_ours(asked, turn, expected, words):
    with pytest.raises(expected, match=words) as caught:
        await asked(turn)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or turn.kind == "malformed", "it would hold the headers"
    assert "`compatible:scripted`" in str(caught.value)
    if turn.after and expected is not RateLimited:
        assert caught.value.partial == "These words come"
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "2"}, 2.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "90", "retry-after-ms": "150"}, 0.15),
        ({"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}, 0.0),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "nan"}, None),
    ],
)
async def test_429_tells_how_long_to_wait(asked, headers, expected):
    with pytest.raises(RateLimited) as caught:
        await asked(Fault("status", status=429, headers=headers))
    assert caught.value.retry_after == expected


async def test_a_stall_is_a_timeout_with_what_came_before_it(asked):
    with pytest.raises(ModelTimeout, match=r"within 0\.2 s") as caught:
        await asked(Fault("stall", after=2), settings=ModelSettings(timeout=0.2))
    assert caught.value.partial == "These words"


async def test_a_refused_connection_says_so():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        model = Model("compatible:x", base_url=f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        with pytest.raises(ModelUnavailable, match="is it running"):
            await complete(model, ASK)
        await model.close()


async def test_a_host_that_does_not_exist_says_so():
    model = Model("compatible:x", base_url="http://no-such-host.invalid/v1")
    with pytest.raises(ModelUnavailable, match="host name cannot be found"):
        await complete(model, ASK)
    await model.close()


async def test_tls_to_a_plain_server_says_so():
    async def answer(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        model = Model("compatible:x", base_url=f"https://127.0.0.1:{port}/v1")
        with pytest.raises(ModelUnavailable, match="secure connection failed"):
            await complete(model, ASK)
        await model.close()


async def test_an_answer_that_is_not_http_says_so():
    async def shout(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x00\x01 this is no HTTP at all\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(shout, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        model = Model("compatible:x", base_url=f"http://127.0.0.1:{port}/v1")
        with pytest.raises(BadResponse, match="not HTTP"):
            await complete(model, ASK)
        await model.close()


async def test_the_key_is_seen_nowhere(caplog):
    caplog.set_level(0)
    key = "sk-secret-key-0123456789"
    async with ChatServer("Hello.", api_key="another") as server:
        model = Model("compatible:x", base_url=server.url, api_key=key, headers={"X-Pass": "hunter2hunter2"})
        with pytest.raises(BadRequest, match="Incorrect API key provided: \\*\\*\\*") as caught:
            await complete(model, ASK)
        await model.close()
    assert caught.value.status == 401
    shown = repr(model) + str(model) + repr(caught.value) + caplog.text
    assert key not in shown
    assert "hunter2" not in shown


async def test_a_password_in_the_address_is_sent_and_never_shown():
    async with ChatServer(Fault("status", status=500, message="bad login user:pa%3Ass")) as server:
        model = Model("compatible:x", base_url=server.url.replace("//", "//user:pa%3Ass@"))
        with pytest.raises(ModelUnavailable) as caught:
            await complete(model, ASK)
        assert server.served[0].headers["authorization"].startswith("Basic ")
        await model.close()
    assert "pa%3Ass@" not in str(caught.value) + repr(model)


async def test_one_connection_serves_call_after_call():
    async with ChatServer(otherwise=contract_answer) as server:
        model = model_at(server)
        for _ in range(5):
            await complete(model, ASK)
        assert server.connections == 1
        await model.close()
        async with asyncio.timeout(2):
            await server.all_left()


@pytest.mark.parametrize("end", ["aclose", "cancel"])
async def test_leaving_early_closes_the_socket(end):
    async with ChatServer(Fault("stall", after=2)) as server:
        model = model_at(server)
        stream = model.stream(ASK)
        await anext(stream)
        if end == "aclose":
            await stream.aclose()
        else:
            task = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        async with asyncio.timeout(1):
            await server.all_left()
        assert server.left == 1
        await model.close()


async def test_no_more_connections_than_the_limit():
    async with ChatServer(otherwise=contract_answer, pace=0.001) as server:
        model = model_at(server, limit=2)
        await asyncio.gather(*(complete(model, ASK) for _ in range(6)))
        assert server.connections == 2
        await model.close()


def test_one_model_works_in_one_event_loop_after_another():
    async def serve_and_ask():
        async with ChatServer(WORDS, port=port) as server:
            reply = await complete(model, ASK)
            assert server.connections == 1
            return reply.message.text

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = Model("compatible:x", base_url=f"http://127.0.0.1:{port}/v1")
    assert [asyncio.run(serve_and_ask()) for _ in range(3)] == [WORDS] * 3
    assert len(model._sessions) == 0, "each session ended with its loop"
