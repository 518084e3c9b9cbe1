"""A long conversation is shown as a summary and its last turns; the thread keeps every message."""

from typing import Any

import pytest

from stretto import Agent, tool
from stretto._internal import faults
from stretto.context import Run, RunContext
from stretto.errors import ConfigError, ModelUnavailable
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Image, Message, ToolCall, ToolResult
from stretto.models.protocol import Capabilities
from stretto.nodes import compact, llm
from stretto.nodes.compact import HEAD
from stretto.testing import ScriptedModel, assert_valid_history
from stretto.threads import Retention
from stretto.threads.history import SUMMARY

SMALL = Capabilities(context=400)
WORDS = "word " * 10


def turns(number: int) -> list[Message]:
    """Turns with a call of a tool each; the last one is only asked yet."""
    said: list[Message] = []
    for turn in range(number):
        said += [
            Message("user", f"Question {turn}? {WORDS}", id=f"q{turn}"),
            Message("assistant", (ToolCall(f"c{turn}", "stock", f'{{"n": {turn}}}'),), id=f"k{turn}"),
            Message("tool", (ToolResult(f"c{turn}", f"{turn} are left", "stock"),), id=f"t{turn}"),
            Message("assistant", f"Answer {turn}. {WORDS}", id=f"a{turn}"),
        ]
    return said[:-3]


def context() -> RunContext:
    return RunContext(Run(), node="compact")


def writer(*said: Any) -> ScriptedModel:
    return ScriptedModel(*said, capabilities=Capabilities(context=4000))


async def test_nothing_is_asked_while_the_conversation_is_short() -> None:
    model = ScriptedModel(capabilities=Capabilities(context=100_000))
    assert await compact(model)({"messages": turns(20)}, context()) == {}
    assert await compact(ScriptedModel(capabilities=SMALL), keep=20)({"messages": turns(20)}, context()) == {}


async def test_older_turns_are_summed_up_whole_with_their_tools() -> None:
    ctx, author = context(), writer("They asked about ten things.")
    update = await compact(ScriptedModel(capabilities=SMALL), keep=3, writer=author)(
        {"messages": turns(13)}, ctx
    )
    summary = update["summary"]
    assert summary.text == HEAD + "They asked about ten things."
    assert summary.extra[SUMMARY] == {"through": "a9", "turns": 10}
    told = author.requests[0].messages[0].text
    assert "Person: Question 9?" in told and "Question 10" not in told
    assert 'Assistant calls stock({"n": 9})\nstock returns: 9 are left\nAssistant: Answer 9.' in told
    assert ctx.run.usage.calls == 1


async def test_a_second_summary_takes_over_the_first_and_goes_on_from_there() -> None:
    author = writer("Ten things.", "Ten things and six more.")
    node = compact(ScriptedModel(capabilities=Capabilities(context=800)), keep=3, writer=author)
    first = await node({"messages": turns(13)}, context())
    for number in (13, 14, 15):
        assert await node({"messages": turns(number), **first}, context()) == {}
    second = await node({"messages": turns(19), **first}, context())
    assert second["summary"].extra[SUMMARY] == {"through": "a15", "turns": 16}
    told = author.requests[1].messages[0].text
    assert "Ten things." in told and HEAD not in told
    assert "Question 9" not in told and "Question 10?" in told and "Question 15?" in told


async def test_a_beginning_too_long_for_the_writer_is_summed_up_piece_by_piece() -> None:
    author = ScriptedModel(
        otherwise=lambda asked: f"Part {asked.messages[0].text.count('Part')}.",
        capabilities=Capabilities(context=2600),
    )
    update = await compact(ScriptedModel(capabilities=SMALL), keep=1, writer=author)(
        {"messages": turns(60)}, context()
    )
    assert 1 < len(author.requests) < 10
    assert update["summary"].extra[SUMMARY] == {"through": "a58", "turns": 59}
    seen = "".join(request.messages[0].text for request in author.requests)
    assert all(seen.count(f"Question {turn}?") == 1 for turn in range(59))


async def test_a_turn_longer_than_the_writer_takes_is_cut() -> None:
    long = [Message("user", "word " * 20_000, id="q"), Message("assistant", "Yes.", id="a"), *turns(3)]
    author = ScriptedModel("Much.", "Much and more.", capabilities=Capabilities(context=2600))
    update = await compact(ScriptedModel(capabilities=SMALL), keep=2, writer=author)(
        {"messages": long}, context()
    )
    assert update["summary"].extra[SUMMARY]["turns"] == 2
    assert all(len(request.messages[0].text) < 6000 for request in author.requests)


async def test_pictures_are_told_in_words_and_rules_are_left_where_they_are() -> None:
    said = [
        Message("system", "Be kind.", id="s"),
        Message("user", ["What is this?", Image("https://a/b.png", name="x.png", alt="a bell")], id="q"),
        *turns(12),
    ]
    author = writer("Much.")
    await compact(ScriptedModel(capabilities=SMALL), writer=author)({"messages": said}, context())
    told = author.requests[0].messages[0].text
    assert "Person: [picture x.png: a bell]" in told and "Be kind" not in told


