"""`stretto threads`: a table for people, JSON for programs, exit code 1 where threads cannot be taken up."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent
from stretto.cli.main import main

GRAPH = """
from stretto import Graph, RunContext
from stretto.graph import END, START, Conversation


async def ask(state: Conversation, ctx: RunContext) -> Conversation:
    return {"output": ctx.interrupt("Really?") if "wait" in state["question"] else "done"}


def build(spec: object) -> Graph:
    return Graph().add_node("ask", ask).add_edge(START, "ask").add_edge("ask", END)
"""
Said = Callable[..., Any]


@pytest.fixture
def desk(shop: Path) -> Path:
    """The graph of an agent of the project, which has kept the threads `done` and `waits`."""
    (shop / "agents/till/agent.yaml").write_text("description: asks\n")
    graph = shop / "agents/till/graph.py"
    graph.write_text(GRAPH)

    async def fill() -> None:
        agent = Agent.from_folder("till")
        await agent.run("hello", thread_id="done")
        await agent.run("wait for me", thread_id="waits")
        await agent.close()

    asyncio.run(fill())
    return graph


@pytest.fixture
def said(desk: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """`said(*words)`: what the command prints, parsed where it is JSON; `code` is how it must end."""

    def say(*words: str, code: int = 0) -> Any:
        assert main(["threads", *words]) == code
        out = capsys.readouterr().out
        return json.loads(out) if "--json" in words else out

    return say


def test_threads_are_listed_for_people_and_for_programs(said: Said) -> None:
    out = said("list")
    assert "ask: Really?" in out and "waits" in out and "done" in out
    found = said("list", "--json")
    assert found["total"] == 2
    assert [(row["thread_id"], row["turns"]) for row in found["threads"]] == [("waits", 1), ("done", 1)]
    assert "1 more" in said("list", "--limit", "1")
    by_path = said("list", "--threads", ".stretto/threads.sqlite", "--json")
    assert by_path == found


def test_a_thread_is_shown_with_its_question_and_its_checkpoints(said: Said) -> None:
    out = said("show", "waits")
    assert "user: wait for me" in out and "waits for `ask`: Really?" in out
    shown = said("show", "waits", "--json")
    assert shown["next"] == ["ask"]
    assert shown["checkpoints"][0]["checkpoint_id"] in out
    assert said("show", "waits", "--at", shown["checkpoints"][-1]["checkpoint_id"], "--json")["thread"]


def test_a_check_passes_or_says_the_node_and_ends_with_1(said: Said, desk: Path) -> None:
    assert "2  can be taken up" in said("check")
    assert said("check", "till", "--json")["passed"]
    desk.write_text(GRAPH.replace('"ask"', '"confirm"'))
    out = said("check", code=1)
    assert "cannot go on" in out and 'renamed={"ask": "confirm"}' in out and "(waits)" in out
    found = said("check", "--json", code=1)
    assert [(group["verdict"], group["threads"]) for group in found["groups"]] == [
        ("nodes_gone", 1),
        ("fits", 1),
    ]


def test_a_thread_is_forked_compared_and_exported(said: Said) -> None:
    assert "--thread mine" in said("fork", "waits", "--to", "mine")
    assert said("diff", "waits", "mine") == "no difference\n"
    assert "+ user: wait for me" in said("diff", "done", "waits")
    (line,) = said("export", "mine").splitlines()
    assert json.loads(line)["role"] == "user"
    assert said("fork", "waits", "--json")["source"] == "waits"


def test_deleting_asks_first_and_says_what_was_not_there(
    said: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["threads", "delete", "waits"]) == 1
    assert "Delete waits for good? Type it again with --yes" in capsys.readouterr().err
    assert (
        said("delete", "waits", "nobody", "--yes", code=1) == "1 threads deleted\nthere is no thread nobody\n"
    )
    assert said("list", "--json")["total"] == 1
    with sqlite3.connect(".stretto/threads.sqlite") as connection:
        assert connection.execute("SELECT COUNT(*) FROM writes WHERE thread_id = 'waits'").fetchone() == (0,)
    connection.close()
    assert said("delete", "--tenant", "nobody", "--yes", "--json") == {"deleted": [], "missing": []}


def test_an_answer_at_the_terminal_decides(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdin.readline", lambda: "n\n", raising=False)
    assert said("delete", "done", code=1) == ""
    monkeypatch.setattr("sys.stdin.readline", lambda: "y\n", raising=False)
    assert said("delete", "done") == "1 threads deleted\n"


def test_pruning_by_age_and_by_number(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said("prune", "--older-than", "30d") == "0 threads deleted\n"
    assert said("prune", "--keep", "1", "--yes", "--json")["deleted"] == ["done"]
    assert said("list", "--json")["total"] == 1


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["delete"], 1, "name what to delete"),
        (["prune"], 1, "say what stays"),
        (["prune", "--older-than", "soon"], 2, "write 30d, 2w or 12h"),
        (["prune", "--older-than", "0d"], 2, "write 30d, 2w or 12h"),
        (["list", "--limit", "0"], 2, "not a positive number"),
        (["show", "nobody"], 1, "there is no thread `nobody`"),
        (["check", "--threads", "nowhere.sqlite"], 1, "there are no threads in `nowhere.sqlite`"),
        (["list", "--threads", "nowhere.sqlite"], 1, "there are no threads in `nowhere.sqlite`"),
    ],
)
def test_wrong_words_are_told_what_to_type(
    desk: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    assert main(["threads", *words]) == code
    assert told in capsys.readouterr().err
