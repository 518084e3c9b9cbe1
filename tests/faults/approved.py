"""Plays an approved call in processes of their own, and kills one inside the tool.

Run as a program by the tests. Reads the cases of `turns.py`; `die` kills the process inside the tool,
before it has taken effect.
"""

import os
import signal
from pathlib import Path
from typing import Any

from turns import note, serve

from stretto import Agent, tool
from stretto.messages import ToolCall
from stretto.questions import Answer
from stretto.testing import ScriptedModel


async def approved(case: dict[str, Any]) -> dict[str, Any]:
    """One turn: asked, answered, or gone on with."""

    async def send(to: str) -> str:
        note(case["log"], "inside", to)
        if case.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        return "sent"

    model = ScriptedModel(
        otherwise=lambda asked: (
            "Done." if asked.messages[-1].role == "tool" else ToolCall("c1", "send", '{"to":"ann"}')
        )
    )
    tools = [tool(effect=case["effect"], approval=True)(send)]
    agent = Agent(model=model, tools=tools, threads=Path(case["threads"]))
    try:
        if case["step"] == "ask":
            result = await agent.run("Send it.", thread_id="t")
        elif case["step"] == "answer":
            result = await agent.run(thread_id="t", answers={"c1": Answer(True, by="ada")})
        else:
            result = await agent.resume("t")
        by = [each.approved_by for each in result.tools]
        return {"output": result.output, "questions": result.interrupts, "by": by}
    finally:
        await agent.close()


if __name__ == "__main__":
    serve(approved)
