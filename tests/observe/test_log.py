"""A run's events reach the log, without secrets and without what people say."""

import logging
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from stretto.context import Run, RunContext
from stretto.documents import Chunk, Document, Hit
from stretto.events import (
    ErrorRaised,
    Event,
    NodeFinished,
    NodeStarted,
    Retrieved,
    RunFinished,
    RunStarted,
    TextDelta,
    ToolFinished,
    ToolStarted,
    UsageReported,
)
from stretto.observe import logged
from stretto.results import Missing, Result
from stretto.usage import Usage

SECRET = "sk-planted0123456789abcdef"
SAID = "what the person said"


def play(seen: list[Event]) -> None:
    """A run with an event of each kind that matters, secrets and talk in all of them."""
    context = RunContext(Run(sink=logged(seen.append))).at("pay")
    hit = Hit(Document("d"), Chunk("c", "d", SAID), 0.5)
    context.emit(RunStarted(thread_id="t", agent="desk"))
    context.emit(NodeStarted())
    context.emit(ToolStarted(call_id="1", name="pay", arguments=f'{{"token": "{SECRET}"}}'))
    context.emit(
        ToolFinished(call_id="1", name="pay", output=f"api_key={SECRET}", is_error=True, seconds=0.1)
    )
    context.emit(Retrieved(query=SAID, hits=(hit,)))
    context.emit(TextDelta(text=SAID))
    context.emit(UsageReported(usage=Usage(input_tokens=3, output_tokens=2), model="a:b"))
    context.emit(NodeFinished(status="fallback", missing=Missing("pay", f"https://me:{SECRET}@host is down")))
    context.emit(ErrorRaised(kind="ModelUnavailable", message=f"Bearer {SECRET} refused"))
    context.emit(RunFinished(result=Result(SAID, "r", "t")))


@pytest.mark.parametrize(("level", "records"), [("DEBUG", 9), ("INFO", 8), ("WARNING", 1), ("CRITICAL", 0)])
def test_the_level_chooses_what_is_logged(level: str, records: int, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Event] = []
    with caplog.at_level(level, "stretto.run"):
        play(seen)
    assert len(seen) == 10, "whoever watches the run sees every event"
    assert len(caplog.records) == records


def test_no_secret_and_nobodys_words_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", "stretto.run"):
        play([])
    everything = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert SECRET not in everything
    assert SAID not in everything
    assert "is down" in everything and "node=pay" in everything


def test_arguments_of_tools_are_logged_at_debug_only(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "stretto.run"):
        play([])
    assert "arguments" not in caplog.text
    with caplog.at_level("DEBUG", "stretto.run"):
        play([])
    assert "arguments" in caplog.text


def test_a_record_carries_its_fields_for_json(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "stretto.run"):
        play([])
    usage = next(record.event for record in caplog.records if record.event["type"] == "usage")  # type: ignore[attr-defined]
    assert (usage["model"], usage["input"], usage["output"]) == ("a:b", 3, 2)


def test_a_run_that_nobody_logs_keeps_its_own_sink(caplog: pytest.LogCaptureFixture) -> None:
    def sink(event: Event) -> None: ...

    with caplog.at_level(logging.CRITICAL, "stretto.run"):
        assert logged(sink) is sink


@pytest.mark.parametrize(("status", "level"), [("ok", 20), ("failed", 20), ("fallback", 30)])
def test_what_a_run_goes_on_without_is_a_warning_and_what_reaches_the_caller_is_not(
    status: Literal["ok", "failed", "fallback"], level: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", "stretto.run"):
        RunContext(Run(sink=logged([].append))).at("pay").emit(NodeFinished(status=status))
    assert [record.levelno for record in caplog.records] == [level]


PLAIN = """
import pathlib, sys
from stretto.context import Run, RunContext
from stretto.events import NodeFinished
from stretto.models.cached import SqliteStore
from stretto.observe import logged
pathlib.Path(sys.argv[1]).write_text("no sqlite file, " * 100)
assert SqliteStore(sys.argv[1]).get("key") is None
RunContext(Run(sink=logged([].append))).emit(NodeFinished(status="fallback"))
"""


def test_a_program_that_set_no_logging_up_prints_nothing(tmp_path: Path) -> None:
    given = [sys.executable, "-c", PLAIN, str(tmp_path / "answers.sqlite")]
    done = subprocess.run(given, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
