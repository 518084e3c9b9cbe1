"""langchain: `create_agent` with `ChatOpenAI`, read by `stream_mode="messages"`."""

from typing import Literal

from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from peers.measure import Turn, main
from turns.question import QUESTION


@tool
async def forecast(city: Literal["Paris", "Oslo"], days: int, note: str = "") -> str:
    """The weather of the next days."""
    return f"Sunny in {city} for {days} days."


def turn(url: str) -> Turn:
    """One turn of the agent."""
    model = ChatOpenAI(model="scripted", base_url=url, api_key="none", streaming=True, stream_usage=True)
    agent = create_agent(model, [forecast])

    async def play() -> list[str]:
        given = {"messages": [{"role": "user", "content": QUESTION}]}
        return [
            message.text
            async for message, _ in agent.astream(given, stream_mode="messages")
            if isinstance(message, AIMessageChunk)
        ]

    return play


if __name__ == "__main__":
    main(turn)
