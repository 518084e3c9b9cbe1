"""Answers: what they have to fit, what they become, and until when they may come."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

import pytest
from pydantic import BaseModel

from stretto.context import Run, RunContext
from stretto.errors import AnswerExpired, AnswerRefused, ConfigError, Pause
from stretto.graph import END, START, Graph
from stretto.graph.stream import play
from stretto.questions import Answer, agreed, faults_of, plain, revived, schema_of
from stretto.threads.stores import open_store


@dataclass
class Seat:
    row: int
    side: Literal["left", "right"] = "left"


class Meal(BaseModel):
    name: str


class Told(TypedDict, total=False):
    got: list[Any]


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("shape", "good", "bad"),
    [
        (Seat, {"row": 3}, {"row": "three"}),
        (Meal, {"name": "soup"}, {"name": 3}),
        (int, 3, "3"),
        (SCHEMA, {"n": 1}, {"n": "1"}),
        (list[int], [1], ["a"]),
    ],
)
def test_a_type_or_a_schema_says_what_fits(shape: Any, good: Any, bad: Any) -> None:
    schema = schema_of(shape)
    assert faults_of(good, schema) == "" and faults_of(bad, schema)
    revived(good, shape)
    with pytest.raises(ValueError):
        revived(bad, shape)


def test_an_answer_is_an_object_of_its_type() -> None:
    assert revived({"row": 3}, Seat) == Seat(3)
    assert revived({"name": "soup"}, Meal) == Meal(name="soup")
    assert plain(Seat(3)) == {"row": 3, "side": "left"} and plain(Meal(name="x")) == {"name": "x"}


@pytest.mark.parametrize("shape", [{"kind": "integer"}, {"type": "nothing"}, object()])
def test_what_is_no_schema_is_refused(shape: Any) -> None:
    with pytest.raises(ConfigError):
        schema_of(shape)


def test_an_answer_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(ConfigError, match="plain data"):
        plain(object())


@pytest.mark.parametrize(("answer", "yes"), [(True, True), ("Yes ", True), (1, False), ("no", False)])
def test_only_a_clear_yes_is_one(answer: Any, yes: bool) -> None:
    assert agreed(answer) is yes


async def test_a_typed_answer_is_held_to_its_type_and_the_thread_waits_until_it_fits(tmp_path: Path) -> None:
    async def node(state: Told, ctx: RunContext) -> Told:
        seat = ctx.interrupt("which seat?", call_id="seat", schema=Seat)
        assert isinstance(seat, Seat)
        return {"got": [seat.row, ctx.given["seat"].by]}

    graph = Graph(Told).add_node("n", node).add_edge(START, "n").add_edge("n", END)
    async with open_store("sqlite", tmp_path / "t.sqlite", Told) as saver:
        compiled = graph.compile(saver)
        await play(compiled, {"got": []}, run=Run(), thread_id="t")
        for wrong in ({"row": "x"}, {}, "7A", {"row": 1, "side": "up"}):
            with pytest.raises(AnswerRefused, match="`seat` of thread `t` does not fit"):
                await play(compiled, None, run=Run(), thread_id="t", resume={"seat": wrong})
        answer = Answer(Seat(7), by="ada")
        done = await play(compiled, None, run=Run(), thread_id="t", resume={"seat": answer})
    assert done.state["got"] == [7, "ada"]


async def test_the_time_of_a_question_runs_from_when_it_was_first_asked(tmp_path: Path) -> None:
    """Another question's answer lets the node run again, and does not begin the time anew."""
    now = [100.0]

    async def node(state: Told, ctx: RunContext) -> Told:
        pauses: list[Pause] = []
        got: list[Any] = []
        for name in ("a", "b"):
            try:
                got.append(ctx.interrupt(name, call_id=name, expires=10.0))
            except Pause as pause:
                pauses.append(pause)
            except AnswerExpired:
                got.append("too late")
        if pauses:
            raise BaseExceptionGroup("both", pauses)
        return {"got": got}

    graph = Graph(Told).add_node("n", node).add_edge(START, "n").add_edge("n", END)
    async with open_store("sqlite", tmp_path / "t.sqlite", Told) as saver:
        compiled = graph.compile(saver)

        def run() -> Run:
            return Run(clock=lambda: now[0])

        await play(compiled, {"got": []}, run=run(), thread_id="t")
        now[0] = 108.0
        asked = await play(compiled, None, run=run(), thread_id="t", resume={"a": 1})
        assert set(asked.questions) == {"b"}
        now[0] = 112.0
        done = await play(compiled, None, run=run(), thread_id="t", resume={"b": 2})
    assert done.state["got"] == [1, "too late"]
