import pytest

from stretto.errors import RateLimited
from stretto.messages import Message, Text, ToolCall
from stretto.models.protocol import Reply, TextPiece, ToolCallPiece, complete
from stretto.settings import ModelSettings
from stretto.testing.scripted import ScriptedModel, ScriptUsedUp, tokens_of

ASK = [Message.user("Hello there")]


async def test_plays_its_turns_in_order():
    model = ScriptedModel("One two three.", ToolCall("c1", "look", '{"a": 1}'), Message.assistant("End"))
    first = [piece async for piece in model.stream(ASK)]
    assert [piece.text for piece in first if isinstance(piece, TextPiece)] == ["One", " two", " three."]
    second = await complete(model, ASK)
    assert second.finish == "tool_calls"
    assert second.message.tool_calls == (ToolCall("c1", "look", '{"a": 1}'),)
    assert (await complete(model, ASK)).message.text == "End"
    assert model.remaining == 0


async def test_a_text_and_two_calls_in_one_turn_get_ids():
    model = ScriptedModel(["I look.", ToolCall("", "a"), ToolCall("", "b", '{"x": 2}')])
    pieces = [piece async for piece in model.stream(ASK)]
    reply = pieces[-1]
    assert isinstance(reply, Reply)
    assert [(call.id, call.name) for call in reply.message.tool_calls] == [("call_1", "a"), ("call_2", "b")]
    assert {piece.index for piece in pieces if isinstance(piece, ToolCallPiece)} == {0, 1}


async def test_a_turn_may_be_a_function_of_the_messages():
    model = ScriptedModel(lambda messages: messages[-1].text.upper())
    assert (await complete(model, ASK)).message.text == "HELLO THERE"


async def test_a_turn_may_be_an_exception():
    with pytest.raises(RateLimited) as caught:
        await complete(ScriptedModel(RateLimited("slow down", retry_after=2)), ASK)
    assert caught.value.retry_after == 2


async def test_says_when_the_script_is_used_up():
    model = ScriptedModel("only one")
    await complete(model, ASK)
    with pytest.raises(ScriptUsedUp, match=r"1 turn\(s\).*Hello there.*add a turn"):
        await complete(model, ASK)


async def test_records_what_it_was_asked_even_when_it_fails():
    model = ScriptedModel(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await complete(model, ASK, settings=ModelSettings(temperature=0.5))
    (request,) = model.requests
    assert request.messages == tuple(ASK)
    assert request.settings.temperature == 0.5


async def test_counts_the_same_usage_each_time():
    usages = [(await complete(ScriptedModel("One two three."), ASK)).usage for _ in range(2)]
    assert usages[0] == usages[1]
    assert (usages[0].input_tokens, usages[0].output_tokens, usages[0].calls) == (5, 3, 1)


async def test_cuts_at_max_tokens_also_inside_a_tool_call():
    text = await complete(ScriptedModel("a b c d"), ASK, settings=ModelSettings(max_tokens=2))
    assert (text.message.text, text.finish, text.usage.output_tokens) == ("a b", "length", 2)
    call = ScriptedModel(ToolCall("c", "f", '{"a": 1, "b": 2}'))
    reply = await complete(call, ASK, settings=ModelSettings(max_tokens=2))
    assert (reply.message.tool_calls[0].arguments, reply.finish) == ('{"a": 1,', "length")


async def test_a_stream_left_early_is_counted_as_closed():
    model = ScriptedModel("a b c")
    stream = model.stream(ASK)
    await anext(stream)
    assert model.open_streams == 1
    await stream.aclose()
    assert model.open_streams == 0


async def test_a_turn_of_a_wrong_kind_is_refused():
    with pytest.raises(TypeError, match="not 42"):
        await complete(ScriptedModel(42), ASK)


@pytest.mark.parametrize("text", ["", " ", "a", "  a b\n\nc  ", "é à", "line\n"])
def test_tokens_join_to_the_text(text):
    assert "".join(tokens_of(text)) == text


async def test_the_message_keeps_its_parts():
    reply = await complete(ScriptedModel(Message.assistant(Text("a "), Text("b"))), ASK)
    assert reply.message == Message.assistant(Text("a "), Text("b"))
