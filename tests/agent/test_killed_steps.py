"""A process that ends between the writes of a step's nodes and the checkpoint behind them loses neither."""

from pathlib import Path

import pytest

from stretto import Agent
from stretto._internal.faults import listen
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message
from stretto.testing import assert_valid_history


async def prepare(state: Conversation) -> Conversation:
    return {}


async def answer(state: Conversation) -> Conversation:
    return {"messages": [Message.assistant("Well.")], "output": "Well."}


def line() -> Graph:
    graph = Graph().add_node("prepare", prepare).add_node("answer", answer)
    return graph.add_edge(START, "prepare").add_edge("prepare", "answer").add_edge("answer", END)


async def cut_off(path: Path, nth: int) -> None:
    """A turn whose n-th checkpoint cannot be written."""
    reached: list[str] = []

    def fail(name: str) -> None:
        if name == "checkpoint.put.before":
            reached.append(name)
            if len(reached) == nth:
                raise RuntimeError("cut off")

    agent = Agent(line(), threads=path)
    listen(fail)
    try:
        with pytest.raises(RuntimeError, match="cut off"):
            await agent.run("a question", thread_id="t")
    finally:
        listen(None)
        await agent.close()


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_turn_cut_off_before_any_of_its_checkpoints_is_resumed_to_its_end(
    nth: int, tmp_path: Path
) -> None:
    await cut_off(tmp_path / "t.sqlite", nth)
    async with Agent(line(), threads=tmp_path / "t.sqlite") as agent:
        if nth > 1:  # before that nothing of it is kept
            assert (await agent.resume("t")).output == "Well."
            assert [message.text for message in await agent.messages("t")] == ["a question", "Well."]
        await agent.run("another", thread_id="t")
        assert_valid_history(await agent.messages("t"))


@pytest.mark.parametrize("nth", [2, 3])
async def test_the_next_question_drops_nothing_that_was_answered_before(nth: int, tmp_path: Path) -> None:
    await cut_off(tmp_path / "t.sqlite", nth)
    async with Agent(line(), threads=tmp_path / "t.sqlite") as agent:
        await agent.run("another", thread_id="t")
        texts = [message.text for message in await agent.messages("t")]
        assert texts[-2:] == ["another", "Well."]
        if nth == 3:
            assert texts == ["a question", "Well.", "another", "Well."]
