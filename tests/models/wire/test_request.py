import pytest

from stretto.errors import ConfigError
from stretto.messages import Message, Reasoning, ToolSpec
from stretto.models.protocol import OutputSchema
from stretto.models.providers import PROVIDERS, Usual
from stretto.models.wire.request import request_body
from stretto.settings import ModelSettings

ASK = [Message.user("Hello")]
TOOL = ToolSpec("look", "Looks.", {"type": "object"})


def body(settings=None, **more):
    return request_body("m", ASK, settings=settings or ModelSettings(), **more)


def test_what_nobody_asked_for_is_not_sent():
    assert sorted(body()) == ["messages", "model", "stream", "stream_options"]


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_the_three_words_of_tool_choice_are_sent_as_they_are(choice):
    assert body(ModelSettings(tool_choice=choice), tools=[TOOL])["tool_choice"] == choice


def test_tool_choice_without_tools_is_not_sent():
    assert "tool_choice" not in body(ModelSettings(tool_choice="required"))


def test_a_tool_choice_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(
        ConfigError, match="tool_choice is `lok`; allowed are auto, none, required and the tools look"
    ):
        body(ModelSettings(tool_choice="lok"), tools=[TOOL])


def test_the_limit_of_tokens_is_called_as_the_endpoint_calls_it():
    settings = ModelSettings(max_tokens=5)
    assert body(settings)["max_tokens"] == 5
    asked = body(settings, usual=Usual(max_tokens_field="max_completion_tokens"))
    assert (asked["max_completion_tokens"], "max_tokens" in asked) == (5, False)


@pytest.mark.parametrize(
    ("name", "sent"), [("Ämter & Co", "_mter___Co"), ("", "output"), ("x" * 90, "x" * 64)]
)
def test_the_name_of_a_schema_is_made_one_that_endpoints_take(name, sent):
    asked = body(schema=OutputSchema(name, {"type": "object"}, strict=False))
    assert asked["response_format"]["json_schema"] == {
        "name": sent,
        "schema": {"type": "object"},
        "strict": False,
    }


def test_reasoning_goes_back_only_where_it_is_wanted():
    history = [Message.assistant(Reasoning("hm"), "Yes")]
    assert request_body("m", history, settings=ModelSettings())["messages"] == [
        {"role": "assistant", "content": "Yes"}
    ]
    kept = request_body("m", history, settings=ModelSettings(), usual=Usual(reasoning=True))["messages"][0]
    assert kept["reasoning_content"] == "hm"


GOING_ON = {"continue_final_message": True, "add_generation_prompt": False}


@pytest.mark.parametrize(
    ("provider", "last", "prefill", "sent"),
    [
        ("vllm", Message.assistant("One, two"), True, GOING_ON),
        ("vllm", Message.user("Count."), True, {}),
        ("vllm", Message.assistant("One, two"), False, {}),
        ("llamacpp", Message.assistant("One, two"), True, {}),
        ("compatible", Message.assistant("One, two"), True, {}),
    ],
)
def test_going_on_behind_a_text_is_asked_for_as_the_provider_wants_it(provider, last, prefill, sent):
    usual = PROVIDERS[provider].usual
    asked = request_body("m", [*ASK, last], settings=ModelSettings(), usual=usual, prefill=prefill)
    assert {name: asked[name] for name in GOING_ON if name in asked} == sent
    assert asked["messages"][-1] == {"role": last.role, "content": last.text}
