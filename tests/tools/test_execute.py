import asyncio
from typing import Any

import pytest

from stretto.context import Run, RunContext, current_context
from stretto.errors import ConfigError, Pause, ToolError
from stretto.events import Event, ToolFinished, ToolStarted
from stretto.messages import ToolCall
from stretto.steps import call_hash
from stretto.tools import tool
from stretto.tools.execute import DECLINED, execute


def context(answers: dict[str, Any] | None = None) -> tuple[RunContext, list[Event]]:
    events: list[Event] = []
    return RunContext(run=Run(sink=events.append), node="tools", answers=answers or {}), events


def table(*tools: Any) -> dict[str, Any]:
    return {each.name: each for each in tools}


@tool
async def echo(text: str) -> str:
    """Says it again."""
    return text


async def test_tools_run_side_by_side_and_results_keep_the_order():
    gate = asyncio.Event()

    @tool
    async def first() -> str:
        await gate.wait()
        return "one"

    @tool
    async def second() -> str:
        gate.set()
        return "two"

    ctx, events = context()
    calls = [ToolCall("a", "first"), ToolCall("b", "second")]
    results = await execute(calls, table(first, second), ctx)
    assert [(r.call_id, r.name, r.text, r.is_error) for r in results] == [
        ("a", "first", "one", False),
        ("b", "second", "two", False),
    ]
    assert [type(e) for e in events] == [ToolStarted, ToolStarted, ToolFinished, ToolFinished]
    assert [e.call_id for e in events if isinstance(e, ToolFinished)] == ["b", "a"]
    assert [(run.name, run.output) for run in ctx.run.tools] == [("first", "one"), ("second", "two")]


async def test_an_unknown_tool_names_the_closest_and_all():
    ctx, _ = context()
    (result,) = await execute([ToolCall("a", "ecko")], table(echo), ctx)
    assert result.is_error
    assert "no tool `ecko`. Did you mean `echo`? Tools: `echo`." in result.text
    assert ctx.run.tools[0].is_error


async def test_wrong_arguments_are_told_to_the_model():
    ctx, _ = context()
    (result,) = await execute([ToolCall("a", "echo", '{"txt": "x"}')], table(echo), ctx)
    assert result.is_error
    assert "`txt` is not known; it takes `text`" in result.text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ToolError("No order 7. Ask for the number."), "No order 7. Ask for the number."),
        (KeyError("order"), "The tool failed: KeyError: 'order'"),
        (ValueError("two\nlines"), "The tool failed: ValueError: two lines"),
        (StopIteration(), "The tool failed: "),
        (OSError("https://bob:hunter22@db/x?api_key=topsecret"), "https://***@db/x?api_key=***"),
        (ToolError("401 for Authorization: Bearer abcdef123456"), "Authorization: ***"),
        (RuntimeError("x" * 1000), "x" * 300 + "..."),
    ],
)
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_an_error_is_one_line_for_the_model_without_secrets(error: Exception, told: str, kind: str):
    def plain() -> None:
        raise error

    async def waiting() -> None:
        raise error

    failing = tool(
        plain if kind == "sync" else waiting,
    )
    ctx, events = context()
    (result,) = await execute([ToolCall("a", failing.name)], table(failing), ctx)
    assert result.is_error
    assert told in result.text
    assert not any(word in result.text for word in ("Traceback", "hunter22", "topsecret", "abcdef"))
    assert events[-1].is_error  # type: ignore[union-attr]


async def test_one_failing_tool_does_not_stop_the_others():
    @tool
    async def fails() -> None:
        raise ToolError("no")

    ctx, _ = context()
    results = await execute(
        [ToolCall("a", "fails"), ToolCall("b", "echo", '{"text":"x"}')], table(fails, echo), ctx
    )
    assert [(r.text, r.is_error) for r in results] == [("no", True), ("x", False)]


async def test_each_tool_sees_its_own_call():
    @tool
    def which(ctx: RunContext) -> str:
        return f"{ctx.call_id} {current_context().call_id} {ctx.node}"

    ctx, _ = context()
    results = await execute([ToolCall("a", "which"), ToolCall("b", "which")], table(which), ctx)
    assert [r.text for r in results] == ["a a tools", "b b tools"]
    assert current_context().call_id == ""


async def test_a_call_id_used_twice_runs_once():
    seen: list[str] = []

    @tool
    async def note(text: str) -> None:
        seen.append(text)

    ctx, _ = context()
    same = ToolCall("a", "note", '{"text":"x"}')
    results = await execute([same, same, ToolCall("a", "note", '{"text":"y"}')], table(note), ctx)
    assert seen == ["x"]
    assert [r.is_error for r in results] == [False, True, True]


