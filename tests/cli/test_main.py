"""The command line's frame: verbs, exit codes, errors in one line, help that teaches."""

import json
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stretto.cli import main as frame
from stretto.cli.main import VERBS, main
from stretto.errors import ConfigError, ModelUnavailable


def verb(work: Callable[[Any], int]) -> types.SimpleNamespace:
    """A verb that does `work`."""
    return types.SimpleNamespace(
        EXAMPLES="examples:\n  stretto new x", arguments=lambda parser: None, run=lambda args: work(args)
    )


@pytest.fixture
def new_is(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], int]], None]:
    """Puts other work behind the verb `new`."""

    def put(work: Callable[[Any], int]) -> None:
        monkeypatch.setattr(frame, "_load", lambda name: verb(work))

    return put


def failing(error: BaseException) -> Callable[[Any], int]:
    def work(args: Any) -> int:
        raise error

    return work


def test_a_verb_returns_its_exit_code(new_is: Any) -> None:
    new_is(lambda args: 7)
    assert main(["new"]) == 7


def test_an_error_of_ours_is_one_line_on_stderr(new_is: Any, capsys: pytest.CaptureFixture[str]) -> None:
    new_is(failing(ConfigError("is wrong\nand long", where="agent.yaml:3:1")))
    assert main(["new"]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "error: agent.yaml:3:1: is wrong and long\n")


def test_with_json_an_error_is_an_object_on_stdout_too(
    new_is: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    new_is(failing(ModelUnavailable("no answer from the endpoint")))
    assert main(["new", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "error": {"kind": "ModelUnavailable", "message": "no answer from the endpoint"}
    }
    assert err == "error: no answer from the endpoint\n"


def test_an_unexpected_error_is_one_line_that_says_how_to_see_more(
    new_is: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    new_is(failing(KeyError("colour")))
    assert main(["new"]) == 1
    assert capsys.readouterr().err == (
        "error: unexpected KeyError: 'colour' (a fault of ours; -vv shows where)\n"
    )


def test_vv_shows_the_traceback(new_is: Any, capsys: pytest.CaptureFixture[str]) -> None:
    new_is(failing(KeyError("colour")))
    assert main(["new", "-vv"]) == 1
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.endswith("error: unexpected KeyError: 'colour'\n")


def test_a_secret_in_an_error_is_masked(
    new_is: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANCY_API_KEY", "nothing-like-a-usual-key")
    new_is(failing(ValueError("https://me:letmein@host/ refused nothing-like-a-usual-key")))
    assert main(["new", "-vv", "--json"]) == 1
    out, err = capsys.readouterr()
    assert "letmein" not in out + err
    assert "nothing-like-a-usual-key" not in out + err


def test_an_interrupt_from_the_keyboard_ends_with_130(
    new_is: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    new_is(failing(KeyboardInterrupt()))
    assert main(["new"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("given", [[], ["nothing"], ["new"], ["models", "dance"], ["--nothing"]])
def test_wrong_usage_ends_with_2(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(given) == 2
    assert "usage: stretto" in "".join(capsys.readouterr())


def test_the_options_of_every_verb_stand_before_or_after_it(new_is: Any) -> None:
    seen: list[Any] = []
    new_is(lambda args: seen.append((args.json, args.verbose)) or 0)
    assert main(["--json", "-v", "new"]) == 0
    assert main(["new", "--json", "-v"]) == 0
    assert seen == [(True, 1), (True, 1)]


def test_the_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n    {name} " in text for name in VERBS)


@pytest.mark.parametrize("name", VERBS)
def test_the_help_of_a_verb_shows_commands_to_try(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"usage: stretto {name}" in text
    assert text.count(f"  stretto {name}") >= 1, "an example"
    assert max(map(len, text.splitlines())) <= 110


def test_it_runs_as_a_module_and_as_a_script() -> None:
    script = [str(Path(sys.executable).with_name("stretto"))]
    for command in (script, [sys.executable, "-m", "stretto"]):
        child = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60)
        assert (child.returncode, child.stdout.split()[0]) == (0, "stretto")


def test_a_reader_that_stops_reading_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    child = subprocess.run(
        [sys.executable, "-m", "stretto", "models", "list", "--json"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN),
    )
    os.close(writing)
    assert "Traceback" not in child.stderr and "Exception" not in child.stderr


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["modls"], "did you mean `models`?"),
        (["models", "prob"], "did you mean `probe`?"),
        (["kb", "serch", "x"], "did you mean `search`?"),
        (["run", "--log-format", "jsn"], "did you mean `json`?"),
    ],
)
def test_a_slip_is_answered_with_the_word_that_was_meant(
    given: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(given) == 2
    assert capsys.readouterr().err.endswith(f"; {meant}\n")


def test_a_word_that_is_near_to_none_is_answered_with_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zzzz"]) == 2
    err = capsys.readouterr().err
    assert "did you mean" not in err and "doctor" in err
