"""agno: `Agent.arun` with `OpenAILike`, read by its content events."""

from typing import Literal

from agno.agent import Agent, RunContentEvent
from agno.models.openai.like import OpenAILike
from peers.measure import Turn, main
from turns.question import QUESTION


async def forecast(city: Literal["Paris", "Oslo"], days: int, note: str = "") -> str:
    """The weather of the next days."""
    return f"Sunny in {city} for {days} days."


def turn(url: str) -> Turn:
    """One turn of the agent."""
    agent = Agent(model=OpenAILike(id="scripted", base_url=url, api_key="none"), tools=[forecast])

    async def play() -> list[str]:
        return [
            event.content or ""
            async for event in agent.arun(QUESTION, stream=True)
            if isinstance(event, RunContentEvent)
        ]

    return play


if __name__ == "__main__":
    main(turn)
