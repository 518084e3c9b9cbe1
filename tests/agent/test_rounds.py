"""What the tools of a stopped or left turn did stays in the conversation: the model does not do it again."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent, tool
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message, Text, ToolCall
from stretto.nodes import llm, tools
from stretto.testing import ScriptedModel
from stretto.threads.history import NOT_ENDED, valid_history

CALLS = [ToolCall("c1", "pay", '{"sum": 3}'), ToolCall("c2", "wait", "{}"), ToolCall("c3", "look", "{}")]


class Desk:
    """Tools of which one pays at once and one never ends, and a model that asks for both."""

    def __init__(self) -> None:
        self.paid: list[int] = []
        self.inside = asyncio.Event()

        @tool(effect="once")
        async def pay(sum: int) -> str:
            """Pays."""
            self.paid.append(sum)
            return f"paid {sum}"

        @tool(effect="once")
        async def wait() -> str:
            """Waits."""
            self.inside.set()
            await asyncio.Event().wait()
            return ""

        @tool
        async def look() -> str:
            """Looks."""
            return "seen"

        self.tools = [pay, wait, look]
        self.model = ScriptedModel(otherwise=self._say)

    def _say(self, asked: Any) -> Any:
        users = [message for message in asked.messages if message.role == "user"]
        return ["I pay.", *CALLS] if len(users) == 1 and "wait" not in users[-1].text else "Well."

    def agent(self, where: Any, **options: Any) -> Agent:
        return Agent(model=self.model, tools=self.tools, threads=where, **options)

    def loop_of_nodes(self, where: Any) -> Agent:
        async def ask(state: Conversation) -> Conversation:
            users = [message for message in state["messages"] if message.role == "user"]
            said = (Text("I pay."), *CALLS) if len(users) == 1 else (Text("Well."),)
            return {"messages": [Message("assistant", said)], "output": "Well."}

        graph = Graph().add_node("ask", ask).add_node("act", tools(self.tools))
        graph.add_edge(START, "ask").add_edge("act", END)
        graph.add_route("ask", lambda state: "act" if state["messages"][-1].tool_calls else END, ["act", END])
        return Agent(graph, threads=where)


def told(messages: list[Message]) -> list[tuple[str, str]]:
    return [
        (message.role, message.text or "|".join(getattr(part, "text", "") for part in message.parts))
        for message in messages
    ]


async def rows(agent: Agent) -> int:
    database = (await agent._opened.kept()).database
    return (await database.transact(lambda c: c.execute("SELECT COUNT(*) FROM journal").fetchone()))[0]


@pytest.mark.parametrize("kind", ["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
async def test_a_stopped_turn_keeps_what_its_tools_did(kind: str, tmp_path: Path, request: Any) -> None:
    where = {"memory": "memory", "sqlite": tmp_path / "t.sqlite"}.get(kind) or request.getfixturevalue(kind)
    desk = Desk()
    agent = desk.agent(where)
    started = await agent.start("pay three", thread_id="t")
    await desk.inside.wait()
    assert await agent.stop(started.run_id)
    done = [("user", "pay three"), ("assistant", "I pay."), ("tool", f"paid 3|{NOT_ENDED}|seen")]
    messages = await agent.messages("t")
    assert told(messages) == done and valid_history(messages) == messages
    assert (await agent.result(started.run_id)).status == "stopped" and not await rows(agent)
    assert (await agent.run("and now?", thread_id="t")).output == "Well." and desk.paid == [3]
    assert told(desk.model.requests[-1].messages)[-4:-1] == done, "the model is told"
    await agent.close()


@pytest.mark.parametrize("how", ["left", "merge", "nodes"])
async def test_a_left_turn_that_a_question_closes_keeps_what_its_tools_did(how: str, tmp_path: Path) -> None:
    desk = Desk()
    where = tmp_path / "t.sqlite"
    agent = desk.loop_of_nodes(where) if how == "nodes" else desk.agent(where)
    if how == "merge":
        agent = desk.agent(where, second_turn="merge")
    turn = asyncio.create_task(agent.run("pay three", thread_id="t"))
    await desk.inside.wait()
    if how != "merge":
        turn.cancel()
        with suppress(asyncio.CancelledError):
            await turn
    assert (await agent.run("and now?", thread_id="t")).output == "Well." and desk.paid == [3]
    if how == "merge":
        assert (await turn).output == "Well."
    done = [("user", "pay three"), ("assistant", "I pay."), ("tool", f"paid 3|{NOT_ENDED}|seen")]
    assert told(await agent.messages("t")) == [*done, ("user", "and now?"), ("assistant", "Well.")]
    assert not await rows(agent)
    await agent.close()


async def test_a_stopped_turn_says_nothing_twice(tmp_path: Path) -> None:
    """A node that wrote its rounds down, and a second one that was stopped."""
    inside = asyncio.Event()

    async def linger(state: Conversation) -> Conversation:
        inside.set()
        await asyncio.Event().wait()
        return {}

    @tool
    async def look() -> str:
        """Looks."""
        return "seen"

    model = ScriptedModel(["I look.", ToolCall("c1", "look", "{}")], "I saw.")
    graph = Graph().add_node("ask", llm(model, tools=[look])).add_node("linger", linger)
    agent = Agent(
        graph.add_edge(START, "ask").add_edge("ask", "linger").add_edge("linger", END),
        threads=tmp_path / "t.sqlite",
    )
    started = await agent.start("look", thread_id="t")
    await inside.wait()
    await agent.stop(started.run_id)
    said = [("assistant", "I look."), ("tool", "seen"), ("assistant", "I saw.")]
    assert told(await agent.messages("t")) == [("user", "look"), *said]
    await agent.close()
