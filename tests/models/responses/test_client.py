"""`ResponsesChat` against a real server on 127.0.0.1."""

import asyncio

import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming

from stretto import Agent, tool
from stretto.errors import (
    BadRequest,
    BadResponse,
    ConfigError,
    ContextOverflow,
    ModelTimeout,
    ModelUnavailable,
    RateLimited,
)
from stretto.messages import Image, Message, Reasoning, Refusal, ToolCall, ToolResult
from stretto.models.factory import Model
from stretto.models.pool import Member, Pool
from stretto.models.protocol import OutputSchema, Reply, RetractPiece, TextPiece, ToolSpec, complete
from stretto.settings import ModelSettings
from stretto.testing.chat_server import ChatServer, Fault
from stretto.testing.model_contract import ModelContract, contract_answer

ASK = [Message.user("Say something.")]
WORDS = "Wide, grün and 🌊 is the sea."
PNG = "data:image/png;base64,iVBORw0KGgo="
SECRET = {"id": "rs_7", "encrypted_content": "gAAAAB"}


def model_at(server, name="scripted", **more):
    return Model(f"compatible/responses:{name}", base_url=server.url, **more)


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

    async def ask(*turns, settings=None, **more):
        server = await ChatServer(*turns, **more).__aenter__()
        model = model_at(server)
        opened.append((server, model))
        return [piece async for piece in model.stream(ASK, settings=settings)], server

    yield ask
    for server, model in opened:
        await model.close()
        await server.__aexit__()


async def test_a_burst_is_one_piece_that_counts_its_events(asked):
    pieces, _ = await asked(WORDS, chunks=12)
    assert pieces[0] == TextPiece(WORDS, 12)
    assert pieces[-1].message == Message.assistant(WORDS)
    assert pieces[-1].chunks == 12, "events without content do not count"


async def test_reasoning_refusal_and_calls_are_parts_of_the_reply(asked):
    calls = (ToolCall("c1", "a", '{"x": 1}'), ToolCall("c2", "b", "{}"))
    pieces, server = await asked(Message.assistant(Reasoning("Let me see.", SECRET), "I look.", *calls))
    kept = Reasoning("Let me see.", {**SECRET, "origin": server.url})
    assert pieces[-1].message == Message.assistant(kept, "I look.", *calls)
    assert pieces[-1].finish == "tool_calls"
    refused, _ = await asked(Message.assistant(Refusal("No.")))
    assert refused[-1].message == Message.assistant(Refusal("No."))


async def test_reasoning_goes_back_to_the_endpoint_that_made_it_and_to_no_other():
    turns = (Message.assistant(Reasoning("Hm.", SECRET), ToolCall("c1", "look")), "Sunny.")
    async with ChatServer(*turns) as server, ChatServer("Rain.") as other:
        model, stranger = model_at(server), model_at(other)
        history = [*ASK, (await complete(model, ASK)).message, Message.tool(ToolResult("c1", "sun"))]
        await complete(model, history)
        await complete(stranger, history)
        await model.close()
        await stranger.close()
        call = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
        said = {"type": "function_call_output", "call_id": "c1", "output": "sun"}
        thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], **SECRET}
        question = {"role": "user", "content": "Say something."}
        assert server.served[1].body["input"] == [question, thought, call, said]
        assert other.served[0].body["input"] == [question, call, said]


LOOK = ToolSpec("look", "Looks.", {"type": "object", "properties": {}})
EVERYTHING = ModelSettings(
    temperature=0.5,
    max_tokens=9,
    top_p=0.9,
    seed=3,
    tool_choice="look",
    extra={
        "user": "u1",
        "text": {"verbosity": "low"},
        "tools": [{"type": "web_search"}],
        "reasoning": {"effort": "low"},
    },
)


async def asked_everything(name="scripted", settings=EVERYTHING, messages=ASK):
    async with ChatServer("{}") as server:
        model = model_at(server, name, headers={"X-Team": "blue"}, api_key="key-123456")
        schema = OutputSchema("an answer", {"type": "object"})
        await complete(model, messages, tools=[LOOK], schema=schema, settings=settings)
        await model.close()
        return server.served[0]


