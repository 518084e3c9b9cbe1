"""`tools`: runs the tool calls of the last message, for graphs whose tool loop is made of nodes."""

from collections.abc import Sequence

from stretto.context import RunContext
from stretto.messages import Message
from stretto.nodes.node import NodeFunction, State, Update, declares
from stretto.tools import Tool
from stretto.tools.execute import execute


def tools(available: Sequence[Tool]) -> NodeFunction:
    """A node that answers every tool call of the last message; without calls it writes nothing."""
    table = {tool.name: tool for tool in available}

    @declares(reads=("messages",), writes=("messages",), effects="external")
    async def run_tools(state: State, ctx: RunContext) -> Update:
        calls = state["messages"][-1].tool_calls if state["messages"] else ()
        if not calls:
            return {}
        return {"messages": [Message.tool(*await execute(calls, table, ctx))]}

    return run_tools
