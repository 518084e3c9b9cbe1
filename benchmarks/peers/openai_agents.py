"""openai-agents: `Runner.run_streamed` over Chat Completions, tracing off."""

from typing import Literal

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from peers.measure import Turn, main
from turns.question import QUESTION


@function_tool
async def forecast(city: Literal["Paris", "Oslo"], days: int, note: str = "") -> str:
    """The weather of the next days."""
    return f"Sunny in {city} for {days} days."


def turn(url: str) -> Turn:
    """One turn of the agent."""
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=url, api_key="none")
    model = OpenAIChatCompletionsModel(model="scripted", openai_client=client)
    agent = Agent(name="bench", model=model, tools=[forecast])

    async def play() -> list[str]:
        return [
            event.data.delta
            async for event in Runner.run_streamed(agent, QUESTION).stream_events()
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
        ]

    return play


if __name__ == "__main__":
    main(turn)
