"""Whatever happened to a thread's last turn, what the model is sent next is valid, and the person is heard.

`ScriptedModel` refuses any other conversation; `Wire` keeps what an endpoint is really sent.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent, Model, tool
from stretto.context import RunContext
from stretto.errors import ThreadError
from stretto.graph import END, START, Conversation, Graph
from stretto.graph.langchain import langchain_node
from stretto.messages import Message, ToolCall, ToolResult
from stretto.models.protocol import Capabilities
from stretto.nodes import llm, tools
from stretto.testing import ChatServer, ScriptedModel, assert_valid_history
from stretto.threads.history import NOT_ENDED

WORDS = "word " * 20


class Crash(BaseException):
    """The process ends here."""


def asked(model: ScriptedModel) -> list[Message]:
    return list(model.requests[-1].messages)


def results(messages: list[Message]) -> list[str]:
    return [part.text for message in messages for part in message.parts if isinstance(part, ToolResult)]


def loop_of_nodes(model: ScriptedModel, tool_list: list[Any]) -> Graph:
    """A tool loop made of nodes: the call is in the thread before its tool runs."""
    table = {one.name: one for one in tool_list}

    async def ask(state: Conversation) -> Conversation:
        reply = None
        async for piece in model.stream(state["messages"], tools=[one.spec for one in tool_list]):
            reply = piece
        return {"messages": [reply.message]}  # type: ignore[union-attr]

    graph = Graph(max_steps=20).add_node("ask", ask).add_node("act", tools(list(table.values())))
    graph.add_edge(START, "ask").add_edge("act", "ask")
    return graph.add_route(
        "ask", lambda state: "act" if state["messages"][-1].tool_calls else END, ["act", END]
    )


@pytest.mark.parametrize("threads", ["memory", "sqlite"])
@pytest.mark.parametrize("nodes", [False, True])
async def test_after_a_turn_cancelled_in_a_tool_the_next_one_is_valid(
    nodes: bool, threads: str, tmp_path: Path
) -> None:
    inside = asyncio.Event()

    @tool
    async def pay() -> str:
        """Pays."""
        inside.set()
        await asyncio.Event().wait()
        return ""

    model = ScriptedModel([ToolCall("c1", "pay"), ToolCall("c2", "pay")], "Well.")
    where = tmp_path / "t.sqlite" if threads == "sqlite" else "memory"
    agent = (
        Agent(loop_of_nodes(model, [pay]), threads=where)
        if nodes
        else Agent(model=model, tools=[pay], threads=where)
    )
    turn = asyncio.create_task(agent.run("Pay!", thread_id="t"))
    async with asyncio.timeout(20):
        await inside.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    await agent.run("And now?", thread_id="t")
    said = "\n".join(message.text for message in asked(model) if message.role == "user")
    assert "Pay!" in said and "And now?" in said
    assert results(asked(model)) == [NOT_ENDED] * 2
    await agent.close()


async def test_after_a_crash_behind_the_assistant_message_the_thread_goes_on(tmp_path: Path) -> None:
    """The process ends between the node that asks and the one that acts: what is kept ends with the call."""
    model = ScriptedModel(ToolCall("c1", "pay"), "Well.")

    @tool
    async def pay() -> str:
        """Pays."""
        raise Crash

    agent = Agent(loop_of_nodes(model, [pay]), threads=tmp_path / "t.sqlite")
    with pytest.raises(Crash):
        await agent.run("Pay!", thread_id="t")
    after = Agent(loop_of_nodes(model, [pay]), threads=tmp_path / "t.sqlite")
    assert [message.role for message in await after.messages("t")] == ["user", "assistant"]
    await after.run("And now?", thread_id="t")
    assert [message.role for message in asked(model)] == ["user", "assistant", "tool", "user"]
    assert results(asked(model)) == [NOT_ENDED]
    await agent.close()
    await after.close()


async def test_a_waiting_thread_refuses_a_question_and_is_valid_once_it_is_answered() -> None:
    @tool(approval=True)
    def pay() -> str:
        """Pays."""
        return "paid"

    calls = [ToolCall("c1", "pay"), ToolCall("c2", "pay")]
    model = ScriptedModel(calls, calls, "Done.", "Well.")  # it is asked again when the node goes on
    async with Agent(model=model, tools=[pay], threads="memory") as agent:
        await agent.run("Pay!", thread_id="t")
        with pytest.raises(ThreadError, match="waits for an answer to `c1`"):
            await agent.run("And now?", thread_id="t")
        result = await agent.run(thread_id="t", answers={"c1": True, "c2": False})
        await agent.run("And now?", thread_id="t")
    assert result.status == "done" and results(asked(model))[0] == "paid"
    assert [message.role for message in asked(model)][-2:] == ["assistant", "user"]


async def test_a_call_that_waits_and_a_new_question_are_valid_together() -> None:
    """As a program that plays the graph itself would put them."""
    said = [
        Message.user("Pay!"),
        Message.assistant("I pay.", ToolCall("c1", "pay"), ToolCall("c2", "pay")),
        Message.user("And now?"),
        Message.tool(ToolResult("c2", "paid")),
    ]
    model = ScriptedModel("Well.")
    await llm(model)({"messages": said, "question": "And now?"}, RunContext())
    assert [message.role for message in asked(model)] == ["user", "assistant", "tool", "user"]
    assert results(asked(model)) == [NOT_ENDED, "paid"]


async def test_trimming_in_the_middle_of_rounds_of_tools_leaves_whole_rounds(tmp_path: Path) -> None:
    @tool
    def look(place: int) -> str:
        """Looks.

        Args:
            place: Where.
        """
        return f"{place}: {WORDS}"

    def play(request: Any) -> Any:
        place = sum(message.role == "tool" for message in request.messages[-8:])
        return [ToolCall("", "look", f'{{"place": {place}}}')] * 2 if request.tools else f"Done. {WORDS}"

    model = ScriptedModel(otherwise=play, capabilities=Capabilities(context=600))
    async with Agent(model=model, tools=[look], threads=tmp_path / "t.sqlite") as agent:
        for turn in range(6):
            await agent.run(f"Question {turn}? {WORDS}", thread_id="t")
            assert f"Question {turn}?" in "".join(message.text for message in asked(model))
        kept = await agent.messages("t")
    assert sum(message.role == "user" for message in kept) == 6
    assert len(asked(model)) < len(kept) / 2


async def test_a_history_that_langchain_wrote_reaches_an_endpoint_as_it_takes_it() -> None:
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

    async def foreign(state: dict[str, Any]) -> dict[str, Any]:
        call = {"name": "stock", "args": {"product": "bell"}, "id": "l1", "type": "tool_call"}
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        return {
            "messages": [
                SystemMessage("Be brief."),
                AIMessage(
                    [{"type": "text", "text": "I look.", "id": "x"}], tool_calls=[call], usage_metadata=usage
                ),
                HumanMessage([{"type": "text", "text": "Quick!", "cache_control": {"type": "ephemeral"}}]),
                ToolMessage("23", tool_call_id="l1", artifact={"rows": 3}, response_metadata={"took": 1}),
                ToolMessage("lost", tool_call_id="unknown"),
                AIMessage("", response_metadata={"finish_reason": "stop"}),
            ]
        }

    async with ChatServer("There are 23.") as server:
        model = Model("compatible:x", base_url=server.url)
        graph = Graph(Conversation).add_node("foreign", langchain_node(foreign))
        graph.add_node("answer", llm(model, prompt="Be kind."))
        graph.add_edge(START, "foreign").add_edge("foreign", "answer").add_edge("answer", END)
        async with Agent(graph) as agent:
            await agent.run("How many?")
        sent = list(server.requests[0].messages)
        await model.close()
    assert_valid_history(sent)
    assert [message.role for message in sent] == ["system", "user", "assistant", "tool", "user"]
    assert sent[0].text == "Be kind.\n\nBe brief." and results(sent) == ["23"]
    assert "langchain" not in repr(sent) and sent[4].text == "Quick!"
