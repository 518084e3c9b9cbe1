"""RunContext: events numbered without gaps, questions and answers, tokens within their limit."""

import asyncio

import pytest

from stretto.budgets import open_ledger
from stretto.context import Run, RunContext, current_context, running_context, use_context
from stretto.errors import LimitReached, Pause
from stretto.events import Event, NodeStarted, TextDelta
from stretto.settings import Limits
from stretto.usage import Usage


def watched(limits: Limits | None = None) -> tuple[RunContext, list[Event]]:
    events: list[Event] = []
    return RunContext(Run(sink=events.append, limits=limits or Limits())), events


def test_events_of_all_nodes_are_numbered_from_1_without_gaps() -> None:
    context, events = watched()
    for node in ("a", "b"):
        context.at(node).emit(NodeStarted())
        context.at(node).emit(TextDelta(text="x"))
    assert [event.number for event in events] == [1, 2, 3, 4]
    assert [event.node for event in events] == ["a", "a", "b", "b"]
    assert {event.run_id for event in events} == {context.run_id}
    assert sorted(event.at for event in events) == [event.at for event in events]


def test_the_first_text_is_timed_once() -> None:
    context, events = watched()
    context.emit(NodeStarted())
    context.emit(TextDelta(text="a"))
    context.emit(TextDelta(text="b"))
    assert context.run.timings == {"first_text": events[1].at}


def test_a_question_without_an_answer_pauses() -> None:
    context = RunContext().at("pay", "task-1")
    with pytest.raises(Pause) as pause:
        context.interrupt("May I?", call_id="7")
    assert pause.value.questions == {"7": "May I?"}


def test_except_exception_does_not_swallow_a_pause() -> None:
    def careless() -> str:
        try:
            return RunContext().interrupt("May I?", call_id="7")
        except Exception:
            return "swallowed"

    with pytest.raises(Pause):
        careless()


@pytest.mark.parametrize("answer", [True, False, None, {"amount": 3}])
def test_an_answer_is_given_to_the_question_of_its_id(answer: object) -> None:
    context = RunContext().at("pay", answers={"7": answer, "8": "another"})
    assert context.interrupt("May I?", call_id="7") == answer


def test_tokens_are_added_up_and_told() -> None:
    context, events = watched()
    context.spend(Usage(input_tokens=10, output_tokens=2, calls=1), model="a:b")
    context.spend(Usage(input_tokens=5, cached_tokens=4, calls=1))
    assert context.run.usage == Usage(input_tokens=15, output_tokens=2, cached_tokens=4, calls=2)
    assert context.run.usage.total_tokens == 17
    assert len(events) == 2


def test_more_tokens_than_allowed_end_the_run() -> None:
    context, _ = watched(Limits(tokens=10))
    context.run.ledger = open_ledger(context.run)
    context.spend(Usage(input_tokens=10))
    with pytest.raises(LimitReached, match="used 11 tokens and may use 10") as reached:
        context.spend(Usage(output_tokens=1))
    assert reached.value.limit == "tokens"


async def test_each_task_has_its_own_context_and_hands_it_on() -> None:
    seen: dict[str, str] = {}

    async def inner(name: str) -> None:
        seen[name] = current_context().node

    async def node(name: str) -> None:
        use_context(RunContext().at(name))
        await asyncio.sleep(0)
        await asyncio.create_task(inner(name))

    await asyncio.gather(node("a"), node("b"))
    assert seen == {"a": "a", "b": "b"}
    assert running_context() is None


def test_outside_a_run_there_is_a_context_with_defaults() -> None:
    assert current_context().limits == Limits()
    assert current_context().thread_id == ""
