"""What a turn leaves to Python's collector: nothing. Circles would be looked for in the whole heap."""

import gc
from pathlib import Path

from stretto import Agent, tool
from stretto.messages import Message, ToolCall
from stretto.testing import ScriptedModel


@tool
async def clock() -> str:
    """The time."""
    return "noon"


async def test_a_kept_turn_with_a_tool_leaves_no_circles(tmp_path: Path):
    said = [Message("assistant", (ToolCall("1", "clock", "{}"),)), "It is noon."]
    model = ScriptedModel(*said * 6)
    async with Agent(model=model, tools=[clock], threads=tmp_path / "threads.sqlite") as agent:
        left: list[int] = []
        for number in range(6):
            gc.collect()
            gc.disable()
            try:
                await agent.run("What time is it?", thread_id=f"t{number}")
                left.append(gc.collect())
            finally:
                gc.enable()
        assert min(left) == 0  # the first turns make what stays, and others of this process leave something
