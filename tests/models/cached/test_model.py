"""A cached model passes the contract, gives kept answers at no cost, and asks once for all at a time."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest

from stretto.context import Run, RunContext, use_context
from stretto.errors import ConfigError, ModelUnavailable
from stretto.messages import Message, Reasoning, Refusal, Text, ToolCall
from stretto.models import Model
from stretto.models.cached import Cached, MemoryStore, SqliteStore
from stretto.models.pool import Pool
from stretto.models.protocol import Reply, TextPiece, complete
from stretto.settings import ModelSettings
from stretto.testing import ChatServer, ScriptedModel
from stretto.testing.model_contract import ModelContract, contract_answer
from stretto.usage import Usage

ASK = [Message.user("Say something.")]


class TestContract(ModelContract):
    @pytest.fixture
    async def model(self):
        async with ChatServer(otherwise=contract_answer, pace=0.001) as server:
            model = Cached(Model("compatible:x", base_url=server.url))
            yield model
            await model.close()


class TestContractInProcess(ModelContract):
    @pytest.fixture
    async def model(self, tmp_path):
        model = Cached(ScriptedModel(otherwise=contract_answer), SqliteStore(tmp_path / "a.sqlite"))
        yield model
        await model.close()


@contextmanager
def on_behalf_of(tenant: str) -> Iterator[None]:
    use_context(RunContext(Run(tenant=tenant)))
    try:
        yield
    finally:
        use_context(None)


async def test_a_kept_answer_is_the_same_stream_at_no_cost() -> None:
    said = Message.assistant(Reasoning("Hm."), "Good day to you.")
    model = ScriptedModel(said)
    cached = Cached(model)
    first = await complete(cached, ASK)
    pieces = [piece async for piece in cached.stream(ASK)]
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)) == "Good day to you."
    assert isinstance(pieces[-1], Reply)
    assert pieces[-1].message == first.message
    assert (pieces[-1].finish, pieces[-1].model) == (first.finish, first.model)
    assert first.usage.calls == 1
    assert pieces[-1].usage == Usage()
    assert len(model.requests) == 1


async def test_a_tool_call_is_kept_and_given_under_a_new_id() -> None:
    cached = Cached(ScriptedModel(ToolCall("c1", "stock", '{"product": "pump"}')))
    await complete(cached, ASK)
    again, third = await complete(cached, ASK), await complete(cached, ASK)
    (call,) = again.message.tool_calls
    assert (call.name, call.arguments) == ("stock", '{"product": "pump"}')
    assert len({"c1", call.id, third.message.tool_calls[0].id}) == 3


@pytest.mark.parametrize("following", [False, True], ids=["kept", "coming in"])
async def test_a_tenant_never_gets_the_answer_of_another(following: bool) -> None:
    model = ScriptedModel("for a", "for b")
    cached = Cached(model)
    with on_behalf_of("a"):
        first = asyncio.create_task(complete(cached, ASK))
    if not following:
        await first
    with on_behalf_of("b"):
        second = asyncio.create_task(complete(cached, ASK))
    assert [reply.message.text for reply in await asyncio.gather(first, second)] == ["for a", "for b"]


@pytest.mark.parametrize(
    ("answer", "settings"),
    [
        ("a long answer that is cut", ModelSettings(max_tokens=2)),
        (Message.assistant(Refusal("No.")), None),
    ],
)
async def test_an_answer_that_is_cut_or_a_refusal_is_not_kept(answer, settings) -> None:
    model = ScriptedModel(answer, answer)
    cached = Cached(model)
    for _ in range(2):
        await complete(cached, ASK, settings=settings)
    assert len(model.requests) == 2


async def test_an_error_is_not_kept() -> None:
    cached = Cached(ScriptedModel(ModelUnavailable("gone"), "back"))
    with pytest.raises(ModelUnavailable):
        await complete(cached, ASK)
    assert (await complete(cached, ASK)).message.text == "back"


async def test_an_answer_is_given_until_its_time_is_over() -> None:
    now = 0.0
    cached = Cached(ScriptedModel("one", "two"), MemoryStore(clock=lambda: now), ttl=60)
    await complete(cached, ASK)
    now = 59.0
    assert (await complete(cached, ASK)).message.text == "one"
    now = 60.0
    assert (await complete(cached, ASK)).message.text == "two"
    with pytest.raises(ConfigError, match="ttl is 0"):
        Cached(ScriptedModel(), ttl=0)


async def test_a_kept_answer_that_cannot_be_read_is_asked_for_again(caplog) -> None:
    store = MemoryStore()
    cached = Cached(ScriptedModel("one", "two"), store)
    await complete(cached, ASK)
    for key in list(store._kept):
        store.put(key, b"\xc1", ttl=60)
    assert (await complete(cached, ASK)).message.text == "two"
    assert "cannot be read" in caplog.text


async def test_scopes_and_names_share_one_store_without_mixing(tmp_path) -> None:
    store = SqliteStore(tmp_path / "a.sqlite")
    said = []
    for scope, name in (("x", "m:1"), ("y", "m:1"), ("x", "m:2"), ("x", "m:1")):
        cached = Cached(ScriptedModel(f"{scope} {name}", name=name), store, scope=scope)
        said.append((await complete(cached, ASK)).message.text)
    assert said == ["x m:1", "y m:1", "x m:2", "x m:1"]
    store.close()


# ---- one call for several


class Held(ScriptedModel):
    """Says a word each time it is let."""

    def __init__(self, *turns) -> None:
        super().__init__(*turns)
        self.words = asyncio.Semaphore(0)
        self.ended = asyncio.Event()

    async def stream(self, messages, **request):
        try:
            async with aclosing(super().stream(messages, **request)) as pieces:
                async for piece in pieces:
                    await self.words.acquire()
                    yield piece
        finally:
            self.ended.set()

    def let(self, words: int) -> None:
        for _ in range(words):
            self.words.release()


async def test_who_asks_the_same_follows_live_from_the_first_word_and_one_pays() -> None:
    model = Held("one two three")
    cached = Cached(model)
    leader, follower = cached.stream(ASK), cached.stream(ASK)
    model.let(2)
    assert [(await anext(leader)).text for _ in range(2)] == ["one", " two"]
    assert [(await anext(follower)).text for _ in range(2)] == ["one", " two"]
    waiting = asyncio.create_task(anext(follower))
    model.let(2)
    assert (await waiting).text == " three"
    replies = [[piece async for piece in stream][-1] for stream in (leader, follower)]
    assert [reply.usage.calls for reply in replies] == [1, 0]
    assert replies[0].message == replies[1].message
    assert len(model.requests) == 1


async def test_a_follower_that_leaves_does_not_end_the_call() -> None:
    model = Held("one two")
    cached = Cached(model)
    leader, follower = cached.stream(ASK), cached.stream(ASK)
    model.let(1)
    await anext(leader), await anext(follower)
    await follower.aclose()
    model.let(2)
    assert [piece async for piece in leader][-1].message.text == "one two"


async def test_the_first_caller_that_leaves_does_not_cut_the_others_who_then_pay() -> None:
    model = Held("one two")
    cached = Cached(model)
    leader = asyncio.create_task(complete(cached, ASK))
    follower = cached.stream(ASK)
    model.let(1)
    assert (await anext(follower)).text == "one"
    leader.cancel()
    await asyncio.wait([leader])
    assert leader.cancelled()
    model.let(2)
    reply = [piece async for piece in follower][-1]
    assert reply.message.text == "one two"
    assert reply.usage.calls == 1
    assert (await complete(cached, ASK)).usage.calls == 0


async def test_when_the_last_one_leaves_the_call_is_over_and_a_new_one_begins() -> None:
    model = Held("one two", "again")
    cached = Cached(model)
    leader, follower = cached.stream(ASK), cached.stream(ASK)
    model.let(1)
    await anext(leader), await anext(follower)
    await leader.aclose()
    assert not model.ended.is_set()
    await follower.aclose()
    assert model.ended.is_set()
    assert model.open_streams == 0
    model.let(2)
    assert (await complete(cached, ASK)).message.text == "again"


async def test_leaving_closes_the_socket() -> None:
    async with ChatServer(otherwise=contract_answer, pace=0.01) as server:
        cached = Cached(Model("compatible:x", base_url=server.url))
        leader, follower = cached.stream(ASK), cached.stream(ASK)
        await anext(leader), await anext(follower)
        await leader.aclose()
        await follower.aclose()
        await asyncio.wait_for(server.all_left(), 5)
        assert server.left == 1
        await cached.close()


async def test_an_error_reaches_all_each_as_its_own() -> None:
    cached = Cached(ScriptedModel(ModelUnavailable("gone", partial="so far"), "back"))
    errors = await asyncio.gather(*(complete(cached, ASK) for _ in range(3)), return_exceptions=True)
    assert [(type(error), str(error), error.partial) for error in errors] == [
        (ModelUnavailable, "gone", "so far")
    ] * 3
    assert len({id(error) for error in errors}) == 3
    assert (await complete(cached, ASK)).message.text == "back"


async def test_a_follower_has_tool_calls_under_ids_of_its_own() -> None:
    cached = Cached(ScriptedModel(["I look.", ToolCall("c1", "stock", "{}")]))
    first, second = await asyncio.gather(complete(cached, ASK), complete(cached, ASK))
    assert first.message.tool_calls[0].id == "c1"
    assert second.message.tool_calls[0].id != "c1"
    assert first.message.parts[0] == second.message.parts[0] == Text("I look.")


async def test_calls_with_other_deadlines_do_not_follow_each_other_yet_share_what_is_kept() -> None:
    model = ScriptedModel("one", "two")
    cached = Cached(model)
    patient = complete(cached, ASK, settings=ModelSettings(timeout=100))
    await asyncio.gather(patient, complete(cached, ASK, settings=ModelSettings(timeout=1)))
    assert len(model.requests) == 2
    assert (await complete(cached, ASK, settings=ModelSettings(timeout=7))).usage.calls == 0


async def test_of_many_who_leave_nothing_stays() -> None:
    before = asyncio.all_tasks()
    async with ChatServer(otherwise=contract_answer, pace=0.001) as server:
        cached = Cached(Model("compatible:x", base_url=server.url))
        asked = [[Message.user(f"question {number % 10}")] for number in range(200)]
        tasks = [asyncio.create_task(complete(cached, messages)) for messages in asked]
        for number, task in enumerate(tasks):
            if number % 20 == 0:
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert cached._flights == {}
        await cached.close()
        await asyncio.wait_for(server.all_left(), 5)
    assert asyncio.all_tasks() == before


def test_what_budgets_ask_of_a_model_is_told_by_the_one_within() -> None:
    pool = Pool([ScriptedModel(name="a:x")])
    model = Model("compatible:x", base_url="http://localhost:1/v1", settings=ModelSettings(max_tokens=7))
    assert Cached(pool).members == pool.members
    assert Cached(model).members == () and Cached(model).settings == ModelSettings(max_tokens=7)
    assert Cached(pool).settings is None


async def test_a_model_by_name_and_a_store_by_path_are_taken(tmp_path: Path) -> None:
    async with ChatServer("Aye.") as server:
        model = Cached(Model("compatible:x", base_url=server.url), str(tmp_path / "answers.sqlite"))
        for _ in range(2):
            assert (await complete(model, ASK)).message.text == "Aye."
        await model.close()
        assert (tmp_path / "answers.sqlite").is_file()
        assert len(server.requests) == 1
    assert Cached("ollama:x").name == "ollama:x"


def test_what_is_no_model_or_no_store_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="`model` is a `int`; give a name"):
        Cached(5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"`store` is a `dict`; give a path, or MemoryStore\(\.\.\.\)"):
        Cached(ScriptedModel("x"), {})  # type: ignore[arg-type]