@pytest.mark.parametrize("failure", [ModelUnavailable("it is down"), "  "])
async def test_where_no_summary_can_be_written_the_turn_goes_on_and_says_so(failure: Any) -> None:
    ctx = context()
    update = await compact(ScriptedModel(capabilities=SMALL), writer=writer(failure))(
        {"messages": turns(13)}, ctx
    )
    (missing,) = update["missing"]
    assert "summary" not in update and ctx.run.missing == [missing] and missing.node == "compact"
    assert "could not be summed up" in missing.reason


async def test_what_was_summed_up_before_a_failure_is_kept() -> None:
    author = ScriptedModel("Some.", ModelUnavailable("it is down"), capabilities=Capabilities(context=2600))
    update = await compact(ScriptedModel(capabilities=SMALL), keep=1, writer=author)(
        {"messages": turns(60)}, context()
    )
    assert update["missing"] and 0 < update["summary"].extra[SUMMARY]["turns"] < 59


@pytest.mark.parametrize("wrong", [{"over": 0}, {"over": 1.5}, {"keep": 0}])
def test_a_share_or_number_out_of_range_is_told(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="over is above 0"):
        compact(ScriptedModel(), **wrong)


async def test_its_places_are_reached_before_and_after_a_summary() -> None:
    reached: list[str] = []
    faults.listen(reached.append)
    try:
        node = compact(ScriptedModel(capabilities=SMALL), writer=writer("Much."))
        await node({"messages": turns(13)}, context())
    finally:
        faults.listen(None)
    assert reached == ["compact.before", "compact.after"]


# ---- in a graph


def conversing(model: ScriptedModel, author: ScriptedModel, **options: Any) -> Graph:
    graph = Graph(Conversation).add_node("compact", compact(model, keep=2, writer=author))
    graph.add_node("answer", llm(model, prompt="Be kind.", history=None, **options))
    return graph.add_edge(START, "compact").add_edge("compact", "answer").add_edge("answer", END)


@pytest.mark.parametrize("turns_kept", [None, 8])
async def test_an_agent_is_shown_the_summary_and_all_that_it_does_not_stand_for(
    turns_kept: int | None, tmp_path: Any
) -> None:
    model = ScriptedModel(otherwise=lambda _: f"So be it. {WORDS}", capabilities=SMALL)
    author = ScriptedModel(otherwise=lambda asked: "They talked.", capabilities=Capabilities(context=4000))
    retention = Retention(turns=turns_kept)
    async with Agent(conversing(model, author), threads=tmp_path / "t.sqlite", retention=retention) as agent:
        for turn in range(12):
            await agent.run(f"Question {turn}? {WORDS}", thread_id="t")
        kept = [message for message in await agent.messages("t") if message.role == "user"]
    assert author.requests
    assert len(kept) == (turns_kept or 12)
    for request in model.requests:
        assert_valid_history(request.messages)
    asked = model.requests[-1].messages
    text = "\n".join(message.text for message in asked)
    assert asked[0] == Message.system("Be kind.")
    assert asked[1].role == "user" and asked[1].text.startswith(HEAD + "They talked.")
    shown = [turn for turn in range(12) if f"Question {turn}?" in text]
    assert shown == list(range(shown[0], 12)) and shown[0] > 0
    if turns_kept is None:
        (last,) = {request.messages[0].text.count("Question") for request in author.requests[-1:]}
        assert last and f"Question {shown[0] - 1}?" in author.requests[-1].messages[0].text


async def test_behind_the_answer_it_keeps_nobody_waiting_and_serves_the_next_turn() -> None:
    model = ScriptedModel(otherwise=lambda _: f"So be it. {WORDS}", capabilities=SMALL)
    author = ScriptedModel(otherwise=lambda _: "They talked.", capabilities=Capabilities(context=4000))
    graph = Graph(Conversation).add_node("answer", llm(model, history=None))
    graph.add_node("compact", compact(model, keep=1, writer=author))
    graph.add_edge(START, "answer").add_edge("answer", "compact").add_edge("compact", END)
    async with Agent(graph, threads="memory") as agent:
        while not author.requests:
            result = await agent.run(f"Question {WORDS}", thread_id="t")
        assert str(result.output).startswith("So be it.")
        await agent.run("And?", thread_id="t")
    assert HEAD in model.requests[-1].messages[0].text


async def test_where_no_summary_can_be_written_the_oldest_turns_are_left_out() -> None:
    @tool
    def stock() -> str:
        """How many."""
        return "23 " * 20

    def answer(asked: Any) -> Any:
        return ToolCall("", "stock") if asked.messages[-1].role == "user" else f"So be it. {WORDS}"

    model = ScriptedModel(otherwise=answer, capabilities=SMALL)
    author = ScriptedModel(otherwise=lambda _: ModelUnavailable("it is down"))
    async with Agent(conversing(model, author, tools=[stock]), threads="memory") as agent:
        for turn in range(14):
            result = await agent.run(f"Question {turn}? {WORDS}", thread_id="t")
    assert "could not be summed up" in result.missing[0].reason
    text = "\n".join(message.text for message in model.requests[-1].messages)
    assert "Question 13?" in text and "Question 0?" not in text
