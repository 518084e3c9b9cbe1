import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from stretto.errors import ModelUnavailable
from stretto.messages import Message
from stretto.models.factory import Model
from stretto.models.protocol import complete
from stretto.testing.chat_server import ChatServer, Fault


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.status, response.read().decode()


@pytest.mark.slow
def test_it_runs_as_a_process_of_its_own_and_prints_its_address():
    command = [sys.executable, "-m", "stretto.testing.chat_server", "--answer", "echo", "--chunks", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            body = {"model": "m", "messages": [{"role": "user", "content": "one two three"}]}
            status, whole = post(f"{url}/chat/completions", body)
            assert status == 200
            assert json.loads(whole)["choices"][0]["message"]["content"] == "one two three"
            _, stream = post(f"{url}/chat/completions", {**body, "stream": True})
            assert stream.count('"content":') == 3, "the role's and two of the text"
            assert stream.rstrip().endswith("data: [DONE]")
        finally:
            process.terminate()


async def test_a_script_that_is_used_up_is_a_500_that_says_so():
    async with ChatServer("once") as server:
        model = Model("compatible:x", base_url=server.url)
        await complete(model, [Message.user("a")])
        with pytest.raises(ModelUnavailable, match=r"500.*add a turn to the script"):
            await complete(model, [Message.user("b")])
        await model.close()


async def test_it_keeps_what_it_was_asked():
    async with ChatServer("once") as server:
        model = Model("compatible:x", base_url=server.url)
        await complete(model, [Message.system("Be kind."), Message.user("a")])
        await model.close()
        assert server.requests[0].messages == (Message.system("Be kind."), Message.user("a"))
        assert server.served[0].method == "POST"


async def test_an_unknown_path_is_a_404():
    async with ChatServer("once") as server:
        model = Model(
            "compatible:x", base_url=server.url.removesuffix("/v1") + "/nowhere?x=/chat/completions"
        )
        assert (await complete(model, [Message.user("a")])).message.text == "once"
        await model.close()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            await asyncio.to_thread(post, server.url + "/other", {})


async def test_a_malformed_request_is_refused():
    async with ChatServer("once") as server:
        with pytest.raises(urllib.error.HTTPError, match="400"):
            await asyncio.to_thread(post, server.url + "/chat/completions", {"model": "m"})


async def test_it_sees_a_client_go_in_mid_stream():
    async with ChatServer("one two three four five six", pace=30) as server:
        model = Model("compatible:x", base_url=server.url)
        task = asyncio.create_task(complete(model, [Message.user("a")]))
        while not server.served:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        async with asyncio.timeout(1):
            await server.all_left()
        assert server.left == 1
        await model.close()


async def test_it_stops_while_an_answer_is_stalled():
    async with ChatServer(Fault("stall")) as server:
        model = Model("compatible:x", base_url=server.url)
        task = asyncio.create_task(complete(model, [Message.user("a")]))
        while not server.served:
            await asyncio.sleep(0)
    with pytest.raises(ModelUnavailable):
        await task
    await model.close()