@pytest.mark.parametrize(("effect", "times"), [("none", 2), ("idempotent", 2), ("once", 1)])
async def test_equal_calls_of_a_once_tool_in_one_message_run_once(effect: Any, times: int):
    seen: list[str] = []

    @tool(effect=effect)
    async def pay(order: str) -> None:
        seen.append(order)

    ctx, _ = context()
    calls = [ToolCall(name, "pay", '{"order":"7"}') for name in ("a", "b")]
    results = await execute(calls, table(pay), ctx)
    assert len(seen) == times
    assert results[1].is_error == (times == 1)


@tool(approval=True)
async def refund(order: str) -> str:
    """Pays money back."""
    return f"refunded {order}"


async def test_approvals_are_asked_in_one_pause_before_anything_runs():
    ran: list[str] = []

    @tool
    async def look() -> None:
        ran.append("look")

    calls = [
        ToolCall("a", "refund", '{"order":"7"}'),
        ToolCall("b", "look"),
        ToolCall("c", "refund", '{"order":"8"}'),
    ]
    ctx, events = context()
    with pytest.raises(Pause) as pause:
        await execute(calls, table(refund, look), ctx)
    assert pause.value.questions == {
        call.id: {
            "tool": "refund",
            "arguments": {"order": order},
            "hash": call_hash("refund", call.arguments),
        }
        for call, order in ((calls[0], "7"), (calls[2], "8"))
    }
    assert (ran, events) == ([], [])

    ctx, _ = context({"a": False, "c": True})
    results = await execute(calls, table(refund, look), ctx)
    assert [(r.text, r.is_error) for r in results] == [
        (DECLINED, True),
        ("done", False),
        ("refunded 8", False),
    ]
    assert ran == ["look"]


@pytest.mark.parametrize(
    ("answer", "runs"),
    [
        (True, True),
        ("yes", True),
        ({"approved": True}, True),
        (False, False),
        ("no", False),
        (None, False),
        (1, False),
        ("nothing", False),
        ({"approved": "no"}, False),
        ({}, False),
    ],
)
async def test_only_a_clear_yes_lets_a_call_run(answer: Any, runs: bool):
    ctx, _ = context({"a": answer})
    (result,) = await execute([ToolCall("a", "refund", '{"order":"7"}')], table(refund), ctx)
    assert result.is_error is not runs


async def test_approval_may_depend_on_the_arguments_and_asks_when_it_fails():
    def above_ten(arguments: Any) -> bool:
        return arguments["amount"] > 10

    @tool(approval=above_ten)
    async def pay(amount: int = 0) -> str:
        return f"paid {amount}"

    ctx, _ = context()
    (small,) = await execute([ToolCall("a", "pay", '{"amount":5}')], table(pay), ctx)
    assert small.text == "paid 5"
    for arguments in ('{"amount":50}', "{}"):
        with pytest.raises(Pause):
            await execute([ToolCall("a", "pay", arguments)], table(pay), ctx)


async def test_nobody_is_asked_about_a_call_that_cannot_run():
    ctx, _ = context()
    (result,) = await execute([ToolCall("a", "refund", '{"order":7}')], table(refund), ctx)
    assert result.is_error
    assert "`order`: expected `str`" in result.text


async def test_questions_of_tools_leave_as_one_pause_and_the_others_end():
    @tool
    async def ask(what: str, ctx: RunContext) -> str:
        return f"{what}: {ctx.interrupt(what)}"

    @tool
    def ask_in_a_thread(ctx: RunContext) -> str:
        return str(ctx.interrupt("thread?"))

    calls = [
        ToolCall("a", "ask", '{"what":"size?"}'),
        ToolCall("b", "echo", '{"text":"x"}'),
        ToolCall("c", "ask", '{"what":"colour?"}'),
        ToolCall("d", "ask_in_a_thread"),
    ]
    tools = table(ask, echo, ask_in_a_thread)
    ctx, _ = context()
    with pytest.raises(Pause) as pause:
        await execute(calls, tools, ctx)
    assert pause.value.questions == {"a": "size?", "c": "colour?", "d": "thread?"}
    assert [run.output for run in ctx.run.tools] == ["x"]

    ctx, _ = context({"a": "large", "c": "red", "d": "yes"})
    results = await execute(calls, tools, ctx)
    assert [r.text for r in results] == ["size?: large", "x", "colour?: red", "yes"]


async def test_two_questions_under_one_id_are_refused():
    @tool
    async def ask(what: str, ctx: RunContext) -> Any:
        return ctx.interrupt(what, call_id="mine")

    ctx, _ = context()
    calls = [ToolCall("a", "ask", '{"what":"x"}'), ToolCall("b", "ask", '{"what":"y"}')]
    with pytest.raises(ConfigError, match="`mine`"):
        await execute(calls, table(ask), ctx)


async def test_no_calls_give_no_results():
    ctx, events = context()
    assert await execute([], {}, ctx) == []
    assert events == []
