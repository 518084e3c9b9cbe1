"""`llm` shows text as it comes, runs tools, attributes the answer, and says what was missing."""

import pytest

from stretto.context import Run, RunContext
from stretto.documents import Chunk, Document, Hit
from stretto.errors import BadResponse, ModelUnavailable
from stretto.events import Cited, Event, Retracted, TextDelta
from stretto.messages import Image, Message, ToolCall, ToolResult
from stretto.models.protocol import Capabilities
from stretto.nodes import llm, say
from stretto.nodes.node import last_turns
from stretto.prompts import Prompt
from stretto.results import Missing
from stretto.testing import ScriptedModel
from stretto.tools import tool


@tool
def stock(product: str) -> str:
    """How many of a product are there.

    Args:
        product: Its name.
    """
    return f"{product}: 23"


@tool
def broken(product: str) -> str:
    """A tool whose shop is closed.

    Args:
        product: Its name.
    """
    raise OSError("the shop's computer is off")


def asking(question: str, **more) -> dict:
    return {"messages": [Message("user", question)], "question": question, **more}


def watched() -> tuple[RunContext, list[Event]]:
    events: list[Event] = []
    return RunContext(Run(sink=events.append), node="answer"), events


def shown(events: list[Event]) -> str:
    text = ""
    for event in events:
        if isinstance(event, TextDelta):
            text += event.text
        elif isinstance(event, Retracted):
            text = text[: len(text) - event.length]
    return text


def hit(text: str) -> Hit:
    return Hit(Document("returns.md", title="Returns"), Chunk("c1", "returns.md", text, 0, len(text)), 1.0)


async def test_the_text_shown_is_the_text_of_the_answer() -> None:
    ctx, events = watched()
    update = await llm(ScriptedModel("Good morning to you."))(asking("hi"), ctx)
    assert update["output"] == shown(events) == "Good morning to you."
    assert [message.role for message in update["messages"]] == ["assistant"]
    assert ctx.run.usage.calls == 1


async def test_a_tool_is_run_and_its_result_goes_back_to_the_model() -> None:
    ctx, _ = watched()
    model = ScriptedModel(ToolCall("1", "stock", '{"product": "pump"}'), "There are 23.")
    update = await llm(model, tools=[stock])(asking("pumps?"), ctx)
    assert [message.role for message in update["messages"]] == ["assistant", "tool", "assistant"]
    assert update["messages"][1].parts[0].text == "pump: 23"
    assert ctx.run.tools[0].name == "stock"
    assert update["output"] == "There are 23."


async def test_the_tool_loop_is_bounded_and_the_last_call_has_no_tools() -> None:
    ctx, _ = watched()
    again = [ToolCall(str(n), "stock", '{"product": "pump"}') for n in range(2)]
    model = ScriptedModel(*again, "Enough.")
    update = await llm(model, tools=[stock], max_rounds=2)(asking("pumps?"), ctx)
    assert update["output"] == "Enough."
    assert [bool(request.tools) for request in model.requests] == [True, True, False]


async def test_a_tool_chosen_for_the_model_is_the_only_one_offered_and_has_to_be_called() -> None:
    async def offer(state, ctx):
        return "stock"

    ctx, _ = watched()
    model = ScriptedModel(ToolCall("1", "stock", '{"product": "pump"}'), "23.")
    await llm(model, tools=[broken, stock], offer=offer)(asking("pumps?"), ctx)
    first, second = model.requests
    assert [spec.name for spec in first.tools] == ["stock"]
    assert first.settings.tool_choice == "stock"
    assert [spec.name for spec in second.tools] == ["broken", "stock"]
    assert second.settings.tool_choice is None


async def test_what_a_relayed_tool_returns_is_the_answer_without_a_second_call() -> None:
    ctx, events = watched()
    model = ScriptedModel(ToolCall("1", "stock", '{"product": "pump"}'))
    update = await llm(model, tools=[stock], relay=True)(asking("pumps?"), ctx)
    assert update["output"] == shown(events) == "pump: 23"
    assert [message.role for message in update["messages"]] == ["assistant", "tool", "assistant"]
    assert len(model.requests) == 1


