"""`stretto chat`: lines in, answers out, one conversation until `/new`."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stretto.cli.main import main
from stretto.messages import ToolCall
from stretto.testing import ChatServer, Fault

Capture = pytest.CaptureFixture[str]
Endpoint = Callable[..., ChatServer]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Callable[..., tuple[int, str, str]]:
    """`say(lines, *arguments)`: what `stretto chat` does with these lines piped in."""

    def play(lines: str, *given: str) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.StringIO(lines))
        code = main(["chat", *given])
        out, err = capsys.readouterr()
        return code, out, err

    return play


def objects(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


def asked(server: ChatServer) -> list[list[str]]:
    """What each call was asked by the person; the preset writes `Question:` before the latest."""
    texts = [[m.text for m in request.messages if m.role == "user"] for request in server.requests]
    return [[text.split("Question: ")[-1] for text in call] for call in texts]


def test_each_line_is_a_turn_of_one_conversation(endpoint: Endpoint, say: Any) -> None:
    server = endpoint("Hello Anna.", "You are Anna.")
    code, out, _ = say("I am Anna.\n\nWho am I?\n", "--json")
    turns = objects(out)
    assert code == 0
    assert [turn["output"] for turn in turns] == ["Hello Anna.", "You are Anna."]
    assert turns[0]["thread_id"] == turns[1]["thread_id"]
    assert asked(server) == [["I am Anna."], ["I am Anna.", "Who am I?"]]


def test_new_begins_another_conversation_and_quit_ends_it(endpoint: Endpoint, say: Any) -> None:
    server = endpoint("One.", "Two.")
    code, out, _ = say("first\n/new\nsecond\n/quit\nthird\n", "till", "--json")
    one, two = objects(out)
    assert code == 0
    assert one["thread_id"] != two["thread_id"]
    assert asked(server) == [["first"], ["second"]]


def test_a_conversation_is_taken_up_by_its_name(endpoint: Endpoint, say: Any) -> None:
    server = endpoint("One.", "Two.")
    say("first\n", "--thread", "me")
    say("second\n", "--thread", "me")
    assert asked(server)[1] == ["first", "second"]


def test_people_see_the_tools_and_the_text(endpoint: Endpoint, say: Any) -> None:
    endpoint(ToolCall("1", "stock", '{"product": "bell"}'), "There are 23.")
    code, out, _ = say("How many bells?\n", "till")
    assert code == 0
    assert "bell: 23" in out and "till There are 23." in out


def test_an_error_is_one_line_and_the_conversation_goes_on(endpoint: Endpoint, say: Any) -> None:
    endpoint(Fault("status", status=401, message="no such key"), "Here again.")
    code, out, err = say("first\nsecond\n", "--json")
    assert code == 1, "a script can see that a turn failed"
    assert [turn["output"] for turn in objects(out)] == ["Here again."]
    assert err.count("error: ") == 1 and "Traceback" not in err


def test_a_file_that_is_not_there_is_told_before_anything_is_asked(endpoint: Endpoint, say: Any) -> None:
    server = endpoint()
    code, _, err = say("/attach none.png\nWhat is this?\n")
    assert (code, err) == (1, "error: there is no file `none.png` to attach\n")
    assert server.requests == []


def test_an_unclosed_quote_in_attach_is_told(endpoint: Endpoint, say: Any) -> None:
    endpoint("Still here.")
    code, out, err = say('/attach "a b.png\nAre you there?\n', "--json")
    assert code == 1
    assert err == 'error: /attach "a b.png: a quote is not closed\n'
    assert [turn["output"] for turn in objects(out)] == ["Still here."]


def test_a_project_without_an_agent_says_where_to_name_one(shop: Path, say: Any) -> None:
    (shop / "stretto.yaml").write_text("")
    code, _, err = say("hi\n")
    assert code == 1
    assert "no agent named, and `agent:` is not set in stretto.yaml" in err


def test_what_is_wrong_in_the_agents_file_is_told_before_the_first_question(shop: Path, say: Any) -> None:
    (shop / "agents" / "till" / "agent.yaml").write_text("toolz: [shop]\n")
    code, _, err = say("")
    assert code == 1
    assert "agent.yaml:1:1: `toolz` is not known here" in err


def test_without_a_question_no_agent_is_made(shop: Path, say: Any) -> None:
    (shop / "tools" / "shop.py").write_text("raise SystemExit(3)\n")
    code, _, err = say("/new\n/quit\n")
    assert (code, err) == (0, "")
    code, _, err = say("Hello\n")
    assert code == 1 and "shop.py:1: SystemExit" in err
