"""`stretto memory`: a table for people, JSON for programs; what is forgotten is gone from every file."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent
from stretto.cli.main import main
from stretto.testing import ChatServer

GRAPH = """
import json

from stretto import Graph
from stretto.graph import END, START
from stretto.nodes import llm, recall, remember
from stretto.testing import ScriptedModel


def noted(request):
    text = request.messages[-1].text.partition("What the person wrote:\\n")[2]
    name = " ".join(text.split()[:2])
    return json.dumps({"facts": [{"name": name, "text": text, "kind": "preference"}]})


def build(spec: object) -> Graph:
    answer = llm(ScriptedModel(otherwise=lambda _: "ok"))
    graph = Graph().add_node("recall", recall()).add_node("answer", answer)
    graph.add_node("remember", remember(ScriptedModel(otherwise=noted))).add_edge(START, "recall")
    return graph.add_edge("recall", "answer").add_edge("answer", "remember").add_edge("remember", END)
"""
Said = Callable[..., Any]


@pytest.fixture
def said(shop: Path, endpoint: Callable[..., ChatServer], capsys: pytest.CaptureFixture[str]) -> Said:
    """`said(*words)`: what the command prints, parsed where it is JSON; `code` is how it must end."""
    endpoint()
    (shop / "agents/till/agent.yaml").write_text("description: remembers\n")
    (shop / "agents/till/graph.py").write_text(GRAPH)

    def say(*words: str, code: int = 0) -> Any:
        assert main(["memory", *words]) == code
        out = capsys.readouterr().out
        return json.loads(out) if "--json" in words else out

    assert say("consent", "yes", "--user", "ann") == "agreed\n"

    async def fill() -> None:
        agent = Agent.from_folder("till")
        for question in ("likes green tea", "rides a blue bicycle"):
            await agent.run(question, thread_id="t", user="ann")
        await agent.run("rides a horse", user="bob")
        await agent.close()

    asyncio.run(fill())
    return say


def test_what_is_remembered_is_listed_for_people_and_for_programs(said: Said) -> None:
    out = said("list", "--user", "ann")
    assert "rides a blue bicycle" in out and "likes green" in out and "horse" not in out
    found = said("list", "--user", "ann", "--json")["memories"]
    assert [memory["text"] for memory in found] == ["rides a blue bicycle", "likes green tea"]
    assert {memory["kind"] for memory in found} == {"preference"}
    assert (
        said("list", "--user", "ann", "--json", "--threads", ".stretto/threads.sqlite")["memories"] == found
    )
    assert len(said("list", "--user", "ann", "--limit", "1", "--json")["memories"]) == 1
    assert said("list", "--user", "bob") == "nothing is remembered of bob\n"
    assert said("list", "--user", "ann", "--tenant", "acme", "--json") == {"memories": []}


def test_what_is_remembered_is_searched(said: Said) -> None:
    for place in ((), ("--threads", ".stretto/threads.sqlite")):
        best = said("search", "which tea", "--user", "ann", "--top-k", "1", "--json", *place)["memories"][0]
        assert best["score"] is not None
    assert "score" in said("search", "which tea", "--user", "ann")


def test_consent_is_shown_given_and_taken_back(said: Said) -> None:
    assert said("consent", "--user", "ann", "--json") == {"user": "ann", "consent": True}
    assert said("consent", "--user", "bob") == "has not agreed\n"
    assert said("consent", "no", "--user", "ann") == "has not agreed\n"


def test_forgetting_asks_first_and_leaves_no_byte(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["memory", "forget", "--user", "ann"]) == 1
    assert "Forget everything of ann for good? Type it again with --yes" in capsys.readouterr().err
    assert said("forget", "likes green", "--user", "ann", "--yes") == "1 forgotten\n"
    assert said("forget", "likes green", "--user", "ann", "--yes", code=1) == "0 forgotten\n"
    assert said("forget", "--user", "ann", "--yes", "--json") == {"forgotten": 1}
    assert said("consent", "--user", "ann") == "has not agreed\n"
    assert main(["threads", "delete", "--user", "ann", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": ["t"], "missing": []}
    held = b"".join(path.read_bytes() for path in Path(".stretto").glob("threads.sqlite*"))
    assert b"bicycle" not in held and b"green tea" not in held and b"horse" in held


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["list"], 2, "--user"),
        (["list", "--user", ""], 1, "say whose memories"),
        (["list", "--user", "ann", "--limit", "0"], 1, "a number above 0"),
        (
            ["list", "--user", "ann", "--threads", "nowhere.sqlite"],
            1,
            "there are no threads in `nowhere.sqlite`",
        ),
    ],
)
def test_wrong_usage_is_said(
    shop: Path, words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["memory", *words]) == code
    assert told in capsys.readouterr().err
