"""The same turn on Stretto: on a ChatModel in a plain loop, and by the events of an Agent."""

from typing import Any, Literal

from servers.turn_server import CHUNKS, TEXT_TOKENS
from turns.bare import Void, check
from turns.question import QUESTION

from stretto import tool
from stretto.context import RunContext
from stretto.events import RunFinished, TextDelta
from stretto.messages import Message
from stretto.models.protocol import ChatModel, Reply, TextPiece
from stretto.tools.execute import execute


@tool
async def forecast(city: Literal["Paris", "Oslo"], days: int, note: str = "") -> str:
    """The weather of the next days."""
    return f"Sunny in {city} for {days} days."


async def model_turn(model: ChatModel) -> None:
    """The turn on a ChatModel in a plain loop, with our tool execution."""
    history = [Message.user(QUESTION)]
    context = RunContext()
    texts: list[str] = []
    chunks = 0
    while True:
        async for piece in model.stream(history, tools=[forecast.spec]):
            if isinstance(piece, TextPiece):
                texts.append(piece.text)
            elif isinstance(piece, Reply):
                chunks += piece.chunks
                history.append(piece.message)
        if not history[-1].tool_calls:
            break
        history.append(Message.tool(*await execute(history[-1].tool_calls, {"forecast": forecast}, context)))
    check("".join(texts), chunks, CHUNKS)


async def agent_turn(agent: Any, thread_id: str | None = None) -> None:
    """The turn of an Agent, by its events."""
    texts: list[str] = []
    chunks, status = 0, ""
    async for event in agent.stream(QUESTION, thread_id=thread_id):
        if isinstance(event, TextDelta):
            texts.append(event.text)
            chunks += event.chunks
        elif isinstance(event, RunFinished):
            status = event.status
    if status != "done":
        raise Void(f"the run ended as {status!r}")
    check("".join(texts), chunks, TEXT_TOKENS)
