"""What is sent in one call fits the model's context, and is valid for every endpoint."""

from typing import Any

import pytest

from stretto.context import Run, RunContext
from stretto.messages import Image, Message, ToolCall, ToolResult, ToolSpec
from stretto.models import tokens
from stretto.models.protocol import Capabilities
from stretto.models.tokens import count
from stretto.nodes import llm
from stretto.nodes.fitted import fitted, room_of
from stretto.settings import ModelSettings
from stretto.testing import ScriptedModel, assert_valid_history
from stretto.tools import tool
from stretto.usage import Usage

WORDS = "word " * 20


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_ratios", {})


def model_of(context: int, **more: Any) -> ScriptedModel:
    return ScriptedModel(capabilities=Capabilities(context=context, vision=True), **more)


def turns(number: int) -> list[Message]:
    said = [Message.system("Be kind.")]
    for turn in range(number):
        said += [Message.user(f"Question {turn}? {WORDS}"), Message.assistant(f"Answer {turn}. {WORDS}")]
    return said[:-1]


async def test_what_fits_is_sent_whole_and_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unused(*_: Any) -> Any:
        raise AssertionError("a vocabulary is asked")

    monkeypatch.setattr(tokens, "_counted", unused)
    sent = await fitted(turns(20), model_of(10_000))
    assert sent.messages == turns(20) and sent.tokens == 0


async def test_what_does_not_fit_is_cut_to_the_context_less_the_answer_and_the_tools() -> None:
    model, spec = model_of(1000), ToolSpec("look", WORDS * 12, {"type": "object"})
    plain, answer = await fitted(turns(40), model), ModelSettings(max_tokens=500)
    with_tool = await fitted(turns(40), model, [spec])
    shorter = await fitted(turns(40), model, (), answer)
    assert 400 < plain.tokens <= 750 and 300 < with_tool.tokens <= 750 and 250 < shorter.tokens <= 500
    assert len(plain.messages) > len(with_tool.messages) >= len(shorter.messages)
    for sent in (plain, with_tool, shorter):
        assert_valid_history(sent.messages)
        assert sent.messages[0].text == "Be kind." and sent.messages[-1].text.startswith("Question 39?")


async def test_old_pictures_make_room_by_their_formula() -> None:
    said = [
        Message.user("Look.", Image("https://a/b.png", width=1024, height=1024)),
        Message.assistant("Yes."),
    ] * 4
    sent = await fitted([*said, Message.user("And?")], model_of(3000))
    assert sum(len(message.media) for message in sent.messages) == 2


async def test_what_is_sent_begins_at_the_same_message_for_some_turns_on_end() -> None:
    begins = [(await fitted(turns(n), model_of(1000))).messages[1].text.split("?")[0] for n in range(20, 40)]
    assert len(set(begins)) <= 4


async def test_it_learns_from_what_the_endpoint_reports() -> None:
    model = model_of(1000)
    sent = await fitted(turns(40), model)
    for _ in range(10):
        sent = await fitted(turns(40), model)
        sent.note(model, Usage(round(1.5 * await count(sent.messages)), 10, calls=1))
    assert await count(sent.messages, (), model) == pytest.approx(1.5 * await count(sent.messages), rel=0.03)
    assert sent.tokens <= 750


async def test_a_reply_from_a_cache_teaches_nothing() -> None:
    model = model_of(1000)
    (await fitted(turns(40), model)).note(model, Usage())
    assert tokens._ratios == {}


def test_room_is_left_for_the_answer() -> None:
    assert room_of(model_of(100_000)) == 100_000 - 1024
    assert room_of(model_of(1000)) == 750
    assert room_of(model_of(1000), ModelSettings(max_tokens=100)) == 900
    assert room_of(model_of(1000), ModelSettings(max_tokens=5000)) == 250


async def test_a_node_that_plays_many_rounds_of_tools_stays_within_the_context() -> None:
    @tool
    def look(place: int) -> str:
        """Looks.

        Args:
            place: Where.
        """
        return f"{place}: {WORDS}"

    calls = [ToolCall(f"c{number}", "look", f'{{"place": {number}}}') for number in range(30)]
    model = ScriptedModel(*calls, "Done.", capabilities=Capabilities(context=500))
    update = await llm(model, tools=[look], max_rounds=40)(
        {"messages": [Message.user("Look everywhere.")]}, RunContext(Run(), node="answer")
    )
    assert update["output"] == "Done." and len(update["messages"]) == 61  # the thread keeps every round
    last = model.requests[-1].messages
    assert last[0].text == "Look everywhere." and last[-1].parts[0].text.startswith("29:")  # type: ignore[union-attr]
    assert 4 < len(last) < 30


async def test_answers_to_calls_that_share_an_id_reach_their_calls() -> None:
    @tool
    def look(place: int) -> str:
        """Looks.

        Args:
            place: Where.
        """
        return f"seen {place}"

    twice = Message.assistant(ToolCall("c", "look", '{"place": 1}'), ToolCall("c", "look", '{"place": 2}'))
    model = ScriptedModel(twice, "Done.")
    await llm(model, tools=[look])({"messages": [Message.user("Look.")]}, RunContext(Run(), node="answer"))
    _, call, results = model.requests[1].messages
    assert [one.id for one in call.tool_calls] == ["c", "c_1"]
    assert [part.call_id for part in results.parts if isinstance(part, ToolResult)] == ["c", "c_1"]
