"""A probe asks for real, and what fails in one check leaves the others standing."""

import io
import socket
from typing import Any

import pytest
from PIL import Image as Pillow

from stretto.errors import BadRequest
from stretto.messages import ToolCall
from stretto.models import Model, embedder
from stretto.models.probe import CheckName, Probe, picture, probe, probe_embedder
from stretto.testing import ChatServer, Fault, HashingEmbedder, Request, ScriptedModel

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"


def able(request: Request) -> Any:
    """An endpoint that can do everything."""
    if request.tools:
        return ToolCall("", request.tools[0].name, '{"city": "Paris"}')
    if request.schema is not None:
        return '{"greeting": "Hello", "letters": 5}'
    if any(message.media for message in request.messages):
        return "Green, yellow."
    return LONG


def plain(request: Request) -> Any:
    """One that ignores what it cannot do, and answers in words."""
    return LONG


def refusing(request: Request) -> Any:
    """One that says what it cannot do."""
    if request.tools:
        return BadRequest("this model does not support tools")
    if request.schema is not None:
        return Fault("status", status=500, message="grammar failed")
    if any(message.media for message in request.messages):
        return BadRequest("image input is not supported")
    return LONG


async def probed(server: ChatServer, **options: Any) -> Probe:
    model = Model("compatible:x", base_url=server.url, **options)
    try:
        return await probe(model, timeout=5)
    finally:
        await model.close()


async def test_an_able_endpoint_shows_all_it_can_and_how_fast() -> None:
    async with ChatServer(otherwise=able, pace=0.005) as server:
        found = await probed(server)
    assert (found.name, found.kind, found.reached, found.failed) == ("compatible:x", "chat", True, {})
    assert (found.tools, found.vision, found.json_schema) == (True, True, True)
    assert found.first_token is not None and 0 < found.first_token < found.seconds
    assert found.tokens_per_second is not None and 10 < found.tokens_per_second < 200  # 5 ms a token
    assert (found.context, found.context_told) == (8192, False)


async def test_an_answer_in_one_piece_has_no_rate() -> None:
    async with ChatServer(otherwise=able) as server:
        found = await probed(server)
    assert found.first_token is not None
    assert found.tokens_per_second is None


async def test_an_endpoint_that_ignores_what_it_cannot_is_found_out() -> None:
    async with ChatServer(otherwise=plain) as server:
        found = await probed(server)
    assert found.reached
    assert (found.tools, found.vision, found.json_schema) == (False, False, False)
    assert found.failed["tools"].startswith("it answered without calling the tool: `one two")
    assert found.failed["vision"].startswith("it does not see")
    assert found.failed["json_schema"].startswith("the answer does not fit `Greeting`")


async def test_a_check_that_fails_leaves_the_others_standing() -> None:
    async with ChatServer(otherwise=refusing) as server:
        found = await probed(server)
    assert found.reached and found.first_token is not None
    assert "does not support tools" in found.failed["tools"]
    assert "image input is not supported" in found.failed["vision"]
    assert "answered 500: grammar failed" in found.failed["json_schema"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [('{"town": "Paris"}', "its arguments do not fit the tool"), ("{", "its arguments do not fit the tool")],
)
async def test_a_tool_call_that_does_not_fit_is_none(arguments: str, told: str) -> None:
    model = ScriptedModel(
        otherwise=lambda request: ToolCall("", "weather", arguments) if request.tools else "x"
    )
    found = await probe(model, timeout=5)
    assert found.tools is False and told in found.failed["tools"]


async def test_nobody_there_is_told_and_nothing_else_is_tried() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    model = Model("compatible:x", base_url=f"http://127.0.0.1:{port}/v1")
    told: list[CheckName] = []
    found = await probe(model, timeout=5, tell=told.append)
    await model.close()
    assert (found.reached, found.tools, found.context, told) == (False, None, None, ["answer"])
    assert "cannot be reached" in found.failed["answer"]


async def test_a_wrong_key_is_told_without_showing_it() -> None:
    async with ChatServer(otherwise=able, api_key="right") as server:
        found = await probed(server, api_key="a-wrong-key")
    assert not found.reached
    assert "check the API key" in found.failed["answer"]
    assert "a-wrong-key" not in str(found)


async def test_an_endpoint_that_says_nothing_more_ends_by_the_timeout() -> None:
    async with ChatServer(otherwise=lambda _: Fault("stall", after=1)) as server:
        model = Model("compatible:x", base_url=server.url)
        found = await probe(model, timeout=0.2)
        await model.close()
    assert not found.reached and found.seconds < 3
    assert "did not finish within 0.2 s" in found.failed["answer"]


async def test_a_broken_plain_answer_does_not_end_the_probe() -> None:
    async with ChatServer(Fault("malformed", after=1), otherwise=able) as server:
        found = await probed(server)
    assert found.reached and found.first_token is None and found.tools
    assert set(found.failed) == {"answer"}


async def test_the_speed_is_that_of_a_second_call() -> None:
    """The first one connects, and loads a local model."""
    model = ScriptedModel(otherwise=able)
    told: list[CheckName] = []
    await probe(model, timeout=5, tell=told.append)
    assert len(model.requests) == 5
    assert told == ["answer", "context", "tools", "vision", "json_schema"]


async def test_an_embedder_tells_its_dimensions() -> None:
    async with ChatServer(dimensions=12) as server:
        remote = embedder("compatible:x", base_url=server.url)
        found = await probe_embedder(remote, timeout=5)
        await remote.close()
    assert (found.kind, found.reached, found.dimensions) == ("embedding", True, 12)
    assert (await probe_embedder(HashingEmbedder())).reached


async def test_an_embedder_that_fails_is_told() -> None:
    async with ChatServer(api_key="right") as server:
        remote = embedder("compatible:x", base_url=server.url)
        found = await probe_embedder(remote, timeout=5)
        await remote.close()
    assert not found.reached and "401" in found.failed["embedding"]


def test_the_picture_is_green_on_the_left_and_yellow_on_the_right() -> None:
    shown = Pillow.open(io.BytesIO(picture())).convert("RGB")
    assert shown.size == (64, 64)
    assert shown.getpixel((10, 30)) == (0, 150, 0)
    assert shown.getpixel((50, 30)) == (255, 220, 0)


@pytest.mark.slow
@pytest.mark.model("smollm2-135m")
async def test_a_local_model_is_probed_like_any_other() -> None:
    model = Model("local:smollm2-135m")
    found = await probe(model, timeout=60)
    await model.close()
    assert found.reached and found.first_token is not None and found.tokens_per_second is not None
    assert (found.context, found.context_told, found.tools) == (4096, True, True)
    assert found.vision is False
