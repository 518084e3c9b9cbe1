"""pydantic-ai: `Agent.run` with an event stream handler over Chat Completions."""

from collections.abc import AsyncIterable
from typing import Any, Literal

from peers.measure import Turn, main
from pydantic_ai import Agent
from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from turns.question import QUESTION


async def forecast(city: Literal["Paris", "Oslo"], days: int, note: str = "") -> str:
    """The weather of the next days."""
    return f"Sunny in {city} for {days} days."


def turn(url: str) -> Turn:
    """One turn of the agent."""
    model = OpenAIChatModel("scripted", provider=OpenAIProvider(base_url=url, api_key="none"))
    agent = Agent(model, tools=[forecast])

    async def play() -> list[str]:
        texts: list[str] = []

        async def listen(_: Any, events: AsyncIterable[Any]) -> None:
            async for event in events:
                if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                    texts.append(event.part.content)
                elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                    texts.append(event.delta.content_delta)

        await agent.run(QUESTION, event_stream_handler=listen)
        return texts

    return play


if __name__ == "__main__":
    main(turn)
