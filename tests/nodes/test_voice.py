"""A structured answer is shown as growing objects, and asked for once more when it does not fit."""

from dataclasses import dataclass

import pytest

from stretto.context import Run, RunContext
from stretto.errors import ModelUnavailable, OutputInvalid
from stretto.events import Event, OutputDelta, Retracted, TextDelta
from stretto.messages import Message, Refusal, ToolCall
from stretto.models.protocol import RetractPiece, TextPiece
from stretto.nodes import llm
from stretto.settings import ModelSettings
from stretto.testing import ScriptedModel
from stretto.tools import tool


@dataclass
class Bike:
    name: str
    frame: int


GOOD = '{"name": "the old red one", "frame": 54}'
BAD = '{"name": "the old red one", "frame": "tall"}'


@tool
def stock(product: str) -> str:
    """How many of a product are there.

    Args:
        product: Its name.
    """
    return GOOD


async def asked(model, **options) -> tuple[dict | Exception, list, RunContext, list[Event]]:
    """The update or the error, the partial objects, the context and all events of one turn."""
    events: list[Event] = []
    ctx = RunContext(Run(sink=events.append), node="answer")
    state = {"messages": [Message("user", "which?")], "question": "which?"}
    try:
        update = await llm(model, schema=Bike, **options)(state, ctx)
    except (OutputInvalid, ModelUnavailable) as error:
        update = error
    return update, [event.partial for event in events if isinstance(event, OutputDelta)], ctx, events


async def test_the_object_grows_and_its_raw_text_is_not_shown() -> None:
    model = ScriptedModel(GOOD)
    update, partials, _, events = await asked(model)
    assert update["output"] == Bike("the old red one", 54)
    assert {"name": "the old"} in partials
    assert partials[-1] == {"name": "the old red one", "frame": 54}
    assert not any(isinstance(event, TextDelta) for event in events)
    assert update["messages"][-1].text == GOOD
    assert model.requests[0].schema is not None


async def test_an_answer_that_does_not_fit_is_shown_to_the_model_with_the_reason() -> None:
    model = ScriptedModel(BAD, f"Sorry:\n```json\n{GOOD}\n```")
    update, partials, ctx, _ = await asked(model)
    assert update["output"] == Bike("the old red one", 54)
    assert partials[-1] == {"name": "the old red one", "frame": 54}
    _, own, fault = model.requests[1].messages
    assert (own.role, own.text) == ("assistant", BAD)
    assert "Expected `int`, got `str` - at `$.frame`" in fault.text
    assert model.requests[1].schema == model.requests[0].schema
    assert ctx.run.usage.calls == 2
    assert [message.text for message in update["messages"]] == [f"Sorry:\n```json\n{GOOD}\n```"]


async def test_a_second_answer_that_does_not_fit_is_a_typed_error_with_its_raw_text() -> None:
    error, partials, ctx, _ = await asked(ScriptedModel(BAD, "still {} nothing"))
    assert isinstance(error, OutputInvalid)
    assert error.partial == "still {} nothing"
    assert partials[-1] is None
    assert ctx.run.usage.calls == 2


@pytest.mark.parametrize(
    ("answer", "settings", "said"),
    [
        (GOOD, ModelSettings(max_tokens=3), "cut off; raise `max_tokens`"),
        (Message.assistant(Refusal("I must not.")), None, "declines to answer for `Bike`: I must not."),
        (ToolCall("1", "stock", "{}"), None, "calls tools instead"),
    ],
)
async def test_what_asking_again_would_not_mend_is_an_error_at_once(answer, settings, said: str) -> None:
    error, _, ctx, _ = await asked(ScriptedModel(answer), settings=settings, max_rounds=0)
    assert isinstance(error, OutputInvalid)
    assert said in str(error)
    assert ctx.run.usage.calls == 1


async def test_tools_run_before_the_object_comes_and_what_is_said_between_is_not_shown() -> None:
    model = ScriptedModel(["I look.", ToolCall("1", "stock", '{"product": "bike"}')], GOOD)
    update, _, _, events = await asked(model, tools=[stock])
    assert update["output"] == Bike("the old red one", 54)
    assert not any(isinstance(event, TextDelta) for event in events)


async def test_what_a_relayed_tool_returns_has_to_fit_too() -> None:
    model = ScriptedModel(ToolCall("1", "stock", '{"product": "bike"}'))
    update, partials, _, events = await asked(model, tools=[stock], relay=True)
    assert update["output"] == Bike("the old red one", 54)
    assert partials == [{"name": "the old red one", "frame": 54}]
    assert not any(isinstance(event, TextDelta) for event in events)


class Stumbling(ScriptedModel):
    """Takes its first words back, or dies after them."""

    def __init__(self, *turns, dies: bool = False) -> None:
        super().__init__(*turns)
        self.dies = dies

    async def stream(self, messages, **request):
        yield TextPiece('{"name": "wrong')
        if self.dies:
            raise ModelUnavailable("gone")
        yield RetractPiece(5)
        yield RetractPiece(10)
        async for piece in super().stream(messages, **request):
            yield piece


async def test_what_a_model_takes_back_leaves_the_object() -> None:
    update, partials, _, events = await asked(Stumbling(GOOD))
    assert partials[:3] == [{"name": "wrong"}, {"name": ""}, None]
    assert update["output"] == Bike("the old red one", 54)
    assert not any(isinstance(event, Retracted) for event in events)


async def test_an_object_shown_before_a_failure_is_taken_back() -> None:
    error, partials, _, _ = await asked(Stumbling(dies=True))
    assert isinstance(error, ModelUnavailable)
    assert partials == [{"name": "wrong"}, None]
