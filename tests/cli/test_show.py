"""What the terminal shows of a turn: the answer once, its sources once, and what was done to save money."""

import dataclasses
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pydantic
import pytest
from rich.console import Console

from stretto import Agent
from stretto.cli.main import main
from stretto.cli.show import Show, marked
from stretto.events import BudgetLow, Event, NodeStarted, Retracted, RunFinished, TextDelta, UsageReported
from stretto.models.cached import Cached
from stretto.results import Citation, Result
from stretto.testing import ChatServer, Fault, ScriptedModel
from stretto.usage import Usage


@dataclasses.dataclass
class Size:
    frame: int


class Bike(pydantic.BaseModel):
    name: str


def shown(*events: Event) -> str:
    out = io.StringIO()
    show = Show(Console(file=out, width=200), who="desk")
    for event in events:
        show.event(event)
    show.end_line()
    return out.getvalue()


async def asked(agent: Agent, question: str) -> str:
    return shown(*[event async for event in agent.stream(question)])


async def test_an_object_is_printed_once_as_json() -> None:
    out = await asked(Agent(model=ScriptedModel('{"frame": 54}'), output=Size), "which?")
    assert out.count('"frame": 54') == 1


def test_objects_of_any_class_become_json() -> None:
    for value in (Size(54), {"frame": 54}, [Size(54)]):
        assert "54" in json.dumps(json.loads(marked(Result(value, "r", "t"))))
    assert json.loads(marked(Result(Bike(name="Alder"), "r", "t"))) == {"name": "Alder"}


def test_the_speaker_is_named_once_and_again_when_the_answer_was_taken_back() -> None:
    begun = TextDelta(text="In 30 days."), NodeStarted(node="support")
    below = shown(*begun, TextDelta(text="\n\nReturns: 30 days"))
    assert below == "desk In 30 days.\n  · support\nReturns: 30 days\n"
    anew = shown(*begun, Retracted(length=11, reason="no source supports it"), TextDelta(text="Returns"))
    assert anew.splitlines()[2:] == [
        "    what stands above is taken back: no source supports it",
        "desk Returns",
    ]


def test_a_quote_of_a_source_is_shown_once() -> None:
    quotes = [(1, "It is hot. Wait."), (1, "Wait."), (2, "Wait."), (1, "It is hot. Wait.")]
    cited = tuple(Citation(number, f"{number}.md", "c", quote) for number, quote in quotes)
    out = shown(RunFinished(result=Result("Wait.", "r", "t", citations=cited)))
    assert out.splitlines()[:-2] == ["  [1] 1.md: “It is hot. Wait.”", "  [2] 2.md: “Wait.”"]


def test_a_step_of_the_ladder_is_one_line() -> None:
    out = shown(BudgetLow(budget="run.money", share=0.8312, step="cheaper_model"))
    assert out == "    run.money is 83% spent; goes on with a cheaper model\n"


async def test_an_answer_that_was_kept_is_said_to_be_from_the_cache() -> None:
    agent = Agent(model=Cached(ScriptedModel("Hello.")))
    assert "tokens" in await asked(agent, "Hi")
    again = await asked(agent, "Hi")
    assert "from the cache" in again and "tokens" not in again


def test_an_answer_that_a_budget_ended_is_not_from_the_cache() -> None:
    low = BudgetLow(budget="run.tokens", share=1.0, step="partial_answer")
    ended = RunFinished(result=Result("That is all.", "r", "t"))
    assert "from the cache" not in shown(low, UsageReported(usage=Usage()), ended)


@pytest.mark.parametrize("verb", ["run", "chat"])
def test_what_fails_is_said_once(
    verb: str,
    endpoint: Callable[..., ChatServer],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoint(Fault("status", status=401, message="no such key"))
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello\n"))
    assert main([verb, "till", *(["Hello"] if verb == "run" else [])]) == 1
    out, err = capsys.readouterr()
    assert (out + err).count("no such key") == 1 and err.startswith("error: ")


def test_logs_stand_on_lines_of_their_own_beside_an_answer(
    endpoint: Callable[..., ChatServer], shop: Path
) -> None:
    endpoint("One two three.")
    given = [sys.executable, "-m", "stretto", "run", "till", "How many?", "-v"]
    both = subprocess.run(given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    lines = both.stdout.splitlines()
    assert any(" INFO stretto.run: " in line for line in lines)
    assert not [line for line in lines if " INFO " in line and line[2:3] != ":"], both.stdout


def test_logs_in_a_file_of_their_own_break_no_answer(endpoint: Callable[..., ChatServer], shop: Path) -> None:
    endpoint("One two three.")
    given = [sys.executable, "-m", "stretto", "run", "till", "How many?", "-v"]
    apart = subprocess.run(given, capture_output=True, text=True, timeout=60)
    assert "till One two three.\n" in apart.stdout and " INFO " in apart.stderr
