"""The adapter for `openai` clients against a real server on 127.0.0.1."""

import asyncio

import openai
import pytest

from stretto.errors import BadRequest, BadResponse, ConfigError, ModelTimeout, ModelUnavailable, RateLimited
from stretto.messages import Message, ToolCall
from stretto.models.factory import Model
from stretto.models.protocol import Reply, TextPiece, complete
from stretto.settings import ModelSettings
from stretto.testing.chat_server import ChatServer, Fault
from stretto.testing.model_contract import ModelContract, contract_answer

ASK = [Message.user("Say something.")]
KEY = "sk-secret-key-0123456789"


class TestContract(ModelContract):
    cancel_within = 1.0

    @pytest.fixture
    async def model(self):
        async with (
            ChatServer(otherwise=contract_answer, pace=0.001) as server,
            openai.AsyncOpenAI(base_url=server.url, api_key=KEY) as client,
        ):
            yield Model("openai:scripted", client=client)


@pytest.fixture
async def opened():
    """A server that plays the turns, and a model that asks it through a client."""
    things = []

    async def open(*turns, **more):
        server = await ChatServer(*turns, **more).__aenter__()
        client = openai.AsyncOpenAI(base_url=server.url, api_key=KEY)
        things.append((server, client))
        return server, Model("openai:scripted", client=client)

    yield open
    for server, client in things:
        await client.close()
        await server.__aexit__()


async def test_the_request_is_what_our_own_wire_sends(opened):
    server, model = await opened(ToolCall("c1", "a", '{"x": 1}'))
    reply = await complete(model, ASK, settings=ModelSettings(max_tokens=50, seed=3))
    assert reply.message.tool_calls == (ToolCall("c1", "a", '{"x": 1}'),)
    assert server.served[0].body == {
        "model": "scripted",
        "messages": [{"role": "user", "content": "Say something."}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "seed": 3,
        "max_completion_tokens": 50,
    }


async def test_the_pieces_count_the_chunks(opened):
    _, model = await opened("one two three four", chunks=4)
    pieces = [piece async for piece in model.stream(ASK)]
    assert sum(piece.chunks for piece in pieces if isinstance(piece, TextPiece)) == 4
    assert isinstance(pieces[-1], Reply)
    assert pieces[-1].chunks == 4 + 3


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        (Fault("status", status=503), ModelUnavailable),
        (Fault("status", status=404), BadRequest),
        (Fault("html"), BadResponse),
        (Fault("cut", after=3), ModelUnavailable),
        (Fault("abort", after=3), ModelUnavailable),
        (Fault("malformed", after=3), BadResponse),
        (Fault("error", after=3), ModelUnavailable),
        (Fault("stall", after=3), ModelTimeout),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
async def test_each_failure_is_one_request_and_an_error_of_ours(opened, turn, expected):
    server, model = await opened(turn)
    with pytest.raises(expected) as caught:
        await complete(model, ASK, settings=ModelSettings(timeout=1.0))
    assert len(server.served) == 1
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or turn.kind == "malformed", "it would hold the headers"
    assert KEY not in str(caught.value) + repr(model)
    if turn.after:
        assert caught.value.partial == "These words come"


async def test_429_tells_how_long_to_wait(opened):
    server, model = await opened(Fault("status", status=429, headers={"Retry-After": "30"}))
    with pytest.raises(RateLimited) as caught:
        await complete(model, ASK)
    assert caught.value.retry_after == 30
    assert len(server.served) == 1


async def test_a_whole_answer_is_taken_too(opened):
    _, model = await opened(Fault("whole", answer="All at once."))
    assert (await complete(model, ASK)).message.text == "All at once."


async def test_leaving_early_closes_the_socket(opened):
    server, model = await opened(Fault("stall", after=2))
    stream = model.stream(ASK)
    await anext(stream)
    await stream.aclose()
    async with asyncio.timeout(1):
        await server.all_left()


async def test_a_refused_connection_says_so():
    client = openai.AsyncOpenAI(base_url="http://127.0.0.1:1/v1", api_key=KEY)
    with pytest.raises(ModelUnavailable, match="is it running"):
        await complete(Model("openai:x", client=client), ASK)
    await client.close()


async def test_an_azure_client_is_asked_at_its_deployment():
    async with ChatServer("Hello.") as server:
        client = openai.AsyncAzureOpenAI(
            azure_endpoint=server.url.removesuffix("/v1"), api_key=KEY, api_version="2024-10-21"
        )
        model = Model("azure:my-gpt", client=client)
        assert (await complete(model, ASK)).message.text == "Hello."
        assert server.served[0].path.startswith("/openai/deployments/my-gpt/chat/completions?api-version=")
        assert server.served[0].headers["api-key"] == KEY
        await client.close()


def test_a_synchronous_client_is_refused():
    with pytest.raises(ConfigError, match=r"openai\.AsyncOpenAI"):
        Model("openai:x", client=openai.OpenAI(api_key=KEY))


def test_something_else_than_a_client_is_refused():
    with pytest.raises(ConfigError, match="client= is str"):
        Model("openai:x", client="my client")


def test_a_client_for_a_local_model_is_refused():
    with pytest.raises(ConfigError, match="behind an endpoint"):
        Model("local:x", client=openai.AsyncOpenAI(api_key=KEY))


def test_a_client_and_an_address_are_refused_together():
    with pytest.raises(ConfigError, match="takes no argument `base_url`"):
        Model("openai:x", client=openai.AsyncOpenAI(api_key=KEY), base_url="http://127.0.0.1:1/v1")