async def test_what_was_missing_is_said_before_the_answer_and_a_broken_tool_behind_it() -> None:
    ctx, events = watched()
    model = ScriptedModel(ToolCall("1", "broken", '{"product": "pump"}'), "I do not know.")
    state = asking("pumps?", missing=[Missing("search", "the store is closed")])
    update = await llm(model, tools=[broken])(state, ctx)
    assert update["output"].index("the store is closed") < update["output"].index("I do not know.")
    assert "broken" in update["output"].split("I do not know.")[1]
    assert shown(events) == update["output"]


async def test_text_shown_before_a_failure_is_taken_back_exactly() -> None:
    ctx, events = watched()
    model = ScriptedModel(ModelUnavailable("gone", partial="Grüße 👋🏽"))
    with pytest.raises(ModelUnavailable):
        await llm(model)(asking("hi"), ctx)
    assert shown(events) == ""


async def test_the_answer_is_attributed_to_the_passages_the_model_saw() -> None:
    ctx, events = watched()
    passage = "You can return unused goods within 30 days of the day on the receipt."
    model = ScriptedModel("You can return unused goods within 30 days.")
    update = await llm(model, cite=True)(asking("how long?", hits=[hit(passage)]), ctx)
    (citation,) = update["citations"]
    assert citation.document == "returns.md"
    assert citation.quote in passage
    assert [event.citation for event in events if isinstance(event, Cited)] == [citation]


async def test_the_prompt_is_filled_and_the_conversation_keeps_what_was_written() -> None:
    ctx, _ = watched()
    model = ScriptedModel("yes")
    ask = Prompt("ask", "{{passages}}\nQ: {{question}}")
    update = await llm(model, prompt="Be kind.", ask=ask)(asking("how long?", hits=[hit("30 days.")]), ctx)
    system, user = model.requests[0].messages
    assert system.text == "Be kind."
    assert user.text == "[1] Returns\n30 days.\nQ: how long?"
    assert len(update["messages"]) == 1


async def test_a_picture_becomes_words_for_a_model_that_does_not_see() -> None:
    ctx, _ = watched()
    model = ScriptedModel("ok", capabilities=Capabilities(vision=False))
    picture = Image("media:" + "0" * 64, media_type="image/png", name="r.png", alt="a receipt")
    state = {"messages": [Message.user("what is it?", picture)], "question": "what is it?"}
    await llm(model)(state, ctx)
    assert "a receipt" in model.requests[0].messages[-1].text


async def test_say_says_its_text_and_what_was_missing() -> None:
    ctx, events = watched()
    update = await say("Sorry.")({"missing": [Missing("answer", "no model")]}, ctx)
    assert "no model" in update["output"]
    assert update["output"].endswith("Sorry.")
    assert shown(events) == update["output"]


def test_history_is_cut_at_user_messages_so_that_no_tool_result_is_orphaned() -> None:
    call = Message.assistant(ToolCall("1", "stock"))
    turns = [
        Message("user", "a"), call, Message.tool(ToolResult("1", "x")), Message("assistant", "b"),
        Message("user", "c"), Message("assistant", "d"),
    ]  # fmt: skip
    assert [message.text for message in last_turns(turns, 1)] == ["c", "d"]
    assert last_turns(turns, 2) == turns


async def test_a_call_without_a_result_is_shown_with_one_that_says_so() -> None:
    first = Message("assistant", (ToolCall("c1", "stock", "{}"), ToolCall("c2", "stock", "{}")))
    half = Message.tool(ToolResult("c1", "23", "stock"))
    model = ScriptedModel("Well.")
    await llm(model)({"messages": [Message.user("a"), first, half, Message.user("b")]}, watched()[0])
    asked = model.requests[0].messages
    assert [message.role for message in asked] == ["user", "assistant", "tool", "user"]
    known, told = asked[2].parts
    assert known == half.parts[0]
    assert isinstance(told, ToolResult) and told.call_id == "c2" and told.is_error


async def test_a_model_that_answers_nothing_is_down() -> None:
    ctx, _ = watched()
    with pytest.raises(BadResponse, match="scripted:model answered nothing; it ended by `stop`"):
        await llm(ScriptedModel(Message.assistant()))(asking("hi"), ctx)
    assert ctx.run.usage.calls == 1
