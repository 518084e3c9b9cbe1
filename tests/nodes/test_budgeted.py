"""A model within budgets: asked before each call, each rung of the ladder, refusal before a request."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from stretto.budgets import Prices, open_ledger
from stretto.context import Run, RunContext
from stretto.documents import Chunk, Document, Hit
from stretto.errors import LimitReached, ModelUnavailable
from stretto.events import BudgetLow, Event, TextDelta
from stretto.messages import Message, ToolCall
from stretto.models.protocol import Piece, Reply, complete
from stretto.nodes import affordable, llm
from stretto.nodes.budgeted import priced
from stretto.settings import Budget, Budgets, ModelSettings, Price, Rung
from stretto.testing import ScriptedModel
from stretto.tools import tool
from stretto.usage import Usage


@tool
def stock(product: str) -> str:
    """How many of a product are there.

    Args:
        product: Its name.
    """
    return f"{product}: 23"


def run_with(budgets: Budgets | None, *, models: Any = None) -> tuple[RunContext, list[Event]]:
    events: list[Event] = []
    run = Run(sink=events.append)
    run.ledger = open_ledger(run, budgets=budgets, prices=Prices() if budgets else None, models=models)
    return RunContext(run).at("answer"), events


async def spent(ctx: RunContext, usage: Usage) -> None:
    """Lets the run have used so much already."""
    ctx.spend(usage, model="local:x")
    assert ctx.run.ledger is not None
    await ctx.run.ledger.shares("answer")


def steps(events: Sequence[Event]) -> list[tuple[str, str, float]]:
    return [(event.step, event.budget, event.share) for event in events if isinstance(event, BudgetLow)]


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def asks(*texts: str) -> dict[str, Any]:
    return {"messages": [Message.user(text) for text in texts]}


def test_without_budgets_it_is_the_model_itself() -> None:
    model = ScriptedModel("x")
    ctx, _ = run_with(None)
    assert affordable(model, ctx) is model


async def test_a_call_that_cannot_be_afforded_is_never_made() -> None:
    model = ScriptedModel("Hello.")
    ctx, events = run_with(Budgets(run=Budget(tokens=5)))
    with pytest.raises(LimitReached) as refused:
        await llm(model)(asks("What is this?"), ctx)
    assert refused.value.limit == "run.tokens"
    assert not model.requests
    assert text_of(events) == ""


async def test_a_budget_of_calls_holds_within_the_rounds_of_a_node() -> None:
    call = ToolCall("", "stock", '{"product": "bells"}')
    model = ScriptedModel(call, call, call)
    ctx, _ = run_with(Budgets(nodes={"answer": Budget(calls=2)}))
    with pytest.raises(LimitReached, match="node `answer` of this run may use 2 calls"):
        await llm(model, tools=[stock])(asks("How many bells?"), ctx)
    assert len(model.requests) == 2


async def test_the_cheaper_model_answers_once_the_share_is_spent() -> None:
    dear, cheap = ScriptedModel("Dear.", name="a:dear"), ScriptedModel("Cheap.", name="a:cheap")
    rung = Rung(at=0.5, take="cheaper_model", model="a:cheap")
    ctx, events = run_with(Budgets(run=Budget(calls=4), ladder=(rung,)), models={"a:cheap": cheap})
    assert (await llm(dear)(asks("One?"), ctx))["output"] == "Dear."
    await spent(ctx, Usage(calls=1))
    assert (await llm(dear)(asks("Two?"), ctx))["output"] == "Cheap."
    assert steps(events) == [("cheaper_model", "run.calls", 0.5)]


async def test_a_tier_is_asked_for_where_the_model_is_a_pool() -> None:
    model = ScriptedModel("One.")
    ctx, _ = run_with(Budgets(run=Budget(calls=9), ladder=(Rung(at=0, take="cheaper_model", tier=0),)))
    await llm(model, settings=ModelSettings(tier=2))(asks("One?"), ctx)
    assert model.requests[0].settings.tier == 0


async def test_less_context_shows_fewer_turns_and_passages() -> None:
    model = ScriptedModel("Yes.", "Yes.")
    rung = Rung(at=0.5, take="less_context", history=1, passages=1)
    ctx, events = run_with(Budgets(run=Budget(calls=2), ladder=(rung,)))
    document = Document(id="a", text="x")
    hits = [
        Hit(document=document, chunk=Chunk(id=str(n), document="a", text=f"passage {n}"), score=1.0)
        for n in range(3)
    ]
    state = {
        "messages": [Message.user("Old?"), Message.assistant("Old."), Message.user("New?")],
        "hits": hits,
    }
    node = llm(model)
    await node(state, ctx)
    await node(state, ctx)
    assert [len(request.messages) for request in model.requests] == [3, 1]
    assert steps(events) == [("less_context", "run.calls", 0.5)]


async def test_no_tools_are_offered_once_the_share_is_spent() -> None:
    model = ScriptedModel(ToolCall("", "stock", '{"product": "bells"}'), "There are 23.")
    ctx, events = run_with(Budgets(run=Budget(calls=2), ladder=(Rung(at=0.5, take="no_tools"),)))
    assert (await llm(model, tools=[stock])(asks("How many bells?"), ctx))["output"] == "There are 23."
    assert [len(request.tools) for request in model.requests] == [1, 0]
    assert steps(events) == [("no_tools", "run.calls", 0.5)]


async def test_a_partial_answer_is_as_long_as_what_is_left_and_says_so() -> None:
    model = ScriptedModel("word " * 200)
    ctx, events = run_with(Budgets(run=Budget(tokens=100), ladder=(Rung(at=0.9, take="partial_answer"),)))
    result = await llm(model)(asks("Tell me all."), ctx)
    assert result["output"].startswith("word word")
    assert result["output"].endswith(
        "(This answer is not complete: the budget `run.tokens` is nearly used up.)"
    )
    assert text_of(events) == result["output"] == result["messages"][-1].text
    assert 16 <= (model.requests[0].settings.max_tokens or 0) < 100
    assert ctx.run.usage.total_tokens <= 100
    assert steps(events) == [("partial_answer", "run.tokens", 1.0)]


async def test_an_answer_that_is_cut_without_that_step_is_an_error() -> None:
    model = ScriptedModel("word " * 200)
    ctx, _ = run_with(Budgets(run=Budget(tokens=100)))
    said = r"cut after \d+ tokens.*budgets\.run\.tokens.*`partial_answer`"
    with pytest.raises(LimitReached, match=said) as cut:
        await llm(model)(asks("Tell me all."), ctx)
    assert cut.value.limit == "run.tokens"
    assert 0 < ctx.run.usage.total_tokens <= 100


async def test_an_answer_that_ends_by_itself_is_not_called_partial() -> None:
    model = ScriptedModel("Short.")
    ctx, _ = run_with(Budgets(run=Budget(tokens=100), ladder=(Rung(at=0, take="partial_answer"),)))
    assert (await llm(model)(asks("Tell me."), ctx))["output"] == "Short."


async def test_when_nothing_is_left_a_run_that_began_ends_with_what_it_has() -> None:
    model = ScriptedModel(["I look. ", ToolCall("", "stock", '{"product": "bells"}')])
    ctx, events = run_with(Budgets(run=Budget(calls=1), ladder=(Rung(at=0.99, take="partial_answer"),)))
    result = await llm(model, tools=[stock])(asks("How many bells?"), ctx)
    assert len(model.requests) == 1
    assert result["output"].startswith("I look. ")
    assert result["output"].endswith("the budget `run.calls` is nearly used up.)")
    assert text_of(events) == result["output"]


async def test_a_call_that_does_not_fit_takes_the_whole_ladder_before_it_is_refused() -> None:
    cheap = ScriptedModel("Cheap.", name="local:cheap")
    dear = ScriptedModel(name="openai:gpt-4o")
    rung = Rung(at=0.99, take="cheaper_model", model="local:cheap")
    ctx, events = run_with(Budgets(run=Budget(money=1e-9), ladder=(rung,)), models={"local:cheap": cheap})
    assert (await llm(dear)(asks("One?"), ctx))["output"] == "Cheap."
    assert [step for step, _, _ in steps(events)] == ["cheaper_model"]


async def test_a_rung_is_told_once_a_run() -> None:
    model = ScriptedModel("a", "b", "c")
    ctx, events = run_with(Budgets(run=Budget(calls=9), ladder=(Rung(at=0, take="no_tools"),)))
    for _ in range(3):
        await complete(affordable(model, ctx), [Message.user("x")])
    assert len(steps(events)) == 1


async def test_a_call_that_fails_gives_back_its_tokens_but_was_a_call() -> None:
    model = ScriptedModel(ModelUnavailable("nobody there"))
    ctx, _ = run_with(Budgets(run=Budget(tokens=10_000), nodes={"answer": Budget(calls=2)}))
    with pytest.raises(ModelUnavailable):
        await llm(model)(asks("x"), ctx)
    assert ctx.run.ledger is not None
    assert await ctx.run.ledger.shares("answer") == (0.5, "answer.calls")
    assert await ctx.run.ledger.shares("other") == (0.0, "")


async def test_a_stream_that_is_left_counts_by_what_came() -> None:
    model = ScriptedModel("word " * 50)
    ctx, _ = run_with(Budgets(run=Budget(tokens=10_000)))
    stream: Any = affordable(model, ctx).stream([Message.user("x" * 300)])
    for _ in range(10):
        await anext(stream)
    await stream.aclose()
    assert ctx.run.ledger is not None
    share, _ = await ctx.run.ledger.shares("answer")
    assert 0.01 < share < 0.02


def test_a_pool_is_priced_by_its_members() -> None:
    class Member:
        def __init__(self, name: str) -> None:
            self.model = ScriptedModel(name=name)

    class Pool(ScriptedModel):
        members = (Member("a:x"), Member("b:y"))

    assert priced(Pool(name="pool:chat")) == ("a:x", "b:y")
    assert priced(ScriptedModel(name="a:x")) == ("a:x",)


async def test_the_reply_of_a_model_is_left_as_it_is_since_others_may_hear_it_too() -> None:
    class Kept(ScriptedModel):
        reply = Reply(Message.assistant("I have not looked."), Usage(10, 5, calls=1))

        async def stream(self, *args: Any, **options: Any) -> AsyncIterator[Piece]:
            yield self.reply

    budgets = Budgets(run=Budget(calls=9), ladder=(Rung(at=0, take="partial_answer"),))
    run = Run()
    run.ledger = open_ledger(run, budgets=budgets, prices=Prices({"a:x": Price(input=10, output=30)}))
    model = affordable(Kept(name="a:x"), RunContext(run).at("answer"))
    told = await complete(model, [Message.user("How many?")], tools=[stock.spec])
    assert "not complete" in told.message.text and told.usage.cost
    assert Kept.reply == Reply(Message.assistant("I have not looked."), Usage(10, 5, calls=1))
