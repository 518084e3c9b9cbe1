"""The cache of `ChatServer` counts the tokens that a request and the beginning of an earlier one share."""

from stretto.messages import Image, Message, ToolCall, ToolResult, ToolSpec
from stretto.models import Model
from stretto.models.protocol import complete
from stretto.testing import ChatServer
from stretto.testing.prefix import PrefixCache
from stretto.testing.scripted import Request, count_tokens

SYSTEM = Message.system("Be brief and kind.")


def asking(*messages: Message, tools: tuple[ToolSpec, ...] = ()) -> Request:
    return Request(messages, tools)


def test_what_was_there_before_is_counted_like_any_token() -> None:
    cache = PrefixCache()
    call, result = Message.assistant(ToolCall("c", "stock", '{"a": 1}')), Message.tool(ToolResult("c", "23"))
    first = asking(SYSTEM, Message.user("one two"), call, result)
    assert cache.read(first) == 0
    assert cache.read(first) == count_tokens(first.messages)
    assert cache.read(asking(*first.messages, Message.user("three"))) == count_tokens(first.messages)


def test_it_ends_where_the_first_token_differs() -> None:
    cache = PrefixCache()
    cache.read(asking(SYSTEM, Message.user("one two three")))
    assert cache.read(asking(SYSTEM, Message.user("one two four"))) == count_tokens([SYSTEM]) + 3 + 2
    assert cache.read(asking(Message.system("Be long."), Message.user("one two three"))) == 3 + 1
    picture = Message.user("one two three", Image("https://x/y.png"))
    assert cache.read(asking(SYSTEM, picture)) == count_tokens([SYSTEM])


def test_other_tools_share_nothing() -> None:
    cache = PrefixCache()
    cache.read(asking(SYSTEM))
    tool = ToolSpec("stock", "How many.", {"type": "object"})
    assert cache.read(asking(SYSTEM, tools=(tool,))) == 0


async def test_the_server_reports_it_where_it_is_asked_to() -> None:
    for cached in (True, False):
        async with ChatServer("a", "b", prefix_cache=cached) as server:
            model = Model("compatible:x", base_url=server.url)
            usages = [(await complete(model, [SYSTEM])).usage for _ in range(2)]
            await model.close()
        assert [usage.cached_tokens for usage in usages] == [0, 7 if cached else 0]