async def test_the_request_says_everything_that_was_asked():
    served = await asked_everything(messages=[Message.system("Be kind."), *ASK])
    assert served.path == "/v1/responses"
    assert served.headers["authorization"] == "Bearer key-123456"
    assert served.headers["x-team"] == "blue"
    assert served.body == {
        "model": "scripted",
        "instructions": "Be kind.",
        "input": [{"role": "user", "content": "Say something."}],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "tools": [
            {
                "type": "function",
                "name": "look",
                "description": "Looks.",
                "parameters": LOOK.parameters,
                "strict": False,
            },
            {"type": "web_search"},
        ],
        "tool_choice": {"type": "function", "name": "look"},
        "text": {
            "format": {
                "type": "json_schema",
                "name": "an_answer",
                "schema": {"type": "object"},
                "strict": True,
            },
            "verbosity": "low",
        },
        "reasoning": {"effort": "low"},
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 9,
        "user": "u1",
    }


async def test_the_openai_package_takes_the_request(openai_takes):
    call = ToolCall("c1", "look")
    history = [
        Message.system("Be kind."),
        Message.user("What is this?", Image(PNG)),
        Message.assistant(Reasoning("Hm.", SECRET), "I look.", call),
        Message.tool(ToolResult("c1", ("A map.", Image(PNG)))),
        Message.user("So?"),
    ]
    served = await asked_everything("gpt-5", messages=history)
    taken = openai_takes(ResponseCreateParamsStreaming, served.body)
    assert taken == served.body, "it knows every field"
    with pytest.raises(ValueError, match="tools"):
        openai_takes(ResponseCreateParamsStreaming, {**served.body, "tools": [{"type": "function"}]})


@pytest.mark.parametrize(
    ("name", "asks"),
    [
        ("gpt-5-mini", True),
        ("o3", True),
        ("vendor/gpt-5.2-codex", True),
        ("gpt-5-chat-latest", False),
        ("gpt-4o", False),
        ("scripted", False),
    ],
)
async def test_encrypted_reasoning_is_asked_of_models_that_reason(name, asks):
    served = await asked_everything(name, ModelSettings())
    assert ("include" in served.body) is asks


async def test_a_field_set_to_none_is_left_out():
    served = await asked_everything("gpt-5", ModelSettings(extra={"include": None, "store": True}))
    assert "include" not in served.body
    assert served.body["store"] is True


async def test_a_stop_text_is_refused_because_the_api_has_none(asked):
    with pytest.raises(ConfigError, match=r"no stop texts.*without `/responses`"):
        await asked("a", settings=ModelSettings(stop=("END",)))


# ---- bad endings


@pytest.mark.parametrize(
    ("turn", "expected", "words"),
    [
        (Fault("status", status=503), ModelUnavailable, "answered 503: out of order"),
        (Fault("status", status=404, message="no such model"), BadRequest, "404: no such model"),
        (Fault("status", status=401), BadRequest, "check the API key"),
        (Fault("status", status=429, headers={"Retry-After": "2"}), RateLimited, "429"),
        (Fault("status", status=400, message="exceeds the context window"), ContextOverflow, "context"),
        (Fault("html"), BadResponse, "web page.*/v1"),
        (Fault("cut", after=3), ModelUnavailable, "ended its stream before"),
        (Fault("abort", after=3), ModelUnavailable, "connection broke"),
        (Fault("malformed", after=3), BadResponse, "cannot be read"),
        (Fault("shapeless", after=3), BadResponse, "without `type`"),
        (Fault("error", after=3, message="overloaded"), ModelUnavailable, "overloaded"),
        (Fault("error", after=3, status=429, message="slow"), RateLimited, "slow"),
        (Fault("error", after=3, status=400, message="context window"), ContextOverflow, "context"),
    ],
    ids=lambda value: f"{value.kind} {value.status}" if isinstance(value, Fault) else None,
)
async def test_each_failure_is_an_error_of_ours(asked, turn, expected, words):
    with pytest.raises(expected, match=words) as caught:
        await asked(turn)
    assert "`compatible/responses:scripted`" in str(caught.value)
    if turn.after and expected is not RateLimited:
        assert caught.value.partial == "These words come"
    assert type(caught.value) is expected


