"""The Responses half of `ChatServer`, as a client sees it that is none of ours."""

import asyncio
import json
import urllib.error
import urllib.request

import pytest

from stretto.errors import RateLimited
from stretto.messages import Message, ToolCall
from stretto.testing.chat_server import ChatServer


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read().decode()


async def ask(server, **body):
    return await asyncio.to_thread(post, f"{server.url}/responses", {"model": "m", **body})


def events(stream):
    return [json.loads(line[5:]) for line in stream.splitlines() if line.startswith("data:")]


async def test_a_stream_is_numbered_and_ends_with_the_whole_response():
    async with ChatServer("one two three", chunks=2) as server:
        stream = await ask(server, input="Count.", stream=True)
    found = events(stream)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert found[0]["type"] == "response.created"
    assert [e["delta"] for e in found if e["type"] == "response.output_text.delta"] == ["one two", " three"]
    assert found[-1]["type"] == "response.completed"
    assert found[-1]["response"]["output"][0]["content"][0]["text"] == "one two three"


async def test_an_answer_that_is_cut_is_incomplete_and_says_why():
    async with ChatServer("one two three") as server:
        whole = json.loads(await ask(server, input="Count.", max_output_tokens=2))
    assert whole["status"] == "incomplete"
    assert whole["incomplete_details"] == {"reason": "max_output_tokens"}
    assert whole["usage"]["output_tokens"] == 2


async def test_it_keeps_what_it_was_asked():
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}
    choice = {"type": "function", "name": "f"}
    schema = {"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": True}
    async with ChatServer(ToolCall("c1", "f")) as server:
        said = {"instructions": "Be kind.", "input": "Go.", "text": {"format": schema}}
        await ask(server, **said, tools=[tool, {"type": "web_search"}], tool_choice=choice)
        (request,) = server.requests
    assert request.messages == (Message.system("Be kind."), Message.user("Go."))
    assert [one.name for one in request.tools] == ["f"]
    assert request.settings.tool_choice == "f"
    assert (request.schema.name, request.schema.strict) == ("s", True)


@pytest.mark.parametrize(
    ("turns", "body", "status"),
    [
        (["a"], {"input": [{"type": "function_call"}]}, 400),
        (["a"], {}, 400),
        (["a"], {"input": "word " * 9000}, 400),
        ([], {"input": "a"}, 500),
        ([RateLimited("slow", retry_after=2)], {"input": "a"}, 429),
    ],
    ids=["a malformed item", "no input", "over the context", "no turn left", "an error as a turn"],
)
async def test_what_cannot_be_answered_is_refused(turns, body, status):
    async with ChatServer(*turns) as server:
        with pytest.raises(urllib.error.HTTPError, match=str(status)):
            await ask(server, **body)
