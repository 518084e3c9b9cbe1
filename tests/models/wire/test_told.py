"""What real servers tell of their context, in the places where each tells it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import web

from stretto.models import Model

Serve = Callable[..., Awaitable[str]]

VLLM = {"/v1/models": {"data": [{"id": "x", "max_model_len": 32768}, {"id": "y", "max_model_len": 5}]}}
GROQ = {"/v1/models": {"data": [{"id": "y"}, {"id": "x", "context_window": 131072}]}}
LLAMACPP = {
    "/v1/models": {"data": [{"id": "/models/some.gguf", "meta": {"n_ctx_train": 131072}}]},
    "/props": {"default_generation_settings": {"n_ctx": 4096}},
}
TRAINED = {"/v1/models": LLAMACPP["/v1/models"]}
SILENT = {"/v1/models": {"data": [{"id": "x"}, {"id": "y"}]}}
ODD: dict[str, Any] = {"/v1/models": ["no", {"shape": 1}], "/props": {"n_ctx": "many"}}


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """`await serve({path: answer})`: an endpoint's address."""
    runners: list[web.AppRunner] = []

    async def start(answers: Mapping[str, Any]) -> str:
        async def answer(request: web.Request) -> web.Response:
            if request.headers.get("Authorization") != "Bearer k" or request.path not in answers:
                raise web.HTTPNotFound
            found = answers[request.path]
            return web.Response(text=found) if isinstance(found, str) else web.json_response(found)

        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/v1"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("answers", "tokens"),
    [
        (VLLM, 32768),
        (GROQ, 131072),
        (LLAMACPP, 4096),
        (TRAINED, 131072),
        (SILENT, None),
        (ODD, None),
        ({}, None),
        ({"/v1/models": "<html>"}, None),
        ({"/v1/models": "[" * 5_000_000}, None),
    ],
)
async def test_the_context_is_read_where_the_server_tells_it(
    answers: Mapping[str, Any], tokens: int | None, serve: Serve
) -> None:
    model: Any = Model("compatible:x", base_url=await serve(answers), api_key="k")
    assert await model.told_context(timeout=5) == tokens
    await model.close()


async def test_nobody_there_tells_nothing() -> None:
    model: Any = Model("compatible:x", base_url="http://127.0.0.1:9/v1")
    assert await model.told_context(timeout=5) is None
    await model.close()
