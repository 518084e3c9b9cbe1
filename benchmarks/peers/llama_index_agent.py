"""llama-index: `FunctionAgent` with `OpenAILike`, read by its `AgentStream` events."""

from typing import Literal

from llama_index.core.agent.workflow import AgentStream, FunctionAgent
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from peers.measure import Turn, main
from turns.question import QUESTION


async def forecast(city: Literal["Paris", "Oslo"], days: int, note: str = "") -> str:
    """The weather of the next days."""
    return f"Sunny in {city} for {days} days."


def turn(url: str) -> Turn:
    """One turn of the agent."""
    model = OpenAILike(
        model="scripted", api_base=url, api_key="none", is_chat_model=True, is_function_calling_model=True
    )
    agent = FunctionAgent(tools=[FunctionTool.from_defaults(async_fn=forecast)], llm=model)

    async def play() -> list[str]:
        handler = agent.run(QUESTION)
        texts = [event.delta async for event in handler.stream_events() if isinstance(event, AgentStream)]
        await handler
        return texts

    return play


if __name__ == "__main__":
    main(turn)
