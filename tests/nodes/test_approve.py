"""`approve`: an answer has to fit, to come in time, and holds for one thing; the outcome is in the state."""

from pathlib import Path
from typing import Any

import pytest

from stretto import Agent
from stretto.context import Run
from stretto.errors import AnswerRefused, ConfigError
from stretto.events import Approved
from stretto.graph import END, START, Conversation, Graph, new_turn
from stretto.graph.stream import play, thread_standing
from stretto.messages import Message
from stretto.nodes import approve, say
from stretto.questions import Answer
from stretto.results import Approval
from stretto.threads.stores import open_store


class Letter(Conversation, total=False):
    approval: Approval


def letters(**options: Any) -> Graph:
    graph = Graph(Letter).add_node("approve", approve("Send the letter?", **options))
    graph.add_node("send", say("Sent.")).add_node("keep", say("Kept.")).add_edge(START, "approve")
    graph.add_route("approve", lambda state: state["approval"].approved, {True: "send", False: "keep"})
    return graph.add_edge("send", END).add_edge("keep", END)


@pytest.mark.parametrize(
    ("answer", "output"), [(True, "Sent."), ("yes", "Sent."), (False, "Kept."), ("perhaps", "Kept.")]
)
async def test_a_clear_yes_goes_one_way_and_all_else_the_other(
    answer: Any, output: str, tmp_path: Path
) -> None:
    agent = Agent(letters(), threads=tmp_path / "t.sqlite")
    asked = await agent.run("write", thread_id="t")
    assert list(asked.interrupts.values()) == ["Send the letter?"]
    result = await agent.run(thread_id="t", answers={next(iter(asked.interrupts)): Answer(answer, by="ada")})
    assert result.output == output
    approval = result.state["approval"]
    assert (approval.value, approval.by, approval.expired) == (answer, "ada", False) and approval.at > 0
    await agent.close()


async def test_an_answer_that_does_not_fit_is_refused_and_the_thread_still_waits(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"approved": {"type": "boolean"}}, "required": ["approved"]}
    agent = Agent(letters(schema=schema), threads=tmp_path / "t.sqlite")
    (call_id,) = (await agent.run("write", thread_id="t")).interrupts
    with pytest.raises(AnswerRefused, match=r"'yes' is not of type 'boolean' at `\$\.approved`"):
        await agent.run(thread_id="t", answers={call_id: {"approved": "yes"}})
    result = await agent.run(thread_id="t", answers={call_id: {"approved": True}})
    assert result.output == "Sent."
    await agent.close()


@pytest.mark.parametrize(("later", "output"), [(59.0, "Sent."), (61.0, "Kept.")])
async def test_an_answer_after_its_time_is_a_no(later: float, output: str, tmp_path: Path) -> None:
    now = 1_000.0
    graph = letters(expires=60.0)
    async with open_store("sqlite", tmp_path / "t.sqlite", Letter) as saver:
        compiled = graph.compile(saver)
        asked = await play(
            compiled, new_turn(Message.user("write")), run=Run(clock=lambda: now), thread_id="t"
        )
        (call_id,) = asked.questions
        assert (await thread_standing(compiled, "t")).questions == asked.questions
        events: list[Any] = []
        run = Run(clock=lambda: now + later, sink=events.append)
        done = await play(compiled, None, run=run, thread_id="t", resume={call_id: True})
    assert done.state["output"] == output
    assert done.state["approval"].expired == (later > 60)
    (told,) = [event for event in events if isinstance(event, Approved)]
    assert (told.approved, told.expired) == (later < 60, later > 60)


async def test_an_answer_holds_for_what_was_asked_and_for_nothing_else(tmp_path: Path) -> None:
    texts = iter(["Pay 3?", "Pay 300?", "Pay 300?"])
    graph = Graph(Letter).add_node("approve", approve(lambda state: next(texts)))
    graph.add_edge(START, "approve").add_edge("approve", END)
    agent = Agent(graph, threads=tmp_path / "t.sqlite")
    (call_id,) = (await agent.run("write", thread_id="t")).interrupts
    again = await agent.run(thread_id="t", answers={call_id: True})
    assert again.interrupts == {call_id: "Pay 300?"}
    done = await agent.run(thread_id="t", answers={call_id: True})
    assert done.status == "done" and done.state["approval"].approved
    await agent.close()


@pytest.mark.parametrize("expires", [0, -1.0])
def test_an_expiry_that_is_over_at_once_is_refused(expires: float) -> None:
    with pytest.raises(ConfigError, match="give seconds above 0"):
        approve("May I?", expires=expires)