async def test_a_stall_is_a_timeout_with_what_came_before_it(asked):
    with pytest.raises(ModelTimeout) as caught:
        await asked(Fault("stall", after=2), settings=ModelSettings(timeout=0.2))
    assert caught.value.partial == "These words"


async def test_an_endpoint_that_does_not_stream_still_answers(asked):
    pieces, _ = await asked(Fault("whole", answer=WORDS))
    assert [type(piece) for piece in pieces] == [TextPiece, Reply]
    assert pieces[-1].message == Message.assistant(WORDS)
    assert pieces[-1].usage.output_tokens > 0


async def test_leaving_early_closes_the_socket():
    async with ChatServer(Fault("stall", after=3)) as server:
        model = model_at(server)
        stream = model.stream(ASK)
        await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(1):
            await server.all_left()
        assert server.left == 1
        await model.close()


async def test_one_connection_serves_call_after_call():
    async with ChatServer(otherwise=contract_answer) as server:
        model = model_at(server)
        for _ in range(5):
            await complete(model, ASK)
        assert server.connections == 1
        await model.close()


# ---- names and addresses


async def test_the_name_says_which_api_it_speaks():
    model = Model("openai/responses:gpt-4o-audio-preview", api_key="key-123456")
    assert model.name == "openai/responses:gpt-4o-audio-preview"
    assert not model.capabilities.audio, "this API takes no recordings"
    assert "key-123456" not in repr(model)
    assert repr(model).startswith("ResponsesChat(`openai/responses:")


async def test_azure_is_asked_at_its_v1_address_even_where_a_version_is_set(monkeypatch):
    async with ChatServer("Hello.", api_key="key-123456") as server:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", server.url.removesuffix("/v1"))
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "key-123456")
        monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
        model = Model("azure/responses:my-deployment")
        assert (await complete(model, ASK)).message.text == "Hello."
        await model.close()
        assert server.served[0].path == "/openai/v1/responses"
        assert server.served[0].headers["api-key"] == "key-123456"


# ---- in company


async def test_an_agent_gives_a_reasoning_model_its_reasoning_back():
    @tool
    def look(city: str) -> str:
        """Looks at the weather.

        Args:
            city: where.
        """
        return f"Sun in {city}."

    thought = Message.assistant(Reasoning("Look first.", SECRET), ToolCall("c1", "look", '{"city": "Oslo"}'))
    async with ChatServer(thought, "Sunny.", "Still sunny.") as server:
        async with Agent(model=model_at(server), tools=[look]) as agent:
            assert (await agent.run("The weather?", thread_id="t1")).output == "Sunny."
            assert (await agent.run("And now?", thread_id="t1")).output == "Still sunny."
        for served in server.served[1:]:
            kinds = [item.get("type", item.get("role")) for item in served.body["input"]]
            assert kinds[:4] == ["user", "reasoning", "function_call", "function_call_output"]
            assert served.body["input"][1]["encrypted_content"] == SECRET["encrypted_content"]
        assert kinds[4:] == ["assistant", "user"]


async def test_a_pool_goes_on_from_the_responses_api_to_chat_completions():
    history = [*ASK, Message.assistant(Reasoning("Hm.", SECRET), ToolCall("c1", "look"))]
    history.append(Message.tool(ToolResult("c1", "sun")))
    async with ChatServer(Fault("abort", after=3)) as dies, ChatServer("Sunny.") as lives:
        second = Model("compatible:scripted", base_url=lives.url)
        pool = Pool([model_at(dies), Member(second, tier=1)])
        pieces = [piece async for piece in pool.stream(history)]
        await pool.close()
        shown = ""
        for piece in pieces:
            if isinstance(piece, RetractPiece):
                shown = shown[: len(shown) - piece.length]
            elif isinstance(piece, TextPiece):
                shown += piece.text
        assert shown == pieces[-1].message.text == "Sunny."
        assert len(dies.requests) == len(lives.requests) == 1
