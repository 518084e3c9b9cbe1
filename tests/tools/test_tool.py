import asyncio
import contextvars
import inspect
import threading
from dataclasses import dataclass

import pytest

from stretto.context import RunContext, current_context, use_context
from stretto.errors import ConfigError, ToolError, ToolTimeout
from stretto.messages import Audio, File, Image, Text
from stretto.tools import tool
from stretto.tools.results import MAX_TEXT
from stretto.usage import Usage

CONTEXT = RunContext()


@tool
def add(a: int, b: int = 2) -> int:
    """Adds two numbers."""
    return a + b


def test_a_tool_is_still_its_function():
    assert add(1) == 3
    assert add.__name__ == "add"
    assert add.__doc__ == "Adds two numbers."
    assert list(inspect.signature(add).parameters) == ["a", "b"]


def test_a_tool_tells_its_name_and_description():
    @tool(name="sum-up", description="Sums.", effect="once", timeout=None)
    def other(a: int) -> int:
        """Not this."""
        return a

    assert (other.spec.name, other.spec.description, other.effect) == ("sum-up", "Sums.", "once")

    @tool
    def find_order(number: str) -> str:
        return number

    assert find_order.spec.description == "find order"


@pytest.mark.parametrize("settings", [{"name": "no spaces"}, {"effect": "twice"}, {"timeout": 0}])
def test_a_wrong_setting_is_refused_with_the_place(settings: dict):
    with pytest.raises(ConfigError, match=r"test_tool\.py:\d+"):
        tool(**settings)(lambda: None)


async def test_a_sync_function_leaves_the_loop_and_keeps_its_context():
    place = contextvars.ContextVar("place", default="nowhere")

    @tool
    def where() -> dict:
        """Says where it runs."""
        return {"thread": threading.get_ident(), "place": place.get(), "run": current_context().run_id}

    place.set("here")
    use_context(CONTEXT)
    (part,) = await where.run("{}", CONTEXT)
    assert isinstance(part, Text)
    assert f'"place":"here","run":"{CONTEXT.run_id}"' in part.text
    assert str(threading.get_ident()) not in part.text


async def test_the_run_context_is_filled_in():
    @tool
    async def whose(name: str, ctx: RunContext | None = None) -> str:
        assert ctx is not None
        return f"{name} of {ctx.run_id}"

    assert await whose.run('{"name": "x"}', CONTEXT) == (Text(f"x of {CONTEXT.run_id}"),)


async def test_an_async_tool_that_takes_too_long_is_stopped():
    stopped = asyncio.Event()

    @tool(timeout=0.01)
    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    with pytest.raises(ToolTimeout, match=r"`slow` did not end within 0\.01 seconds"):
        await slow.run("{}", CONTEXT)
    assert stopped.is_set()


async def test_a_sync_tool_that_takes_too_long_is_left_behind():
    gate, ended = threading.Event(), threading.Event()

    @tool(timeout=0.01)
    def slow() -> None:
        gate.wait()
        ended.set()

    with pytest.raises(ToolTimeout):
        await slow.run("{}", CONTEXT)
    gate.set()
    assert await asyncio.to_thread(ended.wait, 10)


async def test_a_timeout_of_the_tools_own_is_not_ours():
    @tool
    async def own() -> None:
        raise TimeoutError("the printer is slow")

    with pytest.raises(TimeoutError, match="printer"):
        await own.run("{}", CONTEXT)


async def test_a_tool_cannot_cancel_or_end_the_program():
    @tool
    async def cancelled() -> None:
        raise asyncio.CancelledError

    @tool
    def leaves() -> None:
        raise SystemExit(3)

    for each in (cancelled, leaves):
        with pytest.raises(ToolError, match=each.name):
            await each.run("{}", CONTEXT)


async def test_cancelling_the_caller_cancels_the_tool():
    started = asyncio.Event()

    @tool
    async def waits() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(waits.run("{}", CONTEXT))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (None, (Text("done"),)),
        ("text", (Text("text"),)),
        ("", (Text(""),)),
        (3, (Text("3"),)),
        ({"a": [1, None]}, (Text('{"a":[1,null]}'),)),
        ([], (Text("[]"),)),
        (["a", "b"], (Text('["a","b"]'),)),
        (Point(1), (Text('{"x":1}'),)),
        (
            Usage(1),
            (
                Text(
                    '{"input_tokens":1,"output_tokens":0,"cached_tokens":0,"reasoning_tokens":0,"calls":0,'
                    '"cost":0.0}'
                ),
            ),
        ),
        (Image("a.png"), (Image("a.png"),)),
        (["see", Image("a.png"), File("b.pdf")], (Text("see"), Image("a.png"), File("b.pdf"))),
        ((Audio("a.wav"),), (Audio("a.wav"),)),
    ],
)
async def test_what_a_tool_returns_becomes_parts(value: object, parts: tuple):
    @tool
    async def give() -> object:
        return value

    assert await give.run("{}", CONTEXT) == parts


@pytest.mark.parametrize(
    ("value", "advice"), [(b"raw", "Image.from_bytes"), (object(), "JSON"), (add, "JSON")]
)
async def test_what_no_model_can_read_is_refused_with_advice(value: object, advice: str):
    @tool
    async def give() -> object:
        return value

    with pytest.raises(ToolError, match=advice):
        await give.run("{}", CONTEXT)


async def test_a_long_result_is_cut_with_a_note():
    @tool
    async def give() -> list:
        return ["a" * MAX_TEXT, Image("a.png"), "b" * 10]

    first, picture, note = await give.run("{}", CONTEXT)
    assert isinstance(first, Text)
    assert isinstance(note, Text)
    assert (first.text, picture) == ("a" * MAX_TEXT, Image("a.png"))
    assert f"the first {MAX_TEXT} of {MAX_TEXT + 10} characters" in note.text
