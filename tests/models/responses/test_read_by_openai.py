"""The openai client as a third reader: of what our server says, and beside what our adapter makes of it."""

import json

import openai
import pytest

from stretto.messages import Image, Message, Reasoning, Refusal, ToolCall
from stretto.models.factory import Model
from stretto.models.protocol import complete
from stretto.testing.chat_server import ChatServer

WORDS = "Wide, grün and 🌊 is the sea."
PNG = "data:image/png;base64,iVBORw0KGgo="
SECRET = {"id": "rs_7", "encrypted_content": "gAAAAB"}


@pytest.fixture
async def read_by_openai():
    """What the openai client makes of the server's answer: its events, and the whole response."""

    async def read(turn):
        async with (
            ChatServer(turn, turn, turn) as server,
            openai.AsyncOpenAI(base_url=server.url, api_key="key-123456", max_retries=0) as client,
        ):
            stream = await client.responses.create(model="scripted", input="Say something.", stream=True)
            events = [event async for event in stream]
            async with client.responses.stream(model="scripted", input="Say something.") as helper:
                final = await helper.get_final_response()
            model = Model("compatible/responses:scripted", base_url=server.url)
            reply = await complete(model, [Message.user("Say something.")])
            await model.close()
            return events, final, reply

    return read


async def test_the_openai_client_reads_our_server_as_our_adapter_does(read_by_openai):
    turn = Message.assistant(Reasoning("Let me see.", SECRET), WORDS, ToolCall("c1", "a", '{"x": 1}'))
    events, final, reply = await read_by_openai(turn)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    for event in events:
        json.loads(event.model_dump_json(warnings="error"))  # a field of another type would be an error
        assert type(event).model_validate(event.to_dict(), strict=False)
    kinds = {event.type for event in events}
    assert kinds >= {
        "response.created",
        "response.output_item.added",
        "response.output_text.delta",
        "response.function_call_arguments.delta",
        "response.reasoning_summary_text.delta",
        "response.completed",
    }
    assert final.output_text == reply.message.text == WORDS
    thought, _, call = final.output
    assert (call.call_id, call.name, call.arguments) == ("c1", "a", '{"x": 1}')
    assert reply.message.tool_calls == (ToolCall("c1", "a", '{"x": 1}'),)
    assert thought.summary[0].text == reply.message.parts[0].text
    assert thought.encrypted_content == reply.message.parts[0].extra["encrypted_content"]
    assert (final.usage.input_tokens, final.usage.output_tokens) == (
        reply.usage.input_tokens,
        reply.usage.output_tokens,
    )
    deltas = [event.delta for event in events if event.type.endswith(".delta")]
    assert reply.chunks == len(deltas)


async def test_a_refusal_and_a_cut_answer_are_read_alike_too(read_by_openai):
    events, final, reply = await read_by_openai(Message.assistant(Refusal("I will not.")))
    assert final.output[0].content[0].refusal == reply.message.parts[0].text == "I will not."
    assert "response.refusal.delta" in {event.type for event in events}


async def test_what_the_openai_client_sends_our_server_reads():
    async with (
        ChatServer("Hello.") as server,
        openai.AsyncOpenAI(base_url=server.url, api_key="key-123456", max_retries=0) as client,
    ):
        content = [
            {"type": "input_text", "text": "Who?"},
            {"type": "input_image", "image_url": PNG, "detail": "low"},
        ]
        whole = await client.responses.create(
            model="scripted",
            instructions="Be kind.",
            input=[{"role": "user", "content": content}],
            max_output_tokens=50,
        )
        assert whole.output_text == "Hello."
        (request,) = server.requests
        assert request.messages == (
            Message.system("Be kind."),
            Message.user("Who?", Image(PNG, "image/png", detail="low")),
        )
        assert request.settings.max_tokens == 50
