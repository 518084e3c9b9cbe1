"""`stretto demo` plays an agent's demo.yaml; once for real, with the smallest model."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent
from stretto.cli import demo
from stretto.cli.main import main
from stretto.messages import ToolCall
from stretto.testing import ChatServer

ROOT = Path(__file__).parents[2]
Capture = pytest.CaptureFixture[str]
Endpoint = Callable[..., ChatServer]


@pytest.fixture
def playing(endpoint: Endpoint, shop: Path) -> Endpoint:
    """The agent `till` has a demo of two turns and looks at pictures by the endpoint."""
    till = shop / "agents" / "till"
    (till / "agent.yaml").write_text("tools: [shop]\nmodels: {vision: compatible:sees}\n")
    (till / "demo.yaml").write_text("- say: How many bells?\n  note: A tool call.\n- say: Thank you.\n")
    return endpoint


def test_the_turns_are_one_object(playing: Endpoint, capsys: Capture) -> None:
    playing(ToolCall("1", "stock", '{"product": "bell"}'), "There are 23.", "You are welcome.")
    assert main(["demo", "--json"]) == 0
    played = json.loads(capsys.readouterr().out)
    assert list(played) == ["agent", "turns"] and played["agent"] == "till"
    first, second = played["turns"]
    assert (first["question"], first["attach"], first["output"]) == ("How many bells?", [], "There are 23.")
    assert [tool["output"] for tool in first["tools"]] == ["bell: 23"]
    assert second["output"] == "You are welcome."
    assert first["thread_id"] == second["thread_id"], "one conversation"


def test_people_see_it_live_and_are_told_what_to_do_now(playing: Endpoint, capsys: Capture) -> None:
    playing(ToolCall("1", "stock", '{"product": "bell"}'), "There are 23.", "You are welcome.")
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    for said in ("A tool call.", "you How many bells?", "till There are 23.", "2 turns in"):
        assert said in out
    for what_now in ("stretto chat", "stretto kb add", "STRETTO_BASE_URL="):
        assert what_now in out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "has no demo.yaml; talk with it: stretto chat till"),
        ("- sya: hello\n", "demo.yaml:1:3: `sya` is not known here; did you mean `say`?"),
        ("- say: hello\n  attach: [none.png]\n", "there is no file"),
    ],
)
def test_a_demo_that_cannot_play_says_why(
    text: str | None, told: str, playing: Endpoint, shop: Path, capsys: Capture
) -> None:
    playing(otherwise=lambda request: "Hello.")
    file = shop / "agents" / "till" / "demo.yaml"
    file.unlink() if text is None else file.write_text(text)
    assert main(["demo", "--json"]) == 1
    assert told in json.loads(capsys.readouterr().out)["error"]["message"]


def test_outside_a_project_it_says_how_to_begin_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 1
    assert "stretto new x && cd x && stretto demo" in capsys.readouterr().err


class Terminal(io.StringIO):
    """Standard input or output that a person sits at."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.mark.parametrize(
    ("key", "typed", "chosen"),
    [
        ("OPENAI_API_KEY", "\n", None),
        ("OPENAI_API_KEY", "openai:gpt-4o-mini\n", "openai:gpt-4o-mini"),
        ("STRETTO_BASE_URL", "compatible:mine\n", "compatible:mine"),
        ("STRETTO_BASE_URL", "\n", "local:qwen2.5-coder-0.5b"),
        ("NOTHING", None, None),
    ],
)
def test_a_model_of_ones_own_is_offered_on_a_terminal(
    key: str, typed: str | None, chosen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "STRETTO_BASE_URL", "STRETTO_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(key, "http://127.0.0.1:1/v1")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(typed or ""))
    monkeypatch.setattr(sys, "stdout", screen)
    assert demo._offered() == chosen
    assert (typed is not None) == ("Play with your own model" in screen.getvalue())
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed or ""))
    assert demo._offered() is None, "nobody is there to answer"


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute on a quiet machine
@pytest.mark.model("smollm2-135m", "minilm")
def test_the_reference_project_plays_its_demo_on_the_smallest_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    project = tmp_path / "desk"
    project.mkdir()
    shutil.copy(ROOT / "stretto.yaml", project)
    for folder in ("agents", "tools", "prompts", "evals"):
        unwanted = shutil.ignore_patterns(".stretto", "__pycache__", "results*")
        shutil.copytree(ROOT / folder, project / folder, ignore=unwanted)
    monkeypatch.chdir(project)
    for name in ("STRETTO_MODEL", "STRETTO_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    brought: list[str] = []
    monkeypatch.setattr(demo, "bring", brought.extend)  # the classifier is optional, and not pulled for tests
    assert main(["demo", "--json", "--model", "local:smollm2-135m"]) == 0
    assert brought == ["smollm2-135m", "minilm", "efficientnet-lite0"]
    played: dict[str, Any] = json.loads(capsys.readouterr().out)
    turns = played["turns"]
    assert len(turns) == 5
    assert [turn["status"] for turn in turns] == ["done"] * 5
    for turn in turns:
        assert turn["output"], json.dumps(turn)
    assert [turn["missing"] for turn in (*turns[:3], turns[4])] == [[]] * 4
    assert "search" in turns[0]["path"]
    assert "look" in turns[2]["path"] and "display" in turns[2]["attach"][0]
    assert turns[3]["path"][1] == "act"
    assert turns[3]["tools"] or turns[3]["path"][-1] == "sorry", "so small a model may end no call"
    assert turns[4]["path"] == ["choose", "decline"], "out of scope"


def test_the_local_models_of_a_pool_are_brought_too(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRETTO_EMBEDDER", raising=False)
    (shop / "stretto.yaml").write_text(
        "pools: {a: {members: ['local:smollm2-135m', 'ollama:x', 'pool:b']}, b: {members: ['local:x']}}\n"
    )
    agent = Agent.from_folder(shop / "agents" / "till", model="pool:a")
    assert demo.needed(agent) == ["smollm2-135m", "minilm", "efficientnet-lite0"]
