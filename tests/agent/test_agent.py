"""An agent answers, streams numbered events, remembers threads, pauses for a person, fails typed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent, Document, Image, KnowledgeBase, RunContext, tool
from stretto.errors import ConfigError, LimitReached, MediaNotFound, ModelUnavailable, ThreadError
from stretto.events import ErrorRaised, Interrupted, RunFinished, RunStarted, TextDelta, ToolStarted
from stretto.messages import ToolCall
from stretto.settings import Budget, Limits
from stretto.steps import call_hash
from stretto.testing import HashingEmbedder, ScriptedModel


@tool
def who(ctx: RunContext) -> str:
    """Who is asking."""
    return f"It is {ctx.deps['user']}."


@tool(effect="once", approval=True)
def refund(order: str) -> str:
    """Pays an order back.

    Args:
        order: Its number.
    """
    return f"paid back {order}"


async def test_a_question_is_answered_with_path_usage_and_timings() -> None:
    result = await Agent(model=ScriptedModel("Hello you.")).run("hi")
    assert result.output == "Hello you."
    assert result.path == ("answer",)
    assert result.usage.calls == 1
    assert 0 < result.timings["first_text"] <= result.timings["total"]
    assert result.status == "done"


async def test_the_stream_is_numbered_without_gaps_and_its_text_is_the_answer() -> None:
    events = [event async for event in Agent(model=ScriptedModel("Hello to all of you.")).stream("hi")]
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert events[-1].result is not None
    assert text == events[-1].result.output
    assert len({event.run_id for event in events}) == 1


def test_run_sync_gives_the_same_result() -> None:
    assert Agent(model=ScriptedModel("a", "b")).run_sync("hi").output == "a"


async def test_a_thread_is_remembered_and_another_is_not_mixed_in() -> None:
    model = ScriptedModel("one", "two", "three")
    agent = Agent(model=model)
    await agent.run("first", thread_id="anna")
    await agent.run("second", thread_id="anna")
    await agent.run("third", thread_id="ben")
    assert [message.text for message in model.requests[1].messages] == ["first", "one", "second"]
    assert [message.text for message in model.requests[2].messages] == ["third"]
    await agent.close()


async def test_threads_in_a_file_outlive_the_agent(tmp_path: Path) -> None:
    async with Agent(model=ScriptedModel("one"), threads=tmp_path / "t.sqlite") as agent:
        await agent.run("first", thread_id="anna")
    model = ScriptedModel("two")
    async with Agent(model=model, threads=tmp_path / "t.sqlite") as agent:
        await agent.run("second", thread_id="anna")
        assert [message.text for message in await agent.messages("anna")] == ["first", "one", "second", "two"]
    assert [message.text for message in model.requests[0].messages] == ["first", "one", "second"]


async def test_tools_see_the_callers_deps() -> None:
    agent = Agent(model=ScriptedModel(ToolCall("1", "who"), "Anna."), tools=[who])
    result = await agent.run("who am I?", deps={"user": "Anna"})
    assert result.tools[0].output == "It is Anna."


async def test_an_approval_pauses_the_turn_and_the_answer_resumes_it() -> None:
    script = [
        ToolCall("c1", "refund", '{"order": "A1"}'),
        ToolCall("c1", "refund", '{"order": "A1"}'),
        "Done.",
    ]
    agent = Agent(model=ScriptedModel(*script), tools=[refund])
    events = [event async for event in agent.stream("refund A1", thread_id="t")]
    asked = next(event for event in events if isinstance(event, Interrupted))
    bound = call_hash("refund", '{"order":"A1"}')
    assert asked.questions == {"c1": {"tool": "refund", "arguments": {"order": "A1"}, "hash": bound}}
    result = await agent.run(thread_id="t", answers={"c1": True})
    assert result.output == "Done."
    assert result.tools[-1].output == "paid back A1"
    await agent.close()


async def test_a_question_to_a_thread_that_waits_is_refused_with_what_it_waits_for() -> None:
    call = ToolCall("c1", "refund", '{"order": "A1"}')
    agent = Agent(model=ScriptedModel(call, call, "Done."), tools=[refund])
    await agent.run("refund A1", thread_id="t")
    with pytest.raises(
        ThreadError, match=r"`t` waits for an answer to `c1` .*refund.*answers=\{'c1': \.\.\.\}"
    ):
        await agent.run("something else", thread_id="t")
    result = await agent.run(thread_id="t", answers={"c1": False})
    assert result.output == "Done."
    assert [message.text for message in await agent.messages("t") if message.role == "user"] == ["refund A1"]
    await agent.close()


async def test_answers_come_instead_of_a_question_and_only_to_what_waits() -> None:
    agent = Agent(model=ScriptedModel("Hello."))
    with pytest.raises(ConfigError, match="not both"):
        await agent.run("hi", thread_id="t", answers={"c1": True})
    with pytest.raises(ThreadError, match="waits for no answer"):
        await agent.run(thread_id="t", answers={"c1": True})
    await agent.close()


async def test_an_agent_that_keeps_no_threads_says_so_when_asked_for_one() -> None:
    with pytest.raises(ThreadError, match="keeps no threads"):
        await Agent(model=ScriptedModel("Hello."), threads=None).messages("t")


async def test_knowledge_is_searched_and_cited(tmp_path: Path) -> None:
    text = "Unused goods can be returned within 30 days of the delivery."
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(Document(id="returns.md", text=text), Document(id="bells.md", text="Bells are loud."))
        agent = Agent(model=ScriptedModel("Unused goods can be returned within 30 days."), knowledge=kb)
        result = await agent.run("How long can unused goods be returned?")
        assert result.path == ("search", "answer")
        (citation,) = result.citations
        assert citation.document == "returns.md"
        assert (await kb.resolve(citation)).chunk.text == text


async def test_an_error_ends_the_stream_with_its_class_and_is_raised() -> None:
    agent = Agent(model=ScriptedModel(ModelUnavailable("nobody there")))
    events = []
    with pytest.raises(ModelUnavailable):
        async for event in agent.stream("hi"):
            events.append(event)
    assert [event.kind for event in events if isinstance(event, ErrorRaised)] == ["ModelUnavailable"]
    assert events[-1].status == "failed"


async def test_closing_the_stream_cancels_the_turn() -> None:
    ended = asyncio.Event()

    async def slow() -> str:
        """Takes for ever."""
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    stream = Agent(model=ScriptedModel(ToolCall("1", "slow"), "x"), tools=[slow]).stream("hi")
    async for event in stream:
        if isinstance(event, ToolStarted):
            break
    await stream.aclose()
    assert ended.is_set()


async def test_limits_of_tokens_and_seconds_are_typed() -> None:
    with pytest.raises(LimitReached, match=r"limits\.tokens"):
        await Agent(model=ScriptedModel("a b c d e f")).run("hi", limits=Limits(tokens=2))

    async def slow() -> str:
        """Takes for ever."""
        await asyncio.Event().wait()
        return ""

    agent = Agent(model=ScriptedModel(ToolCall("1", "slow"), "x"), tools=[slow], limits=Limits(seconds=0.05))
    with pytest.raises(LimitReached, match=r"limits\.seconds"):
        await agent.run("hi")


async def test_a_picture_that_is_not_there_is_our_error() -> None:
    with pytest.raises(MediaNotFound):
        await Agent(model=ScriptedModel("x")).run(["what?", Image("none.png")])


def test_what_cannot_be_is_refused_with_what_to_type() -> None:
    with pytest.raises(ConfigError, match="needs a model"):
        Agent()
    with pytest.raises(ConfigError, match="not both"):
        Agent(Agent(model=ScriptedModel()).graph, model=ScriptedModel())


async def test_a_run_needs_a_question() -> None:
    with pytest.raises(ConfigError, match="needs a question"):
        await Agent(model=ScriptedModel("x")).run()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"model": [ScriptedModel("a"), ScriptedModel("b")]},
            r"from stretto\.models import Pool.*Pool\(\[\.\.\.\]\)",
        ),
        ({"model": 5}, "`model` is a `int`; give a name such as"),
        ({"model": ScriptedModel}, "`model` is a `type`"),
        (
            {"budgets": Budget(calls=1)},
            r"budgets is a `Budget`.*from stretto\.settings import Budget, Budgets",
        ),
        ({"budgets": {"run": {"call": 1}}}, r"unknown field `call`.*from stretto\.settings import"),
        ({"budgets": {"run": {"calls": 0}}}, r"budgets: Expected `int` >= 1.*run\.calls"),
        ({"retention": 5}, r"from stretto\.threads import Retention"),
    ],
)
def test_an_argument_of_another_kind_is_told_with_what_to_type(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Agent(**{"model": ScriptedModel("x"), **given})


async def test_budgets_may_be_the_mapping_that_a_file_would_hold() -> None:
    agent = Agent(model=ScriptedModel("a", "b"), budgets={"thread": {"calls": 1}})
    await agent.run("hi", thread_id="t")
    with pytest.raises(LimitReached, match="1 calls"):
        await agent.run("hi", thread_id="t")
