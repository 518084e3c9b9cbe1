"""What a model is shown of pictures: the newest that fit, each once more only where it is asked about."""

from stretto.context import RunContext
from stretto.messages import Image, Message, Text, ToolCall, ToolResult
from stretto.models.protocol import Capabilities
from stretto.nodes.shown import newest_pictures, seen
from stretto.settings import MediaRules
from stretto.testing import ScriptedModel


def seeing(context: int = 128_000) -> ScriptedModel:
    rules = MediaRules(base=0, per_tile=250)  # a picture of 512 x 512 costs 250
    return ScriptedModel(capabilities=Capabilities(vision=True, context=context, media=rules))


def picture(name: str, **more: str) -> Image:
    return Image(f"media:{name * 64}", "image/png", name, width=512, height=512, **more)  # type: ignore[arg-type]


def asked(*names: str) -> list[Message]:
    """A turn for each name, with a picture of that name."""
    return [
        message
        for name in names
        for message in (Message.user("What is this?", picture(name)), Message.assistant("It is blue."))
    ]


def names(messages: list[Message]) -> str:
    """The names of the pictures that are shown."""
    return "".join(part.name for message in messages for part in message.parts if isinstance(part, Image))


def test_all_pictures_stay_while_there_is_room():
    messages = asked("a", "b", "c", "d")
    assert newest_pictures(messages, seeing()) == messages


def test_the_newest_pictures_that_fit_stay_and_the_others_are_named():
    messages = asked(*"abcdef")
    messages[0] = Message.user("What is this?", picture("a", alt="a red bell"))
    shown = newest_pictures(messages, seeing(context=1600))  # a quarter is left for the answer
    assert names(shown) == "def"
    assert shown[0] == Message.user("What is this?", Text("[picture a: a red bell]"))
    assert shown[2].parts[1] == Text("[picture b: not described]")
    assert [message.role for message in shown] == [message.role for message in messages]


def test_the_picture_that_is_asked_about_stays_even_where_it_does_not_fit():
    assert names(newest_pictures(asked(*"abc"), seeing(context=100))) == "c"
    assert names(newest_pictures(asked("a"), seeing(context=100))) == "a"


def test_long_text_leaves_room_for_fewer_pictures():
    messages = [*asked(*"abc"), Message.user("word " * 200), *asked("d")]
    assert names(newest_pictures(messages, seeing(context=2000))) == "abcd"
    messages[6] = Message.user("word " * 600)
    assert names(newest_pictures(messages, seeing(context=2000))) == "d"


def test_base64_counts_nothing():
    inline = Image.from_bytes(bytes(2_000_000), "image/png", name="i")
    messages = [Message.user(inline), *asked("a")]
    assert names(newest_pictures(messages, seeing(context=8000))) == "ia"


def test_pictures_give_way_in_steps_so_that_a_prompt_keeps_its_beginning():
    turns = [
        names(newest_pictures(asked(*"abcdefghijklmnopqrstuvwxyz"[:count]), seeing(8000)))
        for count in range(2, 27)
    ]
    begins = [shown[0] for shown in turns]
    assert len(set(begins)) <= 3, "most turns begin as the one before"
    assert all(shown[-1] == "abcdefghijklmnopqrstuvwxyz"[at] for at, shown in enumerate(turns, 1))


def test_one_picture_in_every_question_is_shown_first_and_last():
    messages = asked(*"aaaaa")
    shown = newest_pictures(messages, seeing())
    assert [names([message]) for message in shown[::2]] == ["a", "", "", "", "a"]
    longer = newest_pictures(asked(*"aaaaaa"), seeing())
    assert longer[:8] == shown[:8], "what came before the last question stays as it was"


def test_pictures_of_tool_results_give_way_too():
    call = Message.assistant(ToolCall("1", "chart"))
    result = Message.tool(ToolResult("1", (Text("Sales:"), picture("a"))))
    shown = newest_pictures([Message.user("How?"), call, result, *asked(*"bcd")], seeing(context=1300))
    told = shown[2].parts[0]
    assert isinstance(told, ToolResult)
    assert told.content == (Text("Sales:"), Text("[picture a: not described]"))


async def test_a_model_that_does_not_see_gets_words_alone():
    blind = ScriptedModel(capabilities=Capabilities())
    messages = asked(*"ab")
    assert newest_pictures(messages, blind) == messages
    assert names(await seen(messages, blind, RunContext())) == ""
