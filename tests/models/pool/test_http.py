"""A pool over real endpoints that go wrong: every answer comes whole, and nothing is sent for nothing."""

import asyncio
import random
import subprocess
import sys
import time
from contextlib import AsyncExitStack

import pytest

from stretto.errors import ModelError, ModelUnavailable
from stretto.messages import Message
from stretto.models import Capabilities, Model
from stretto.models.pool import Hedge, Member, Pool, Retries
from stretto.models.protocol import Reply, RetractPiece, TextPiece
from stretto.settings import ModelSettings
from stretto.testing import Fault, FaultyServer
from stretto.testing.faults import ROWS, log_normal
from stretto.testing.model_contract import ModelContract, contract_answer

ASK = [Message.user("Tell me of the sea.")]
SEA = 3 * (
    "The sea 🌊 is wide, cafe\u0301 by cafe\u0301, \U0001f468\u200d\U0001f469\u200d\U0001f467 family 🇳🇴, "
    "and grün e\u0302\u0323 \u200d 海は広い。 "
)
CAN = Capabilities(vision=True, audio=True, prefill=True)


@pytest.fixture
async def endpoints():
    """Opens servers, and a model at each."""
    async with AsyncExitStack() as stack:

        async def serve(*servers, capabilities=CAN):
            models = []
            for number, server in enumerate(servers):
                await stack.enter_async_context(server)
                model = Model(f"compatible:m{number}", base_url=server.url, capabilities=capabilities)
                stack.push_async_callback(model.close)
                models.append(model)
            return models

        yield serve


class TestContract(ModelContract):
    @pytest.fixture
    async def model(self, endpoints):
        servers = [FaultyServer(otherwise=contract_answer, pace=0.002) for _ in range(2)]
        pool = Pool(await endpoints(*servers), random=random.Random(5))
        yield pool
        await pool.close()


class TestContractHedged(ModelContract):
    @pytest.fixture
    async def model(self, endpoints):
        servers = [FaultyServer(otherwise=contract_answer, pace=0.002) for _ in range(2)]
        pool = Pool(await endpoints(*servers), hedge=Hedge(samples=1, least=0.0, quantile=0.01))
        for _ in range(2):
            async for _ in pool.stream(ASK):
                pass
        yield pool
        await pool.close()


def places(seed, count, most):
    source = random.Random(seed)
    return [source.randrange(most) for _ in range(count)]


async def heard(pool, settings=None):
    """What a person sees in the end, the retracted lengths as they must be and as they were, the reply."""
    shown, takes = "", []
    async for piece in pool.stream(ASK, settings=settings):
        if isinstance(piece, TextPiece):
            shown += piece.text
        elif isinstance(piece, RetractPiece):
            takes.append((piece.length, len(shown)))
            shown = shown[: len(shown) - piece.length]
        elif isinstance(piece, Reply):
            return shown, takes, piece
    raise AssertionError("no reply")


@pytest.mark.parametrize("seed", [11])
@pytest.mark.parametrize("prefill", [True, False])
async def test_an_endpoint_killed_at_50_places_leaves_50_whole_answers(endpoints, seed, prefill):
    chunks = 40
    at = places(seed, 50, chunks)
    dying = FaultyServer(
        otherwise=lambda request: SEA, chunks=chunks, prefill=prefill, pace=0.0005,
        faults=lambda number: Fault("abort", after=at[number]) if number < 50 else None,
    )  # fmt: skip
    sound = FaultyServer(otherwise=lambda request: SEA, chunks=chunks, prefill=prefill)
    a, b = await endpoints(dying, sound, capabilities=Capabilities(prefill=prefill))
    for place in at:
        pool = Pool([Member(a), Member(b, tier=1)])
        before = len(sound.requests)
        shown, takes, reply = await heard(pool)
        assert shown == reply.message.text == SEA, f"seed {seed}, place {place}"
        assert len(sound.requests) == before + 1
        assert all(length == there for length, there in takes)
        assert len(takes) == (0 if prefill or place == 0 else 1), f"seed {seed}, place {place}"
    assert len(dying.requests) == 50
    if prefill:
        assert all(SEA.startswith(text) and text for text in sound.prefilled)
        assert len(sound.prefilled) == sum(place > 0 for place in at)


async def test_one_pool_brings_every_answer_to_its_end_while_an_endpoint_dies_again_and_again(endpoints):
    dying = FaultyServer(
        otherwise=lambda request: SEA,
        chunks=20,
        prefill=True,
        faults=lambda number: Fault("abort", after=3 + number % 15),
    )
    sound = FaultyServer(otherwise=lambda request: SEA, chunks=20, prefill=True)
    pool = Pool(await endpoints(dying, sound), random=random.Random(3))
    for _ in range(50):
        shown, _, reply = await heard(pool)
        assert shown == reply.message.text == SEA
    assert len(dying.requests) <= 10, "its breaker leaves it alone"
    await pool.close()


