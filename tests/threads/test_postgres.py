"""Threads in Postgres."""

from stretto.context import Run
from stretto.graph import END, START, Conversation, Graph, new_turn
from stretto.graph.stream import play
from stretto.messages import Message
from stretto.threads.stores import open_store


async def echo(state: Conversation) -> Conversation:
    said = state["messages"][-1].text
    return {"messages": [Message.assistant(said.upper())], "output": said.upper()}


GRAPH = Graph().add_node("echo", echo).add_edge(START, "echo").add_edge("echo", END)


async def test_it(postgres: str) -> None:
    async with open_store("postgres", postgres, *GRAPH.states) as saver:
        compiled = GRAPH.compile(saver)
        await play(compiled, new_turn("one"), run=Run(), thread_id="t")
        second = await play(compiled, new_turn("two"), run=Run(), thread_id="t")
        assert [message.text for message in second.state["messages"]] == ["one", "ONE", "two", "TWO"]
