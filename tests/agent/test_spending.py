"""Budgets of an agent: nothing is sent once spent, they survive a resume, hold over processes."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from stretto import Agent, Model, tool
from stretto.agent.spending import Spending
from stretto.counters import SqliteCounters
from stretto.errors import ConfigError, LimitReached, StrettoError
from stretto.events import UsageReported
from stretto.messages import ToolCall
from stretto.models.pool import Member, Pool
from stretto.settings import Budget, Budgets, Limits, ModelSettings, Price, Rung, WindowBudget
from stretto.testing import ChatServer, ScriptedModel

MANY = """
import asyncio, sys
from stretto import Agent
from stretto.agent.spending import Spending
from stretto.counters import SqliteCounters
from stretto.errors import LimitReached
from stretto.settings import Budgets, WindowBudget
from stretto.testing import ScriptedModel

async def main():
    budgets = Spending(Budgets(tenant=WindowBudget(calls=15)), counters=SqliteCounters(sys.argv[1]))
    agent = Agent(model=ScriptedModel(otherwise=lambda request: "x"), budgets=budgets)
    done = 0
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(20):
        try:
            await agent.run("hi")
            done += 1
        except LimitReached as error:
            assert error.limit == "tenant.calls", error.limit
    print(done)
    await agent.close()

