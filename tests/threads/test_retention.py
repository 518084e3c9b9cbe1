"""A retention says how much is kept, and refuses what would keep nothing."""

import time
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent, RunContext
from stretto.errors import ConfigError
from stretto.graph import END, START, Conversation, Graph
from stretto.testing import ScriptedModel
from stretto.threads import Retention
from stretto.threads.retention import Aging


@pytest.mark.parametrize("given", [{"threads": 0}, {"turns": -1}, {"checkpoints": 0}, {"turns": 1.5}])
def test_what_would_keep_nothing_is_refused_with_what_to_give(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(ConfigError, match=f"{name} is {given[name]}; give a whole number from 1, or None"):
        Retention(**given)


def test_without_arguments_all_threads_are_kept_with_their_latest_checkpoint() -> None:
    assert Retention() == Retention(threads=None, turns=None, checkpoints=1)


def test_another_thing_than_a_retention_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"retention is a `int`; give Retention\(threads="):
        Agent(model=ScriptedModel("x"), retention=100)  # type: ignore[arg-type]


@pytest.mark.parametrize("days", [0, -1.0, True, "30"])
def test_no_age_at_all_is_refused(days: Any) -> None:
    with pytest.raises(ConfigError, match=f"days is {days!r}; give days above 0"):
        Retention(days=days)


@pytest.mark.parametrize("kept", ["memory", "sqlite"])
async def test_threads_that_were_not_used_for_so_long_go_unless_they_wait(
    kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [time.time()]
    monkeypatch.setattr("time.time", lambda: clock[0])
    monkeypatch.setattr("time.time_ns", lambda: int(clock[0] * 1e9))
    monkeypatch.setattr("langgraph.checkpoint.base.id._last_v6_timestamp", None)  # it never goes back
    threads = "memory" if kept == "memory" else tmp_path / "threads.sqlite"
    async with Agent(asking(), threads=threads, retention=Retention(days=30)) as agent:
        await agent.run("hello", thread_id="old")
        assert (await agent.run("ask", thread_id="waits")).interrupts
        clock[0] += 31 * 86_400
        await agent.run("hello", thread_id="new")
        monkeypatch.setattr("stretto.threads.retention._BETWEEN", 0)
        saver = (await agent._opened.kept()).compiled.checkpointer
        saver._aging = Aging()
        await agent.run("hello", thread_id="newer")
        left = {item.config["configurable"]["thread_id"] async for item in saver.alist(None)}
        assert left == {"waits", "new", "newer"}
        assert (await agent.run(answers={"say": "yes"}, thread_id="waits")).output == "yes"


def asking() -> Graph:
    async def say(state: Conversation, ctx: RunContext) -> Conversation:
        return {"output": ctx.interrupt("Well?") if state["question"] == "ask" else "done"}

    return Graph().add_node("say", say).add_edge(START, "say").add_edge("say", END)
