"""Two calls have one key when their answers would be alike, whatever ids and deadlines they carry."""

import pytest

from stretto.messages import Image, Message, ToolCall, ToolResult, ToolSpec
from stretto.models.cached.key import key_of
from stretto.models.protocol import OutputSchema
from stretto.settings import ModelSettings

SCOPE = ("default", "m:1", "")
TOOL = ToolSpec("stock", "How many.", {"type": "object"})


def key(*messages: Message, scope=SCOPE, tools=(), schema=None, settings=None) -> str:
    return key_of(scope, messages or (Message.user("hi"),), tools, schema, settings)


def looked(call_id: str, other: str = "") -> list[Message]:
    return [
        Message.user("pumps?"),
        Message.assistant(ToolCall(call_id, "stock")),
        Message.tool(ToolResult(other or call_id, "23")),
    ]


def test_ids_and_deadlines_say_nothing() -> None:
    assert key(Message("user", "hi", id="a")) == key(Message("user", "hi", id="b"))
    assert key(*looked("c1")) == key(*looked("c2"))
    assert key(settings=ModelSettings(timeout=1, first_token=2, idle=3)) == key()
    assert key(settings=ModelSettings(extra={"a": 1, "b": 2})) == key(
        settings=ModelSettings(extra={"b": 2, "a": 1})
    )


@pytest.mark.parametrize(
    "other",
    [
        key(Message.user("ho")),
        key(Message.system("hi")),
        key(Message.user("h", "i")),
        key(Message.user("hi", Image("https://x/y.png"))),
        key(Message("user", "hi", extra={"cache_control": 1})),
        key(scope=("other", "m:1", "")),
        key(scope=("default", "m:2", "")),
        key(scope=("defaultm:1", "", "")),
        key(tools=(TOOL,)),
        key(schema=OutputSchema("x", {"type": "object"})),
        key(settings=ModelSettings(temperature=0.0)),
        key(settings=ModelSettings(seed=1)),
        key(settings=ModelSettings(extra={"a": 1})),
    ],
)
def test_everything_else_does(other: str) -> None:
    assert other != key()


def test_a_result_of_another_call_is_another_conversation() -> None:
    assert key(*looked("c1")) != key(*looked("c1", "c2"))
