import asyncio
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from stretto.errors import ConfigError, ModelUnavailable, RateLimited
from stretto.messages import Message
from stretto.models.factory import Model
from stretto.models.protocol import complete
from stretto.testing import ROWS, Fault, FaultyServer, log_normal

ASK = [Message.user("Say something.")]


def call(url, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read() or b"null")


async def texts(server, faults, calls):
    """What each of the calls gives: a text or the class of an error."""
    server.faults = faults
    model = Model("compatible:x", base_url=server.url)
    found = []
    for _ in range(calls):
        try:
            found.append((await complete(model, ASK)).message.text)
        except Exception as error:
            found.append(type(error).__name__)
    await model.close()
    return found


async def test_a_list_of_faults_is_one_a_request_and_none_behind_it():
    async with FaultyServer("Hello.", "Again.") as server:
        found = await texts(server, ["429_after_2", Fault("status"), None], 4)
    assert found == ["RateLimited", "ModelUnavailable", "Hello.", "Again."], "no turn was used up by a status"


async def test_a_function_of_the_number_says_what_goes_wrong():
    async with FaultyServer(otherwise=lambda request: "Hello.") as server:
        found = await texts(server, lambda number: "down" if number % 2 else None, 4)
    assert found == ["Hello.", "ModelUnavailable"] * 2


async def test_faults_may_be_changed_at_any_time():
    async with FaultyServer(otherwise=lambda request: "Hello.") as server:
        assert await texts(server, "down", 2) == ["ModelUnavailable"] * 2
        assert await texts(server, None, 1) == ["Hello."]
        assert server.counts()["requests"] == 3


async def test_it_comes_back_at_the_address_at_which_it_went():
    server = FaultyServer(otherwise=lambda request: "Hello.")
    async with server:
        url = server.url
    assert await texts(server, None, 1) == ["ModelUnavailable"]
    async with server:
        assert server.url == url
        assert await texts(server, None, 1) == ["Hello."]


async def test_an_answer_broken_off_goes_on_where_it_was():
    whole = "one two three four five six"
    async with FaultyServer(
        otherwise=lambda request: whole, prefill=True, faults=[Fault("abort", after=3)]
    ) as server:
        model = Model("compatible:x", base_url=server.url)
        with pytest.raises(ModelUnavailable) as caught:
            await complete(model, ASK)
        assert caught.value.partial == "one two three"
        reply = await complete(model, [*ASK, Message.assistant(caught.value.partial)])
        await model.close()
    assert caught.value.partial + reply.message.text == whole
    assert server.prefilled == ["one two three"]
    assert server.requests[1] == server.requests[0], "the script is asked for the whole answer"


async def test_without_prefill_the_answer_begins_again():
    async with FaultyServer(otherwise=lambda request: "one two") as server:
        model = Model("compatible:x", base_url=server.url)
        reply = await complete(model, [*ASK, Message.assistant("one")])
        await model.close()
    assert reply.message.text == "one two"
    assert not server.prefilled


async def test_a_slow_answer_waits_for_its_first_token_and_sees_a_client_go_meanwhile():
    async with FaultyServer("Hello.", first_token=lambda: 5.0, faults=Fault("slow", times=10)) as server:
        model = Model("compatible:x", base_url=server.url)
        task = asyncio.create_task(complete(model, ASK))
        while not server.active:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        async with asyncio.timeout(1):
            await server.all_left()
        assert server.counts()["left"] == 1
        await model.close()


def test_the_delays_are_seeded_and_log_normal():
    delay = log_normal(0.3, sigma=0.5, seed=7)
    found = sorted(delay() for _ in range(2001))
    again = log_normal(0.3, sigma=0.5, seed=7, times=10)
    assert found[1000] == pytest.approx(0.3, rel=0.1)
    assert found[1682] / found[1000] == pytest.approx(2.718281828**0.5, rel=0.15), "one deviation above"
    assert sorted(again() for _ in range(2001)) == pytest.approx([10 * one for one in found])


def test_a_row_that_is_not_there_is_refused_at_once():
    with pytest.raises(ConfigError, match="no ending is called `stal`; there are refused, dns"):
        FaultyServer(faults=["down", "stal"])


async def test_an_http_date_lies_ahead():
    async with FaultyServer(faults="429_after_date") as server:
        model = Model("compatible:x", base_url=server.url)
        with pytest.raises(RateLimited) as caught:
            await complete(model, ASK)
        await model.close()
    assert 25 < caught.value.retry_after <= 30


async def test_an_answer_split_inside_its_characters_is_many_reads():
    async with FaultyServer(faults="utf8_split") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.split(":")[2][:-3]))
        body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "a"}]})
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        reads = []
        async with asyncio.timeout(5):
            while not b"".join(reads).endswith(b"0\r\n\r\n"):
                reads.append(await reader.read(1 << 16))
        writer.close()
    broken = 0
    for read in reads:
        try:
            read.decode()
        except UnicodeDecodeError:
            broken += 1
    assert broken > 5


@pytest.mark.slow
def test_as_a_process_it_tells_its_counts_and_takes_faults():
    command = [
        sys.executable,
        "-m",
        "stretto.testing.faulty_server",
        "--faults",
        "down",
        "--first-token",
        "0.001",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            body = {"model": "m", "messages": [{"role": "user", "content": "one two"}]}
            with pytest.raises(urllib.error.HTTPError, match="503"):
                call(f"{url}/chat/completions", body)
            call(url.removesuffix("/v1") + "/faults", None, "PUT")
            started = time.monotonic()
            answer = call(f"{url}/chat/completions", body)
            assert answer["choices"][0]["message"]["content"] == "one two"
            assert time.monotonic() - started < 5
            counts = call(url.removesuffix("/v1") + "/counts")
            assert (counts["requests"], counts["open"], counts["left"]) == (2, 1, 0)
        finally:
            process.terminate()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("nosuch", "no ending is called `nosuch`; there are refused, dns"),
        (["down", "nosuch"], "no ending is called `nosuch`"),
        ({"kind": "nosuch"}, "Invalid enum value 'nosuch'"),
        (5, "Expected"),
    ],
)
async def test_a_fault_that_is_not_there_is_refused_and_the_one_before_stays(wrong, told):
    async with FaultyServer(faults="down") as server:
        with pytest.raises(urllib.error.HTTPError, match="400") as refused:
            await asyncio.to_thread(call, server.url.removesuffix("/v1") + "/faults", wrong, "PUT")
        assert told in json.loads(refused.value.read())["error"]["message"]
        assert server.faults == "down"


async def test_a_body_that_is_no_json_is_refused():
    async with FaultyServer() as server:
        url = server.url.removesuffix("/v1") + "/faults"
        request = urllib.request.Request(url, b"down", method="PUT")
        with pytest.raises(urllib.error.HTTPError, match="400") as refused:
            await asyncio.to_thread(urllib.request.urlopen, request, timeout=10)
        assert "the body is no JSON" in json.loads(refused.value.read())["error"]["message"]


def test_each_row_is_a_fault():
    assert all(isinstance(fault, Fault) for fault in ROWS.values())
