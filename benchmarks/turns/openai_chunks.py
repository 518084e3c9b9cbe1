"""The turn as most people write it: a langgraph StateGraph whose model node streams AsyncOpenAI's chunks.

The chunks pass through langgraph's custom stream; arguments are parsed and validated, the history is kept in
the state. Nothing of ours but the scripted text.
"""

import operator
from typing import Annotated, Any, TypedDict

import openai
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from servers.turn_server import CHUNKS
from turns.bare import body_of, call_message, check, result_message
from turns.question import QUESTION


class State(TypedDict):
    """The conversation, in the wire's form."""

    messages: Annotated[list[Any], operator.add]


def graph_of(client: openai.AsyncOpenAI) -> Any:
    """A model node and a tool node, in a loop."""

    async def model(state: State) -> State:
        write = get_stream_writer()
        texts: list[str] = []
        calls: dict[int, dict[str, Any]] = {}
        stream: Any = await client.chat.completions.create(**body_of(state["messages"]))
        async for chunk in stream:
            write(chunk)
            for choice in chunk.choices:
                if choice.delta.content:
                    texts.append(choice.delta.content)
                for part in choice.delta.tool_calls or ():
                    call = calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
                    call["id"] = part.id or call["id"]
                    call["name"] = part.function.name or call["name"]
                    call["arguments"] += part.function.arguments or ""
        if calls:
            return {"messages": [call_message(**calls[0])]}
        return {"messages": [{"role": "assistant", "content": "".join(texts)}]}

    async def tools(state: State) -> State:
        call = state["messages"][-1]["tool_calls"][0]
        return {"messages": [result_message(call["id"], call["function"]["arguments"])]}

    graph: Any = StateGraph(State)
    graph.add_node("model", model).add_node("tools", tools)
    graph.add_edge(START, "model").add_edge("tools", "model")
    graph.add_conditional_edges("model", _next, {"tools": "tools", "end": END})
    return graph.compile()


def _next(state: State) -> str:
    return "tools" if "tool_calls" in state["messages"][-1] else "end"


async def chunk_turn(graph: Any) -> None:
    """One turn, read as its chunks come."""
    texts: list[str] = []
    chunks = 0
    given = {"messages": [{"role": "user", "content": QUESTION}]}
    async for chunk in graph.astream(given, stream_mode="custom"):
        chunks += 1
        texts += [choice.delta.content for choice in chunk.choices if choice.delta.content]
    check("".join(texts), chunks, CHUNKS)