async def test_a_failing_endpoint_gets_few_requests_for_500_calls(endpoints):
    for breaker, most in ((False, 600), (True, 25)):
        server = FaultyServer(faults="down")
        (model,) = await endpoints(server)
        pool = Pool([model], breaker=breaker, retries=Retries(delay=0.0))

        async def ask(pool=pool):
            with pytest.raises(ModelError):
                await heard(pool)

        for _ in range(10):
            await asyncio.gather(*(ask() for _ in range(50)))
        assert len(server.requests) <= most
        await pool.close()


@pytest.mark.parametrize("row", sorted(ROWS))
async def test_whatever_goes_wrong_at_one_endpoint_the_answer_comes_whole(endpoints, row):
    faulty = FaultyServer(faults=row, otherwise=lambda request: SEA, pace=0.002, chunks=20)
    sound = FaultyServer(otherwise=lambda request: SEA, chunks=20)
    a, b = await endpoints(faulty, sound, capabilities=Capabilities())
    pool = Pool([Member(a), Member(b, tier=1)])
    settings = ModelSettings(timeout=4.0, first_token=0.6, idle=0.3)
    shown, takes, reply = await heard(pool, settings)
    assert all(length == there for length, there in takes)
    own = ROWS[row].answer
    if sound.requests or own is None:
        assert shown == reply.message.text == SEA
    elif isinstance(own, str):
        assert shown == reply.message.text == own
    else:
        assert [call.arguments for call in reply.message.tool_calls] == [own.arguments]
    await pool.close()


@pytest.mark.parametrize("row", ["stall_at_headers", "keepalive_only", "refused", "down", "html"])
async def test_all_endpoints_down_is_a_typed_error_within_the_deadline(endpoints, row):
    models = await endpoints(*(FaultyServer(faults=row) for _ in range(3)))
    pool = Pool(models)
    began = time.monotonic()
    with pytest.raises(ModelError, match=r"pool:pool|did not|no content"):
        async for _ in pool.stream(ASK, settings=ModelSettings(timeout=0.5)):
            pass
    assert time.monotonic() - began < 0.5 + 1.0  # the bar, 0.1, is held by benchmarks/pool_tail.py
    await pool.close()


async def test_the_loser_of_a_hedge_is_seen_to_go_by_its_endpoint(endpoints):
    slow = FaultyServer(otherwise=lambda request: SEA, first_token=log_normal(0.001))
    quick = FaultyServer(otherwise=lambda request: SEA)
    a, b = await endpoints(slow, quick)
    pool = Pool([Member(a), Member(b, tier=1)], hedge=Hedge(samples=3, least=0.02))
    for _ in range(3):
        await heard(pool)
    slow.faults = Fault("slow", times=100_000)
    assert (await heard(pool))[0] == SEA
    assert len(quick.requests) == 1
    async with asyncio.timeout(2):
        await slow.all_left()
    assert slow.left == 1
    await pool.close()


async def test_what_an_endpoint_says_is_left_of_its_limits_is_heeded(endpoints):
    told = FaultyServer(headers={"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20s"})
    other = FaultyServer()
    a, b = await endpoints(told, other)
    pool = Pool([Member(a), Member(b, tier=1)])
    for _ in range(4):
        await heard(pool)
    assert (len(told.requests), len(other.requests)) == (1, 3)
    await pool.close()


CHILD = """
import asyncio, sys
from stretto import Message, Model
from stretto.counters import SqliteCounters
from stretto.errors import ModelError
from stretto.models.pool import Member, Pool
from stretto.models.protocol import complete
from stretto.settings import ModelSettings

async def main():
    model = Model("compatible:shared", base_url=sys.argv[1])
    pool = Pool([Member(model, requests_per_minute=60)], counters=SqliteCounters(sys.argv[2]))

    async def ask():
        try:
            await complete(pool, [Message.user("Hello?")], settings=ModelSettings(timeout=5.0))
        except ModelError:
            pass

    await asyncio.gather(*(ask() for _ in range(40)))
    await pool.close()

asyncio.run(main())
"""


@pytest.mark.slow
async def test_four_processes_hold_to_one_limit(tmp_path):
    async with FaultyServer(otherwise=lambda request: "x") as server:
        command = [sys.executable, "-c", CHILD, server.url, str(tmp_path / "counts.sqlite")]
        children = [asyncio.to_thread(subprocess.run, command, timeout=60, check=True) for _ in range(4)]
        await asyncio.gather(*children)
        assert len(server.requests) == 60


async def test_a_broken_first_member_is_rescued_by_a_model_of_another_kind(endpoints):
    from stretto.testing import ScriptedModel

    server = FaultyServer(faults="malformed_chunk", otherwise=lambda request: SEA, pace=0.002)
    (broken,) = await endpoints(server)
    pool = Pool([Member(broken), Member(ScriptedModel("All is well."), tier=1)])
    shown, takes, _ = await heard(pool)
    assert shown == "All is well." and len(takes) == 1
    await pool.close()


async def test_an_unavailable_pool_keeps_no_secret_and_no_traceback_of_a_dependency(endpoints):
    (model,) = await endpoints(FaultyServer(faults="reset"))
    with pytest.raises(ModelUnavailable) as caught:
        await heard(Pool([model], retries=Retries(attempts=1)))
    assert caught.value.__cause__ is None