asyncio.run(main())
"""


@tool(approval=True)
def refund(order: str) -> str:
    """Pays an order back.

    Args:
        order: Its number.
    """
    return f"paid back {order}"


CALL = ToolCall("c1", "refund", '{"order": "A1"}')


async def test_nothing_reaches_the_endpoint_once_the_budget_is_spent() -> None:
    async with ChatServer(otherwise=lambda request: "Hello.") as server:
        model = Model("compatible:x", base_url=server.url)
        agent = Agent(model=model, budgets=Budgets(tenant=WindowBudget(calls=2)))
        for _ in range(2):
            await agent.run("hi")
        with pytest.raises(LimitReached) as refused:
            await agent.run("hi")
        assert refused.value.limit == "tenant.calls"
        await agent.run("hi", tenant="another")
        assert len(server.requests) == 3
        await agent.close()


async def test_ten_runs_at_once_spend_no_more_than_the_budget() -> None:
    async with ChatServer(otherwise=lambda request: "word " * 30, pace=0.001) as server:
        model = Model("compatible:x", base_url=server.url, settings=ModelSettings(max_tokens=30))
        prices = {"compatible:x": Price(input=1000, output=1000)}
        budgets = Budgets(tenant=WindowBudget(money=0.2, tokens=1000))
        agent = Agent(model=model, budgets=Spending(budgets, prices=prices))
        outcomes = await asyncio.gather(*(agent.run("hi " * 5) for _ in range(10)), return_exceptions=True)
        done = [each for each in outcomes if not isinstance(each, BaseException)]
        assert {each.limit for each in outcomes if isinstance(each, LimitReached)} == {"tenant.money"}
        assert 2 <= len(done) < 10
        assert len(server.requests) == len(done)
        assert sum(each.usage.cost for each in done) <= 0.2
        await agent.close()


async def test_answers_of_unknown_length_spend_no_more_than_the_budget_either() -> None:
    async with ChatServer(otherwise=lambda request: "word " * 300) as server:
        budgets = Budgets(tenant=WindowBudget(tokens=1000), answer=200)
        agent = Agent(model=Model("compatible:x", base_url=server.url), budgets=budgets)
        spent: list[int] = []

        async def ask() -> None:
            async for event in agent.stream("hi"):
                if isinstance(event, UsageReported):
                    spent.append(event.usage.total_tokens)

        outcomes = await asyncio.gather(*(ask() for _ in range(10)), return_exceptions=True)
        assert all(isinstance(each, LimitReached) for each in outcomes if each is not None)
        assert len(server.requests) == len(spent) < 10
        assert 900 < sum(spent) <= 1000
        await agent.close()


@pytest.mark.parametrize("kept", ["memory", "file"])
async def test_a_resumed_run_goes_on_with_what_it_spent(tmp_path: Path, kept: str) -> None:
    threads = "memory" if kept == "memory" else tmp_path / "threads.sqlite"
    budgets = Budgets(run=Budget(calls=2))
    model = ScriptedModel(CALL, CALL, "Done.", "Hello.")
    agent = Agent(model=model, tools=[refund], budgets=budgets, threads=threads)
    await agent.run("refund A1", thread_id="t")
    if kept == "file":
        await agent.close()
        agent = Agent(model=model, tools=[refund], budgets=budgets, threads=threads)
    with pytest.raises(LimitReached, match="this run may use 2 calls"):
        await agent.run(thread_id="t", answers={"c1": True})
    assert model.remaining == 2
    await agent.close()


async def test_a_new_question_begins_a_new_run_and_the_thread_goes_on() -> None:
    budgets = Budgets(run=Budget(calls=1), thread=WindowBudget(calls=2))
    agent = Agent(model=ScriptedModel("a", "b", "c"), budgets=budgets)
    await agent.run("1", thread_id="t")
    await agent.run("2", thread_id="t")
    with pytest.raises(LimitReached) as refused:
        await agent.run("3", thread_id="t")
    assert refused.value.limit == "thread.calls"
    assert (await agent.run("3", thread_id="u")).output == "c"
    await agent.close()


@pytest.mark.slow
def test_two_processes_share_a_tenants_budget(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MANY, str(tmp_path / "counters.sqlite")]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        done = [int(child.communicate(timeout=60)[0]) for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert sum(done) == 15


async def test_the_result_tells_what_the_run_cost() -> None:
    prices = {"a:b": Price(input=10, output=100)}
    agent = Agent(model=ScriptedModel("one two three", name="a:b"), budgets=Spending(prices=prices))
    usage = (await agent.run("hi")).usage
    assert usage.cost == pytest.approx((usage.input_tokens * 10 + 3 * 100) / 1e6)
    plain = await Agent(model=ScriptedModel("x", name="a:b")).run("hi")
    assert plain.usage.cost == 0


async def test_a_pool_is_priced_by_who_answered_and_reserved_for_by_the_dearest() -> None:
    async with ChatServer(otherwise=lambda request: "word" + " word" * 9) as server:
        settings = ModelSettings(max_tokens=20)
        names = ("compatible:dear", "compatible:cheap")
        dear, cheap = (Model(name, base_url=server.url, settings=settings) for name in names)
        prices = {
            "compatible:dear": Price(input=0, output=1000),
            "compatible:cheap": Price(input=0, output=1),
        }
        pool = Pool([Member(dear, tier=1), Member(cheap, tier=0)])
        budgets = Budgets(run=Budget(money=0.02))
        async with Agent(model=pool, budgets=Spending(budgets, prices=prices)) as agent:
            assert (await agent.run("hi")).usage.cost == pytest.approx(10 / 1e6)
        async with Agent(
            model=pool, budgets=Spending(Budgets(run=Budget(money=0.019)), prices=prices)
        ) as agent:
            with pytest.raises(LimitReached, match=r"may take 0\.02 USD"):
                await agent.run("hi")
        assert len(server.requests) == 1


async def test_limits_and_budgets_are_one_thing() -> None:
    agent = Agent(model=ScriptedModel("a b c"), limits=Limits(tokens=2))
    with pytest.raises(LimitReached, match=r"limits\.tokens") as refused:
        await agent.run("hi", thread_id="t")
    assert refused.value.limit == "tokens"


async def test_a_file_is_only_made_when_something_is_counted(tmp_path: Path) -> None:
    threads = tmp_path / "threads.sqlite"
    async with Agent(model=ScriptedModel("a"), limits=Limits(seconds=60), threads=threads) as agent:
        await agent.run("hi", thread_id="t")
    assert not (tmp_path / "counters.sqlite").exists()
    budgets = Budgets(tenant=WindowBudget(calls=9))
    async with Agent(model=ScriptedModel("a"), budgets=budgets, threads=threads) as agent:
        await agent.run("hi", thread_id="t")
    counters = SqliteCounters(tmp_path / "counters.sqlite")
    assert await counters.add("agent/tenant/default/calls", 0, window=float("inf")) == 1
    await counters.close()


def test_what_cannot_be_is_refused_with_what_to_type() -> None:
    with pytest.raises(ConfigError, match="there is no node `anser`; there are answer"):
        Agent(model=ScriptedModel(), budgets=Budgets(nodes={"anser": Budget(calls=1)}))
    with pytest.raises(ConfigError, match="`cheaper_model` needs a model"):
        Spending(Budgets(ladder=(Rung(at=0.5, take="cheaper_model"),)))


async def test_a_folder_declares_budgets_prices_and_a_ladder(tmp_path: Path) -> None:
    folder = tmp_path / "agents" / "desk"
    folder.mkdir(parents=True)
    (tmp_path / "stretto.yaml").write_text("prices: {'compatible:*': {input: 1, output: 1}}\n")
    async with ChatServer(otherwise=lambda request: "word " * 10) as server:
        (folder / "agent.yaml").write_text(
            f"model: {{model: compatible:dear, base_url: {server.url}}}\n"
            "prices: {'compatible:dear': {input: 100, output: 100}}\n"
            "budgets:\n"
            "  run: {money: 0.05, calls: 8, seconds: 60}\n"
            "  tenant: {calls: 1, window: 86400}\n"
            "  ladder:\n"
            "    - {at: 0.5, take: no_tools}\n"
        )
        agent = Agent.from_folder(folder)
        usage = (await agent.run("hi")).usage
        assert usage.cost == pytest.approx(usage.total_tokens * 100 / 1e6)
        with pytest.raises(LimitReached, match=r"tenant `default` may use 1 calls in 86400 s"):
            await agent.run("hi")
        await agent.close()
    assert (tmp_path / ".stretto" / "counters.sqlite").exists()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("budgets: {run: {money: -1}}", "money"),
        ("budgets: {run: {window: 60}}", "window"),
        ("budgets: {ladder: [{at: 2, take: no_tools}]}", "at"),
        ("budgets: {ladder: [{at: 0.5, take: pray}]}", "pray"),
        ("prices: {'a:b': {input: 1}}", "output"),
    ],
)
def test_a_wrong_line_is_told_with_its_place(tmp_path: Path, line: str, told: str) -> None:
    folder = tmp_path / "agents" / "desk"
    folder.mkdir(parents=True)
    (folder / "agent.yaml").write_text(f"model: local:smollm2-135m\n{line}\n")
    with pytest.raises(ConfigError, match=told) as error:
        Agent.from_folder(folder)
    assert "agent.yaml:2" in str(error.value)


async def test_a_pool_of_the_project_answers_where_the_ladder_names_it(tmp_path: Path) -> None:
    folder = tmp_path / "agents" / "desk"
    folder.mkdir(parents=True)
    async with ChatServer(otherwise=lambda request: "dear") as dear, ChatServer("cheap") as cheap:
        (tmp_path / "stretto.yaml").write_text(
            f"pools: {{cheap: {{members: [{{model: compatible:small, base_url: {cheap.url}}}]}}}}\n"
        )
        (folder / "agent.yaml").write_text(
            f"model: {{model: compatible:large, base_url: {dear.url}}}\n"
            "budgets:\n"
            "  tenant: {calls: 2}\n"
            "  ladder: [{at: 0.5, take: cheaper_model, model: pool:cheap}]\n"
        )
        async with Agent.from_folder(folder) as agent:
            assert [(await agent.run("hi")).output for _ in range(2)] == ["dear", "cheap"]


PRICED = {"a:x": Price(input=1, output=1)}
CHEAPER, STEP = Rung(at=0.5, take="cheaper_model", tier=1), Rung(at=0.5, take="no_tools")


@pytest.mark.parametrize(
    ("ladder", "said"),
    [
        (
            (CHEAPER,),
            r"budgets\.ladder\[0\]\.tier: `a:x` is no pool and has no tiers; name a cheaper `model`",
        ),
        (
            (STEP, Rung(at=0.5, take="cheaper_model", model="ollama:y", tier=1)),
            r"ladder\[1\]\.tier: `ollama:y`",
        ),
        (
            (Rung(at=0.5, take="cheaper_model", model="openai:y"),),
            r"budgets\.ladder\[0\]\.model: `openai:y` needs a key",
        ),
        (
            (Rung(at=0.5, take="cheaper_model", model="y"),),
            r"budgets\.ladder\[0\]\.model: `y` is no model name",
        ),
    ],
)
async def test_a_step_that_could_not_be_taken_is_told_when_the_agent_is_opened(
    ladder: tuple[Rung, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    agent = Agent(model=ScriptedModel(name="a:x"), budgets=Budgets(run=Budget(calls=2), ladder=ladder))
    with pytest.raises(StrettoError, match=said):
        await agent.open()


async def test_a_tier_that_no_member_has_is_told_when_the_agent_is_opened() -> None:
    pool = Pool([ScriptedModel(name="a:x"), Member(ScriptedModel(name="a:y"), tier=1)])
    budgets = Budgets(run=Budget(calls=2), ladder=(STEP, Rung(at=0.5, take="cheaper_model", tier=7)))
    with pytest.raises(
        ConfigError, match=r"ladder\[1\]\.tier: no member of `pool:pool` has tier 7; there are 0, 1"
    ):
        await Agent(model=pool, budgets=budgets).open()
    async with Agent(model=pool, budgets=Budgets(run=Budget(calls=2), ladder=(CHEAPER,))):
        pass


def test_less_context_without_a_number_is_told() -> None:
    with pytest.raises(
        ConfigError, match=r"ladder\[0\]\.take: `less_context` needs a number; add `history: 1`"
    ):
        Spending(Budgets(ladder=(Rung(at=0.5, take="less_context"),)))
    Spending(Budgets(ladder=(Rung(at=0.5, take="less_context", passages=0),)))


async def test_a_ladder_without_a_budget_is_told_and_tokens_of_limits_are_one() -> None:
    budgets = Budgets(run=Budget(seconds=60), ladder=(STEP,))
    agent = Agent(model=ScriptedModel("Yes."), budgets=budgets)
    with pytest.raises(ConfigError, match=r"budgets\.ladder: a step is taken when .* there is none; add one"):
        await agent.run("hi")
    await agent.run("hi", limits=Limits(tokens=5000))


def test_a_price_of_a_pool_is_told() -> None:
    with pytest.raises(ConfigError, match=r"prices: `pool:chat` is a pool, .* priced by their members"):
        Spending(prices={"pool:chat": Price(input=1, output=1)})


async def test_all_prices_that_are_missing_are_told_when_the_agent_is_opened() -> None:
    pool = Pool([ScriptedModel(name=name) for name in ("a:x", "a:y", "a:z")])
    rung = Rung(at=0.5, take="cheaper_model", model="ollama:tiny")
    budgets = Spending(Budgets(tenant=WindowBudget(money=1), ladder=(rung,)), prices=PRICED)
    with pytest.raises(ConfigError, match="price of `a:y`, `a:z`, `ollama:tiny` is not known"):
        await Agent(model=pool, budgets=budgets).open()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "model: ollama:x\nbudgets:\n  run: {calls: 3}\n  ladder:\n"
            "    - {at: 0.5, take: cheaper_model, model: 'compatible:zz'}\n",
            r"agent\.yaml:5:45: `compatible:zz` has no address",
        ),
        (
            "model: ollama:x\nbudgets:\n  run: {calls: 3}\n  ladder:\n"
            "    - {at: 0.5, take: cheaper_model, model: 'pool:chat', tier: 2}\n"
            "pools: {chat: {members: [ollama:y]}}\n",
            r"agent\.yaml:5:64: no member of `pool:chat` has tier 2; there are 0",
        ),
        (
            "model: ollama:x\nbudgets: {ladder: [{at: 0.5, take: no_tools}]}\n",
            r"agent\.yaml:2:19: a step is taken when",
        ),
        (
            "model: ollama:x\nbudgets: {run: {money: 1}}\n",
            "price of `ollama:x` is not known",
        ),
    ],
)
async def test_what_a_file_says_of_budgets_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    for name in ("STRETTO_MODEL", "STRETTO_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "agent.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        await Agent.from_folder(tmp_path).open()


async def test_a_call_that_fits_no_more_tells_of_the_shortest_answer_that_would_do() -> None:
    budgets = Budgets(run=Budget(tokens=20), ladder=(Rung(at=0.9, take="partial_answer"),))
    with pytest.raises(LimitReached, match=r"20 tokens and the next call may take [23]\d tokens"):
        await Agent(model=ScriptedModel("Yes."), budgets=budgets).run("hi")
