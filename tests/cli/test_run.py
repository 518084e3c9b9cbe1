"""`stretto run`: the JSON that scripts rely on, exit codes, and errors that say what to type."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from stretto.cli.main import main
from stretto.messages import ToolCall
from stretto.testing import ChatServer, Fault

KEYS = [
    *["output", "citations", "path", "tools", "usage", "timings", "thread_id"],
    *["status", "missing", "interrupts"],
]
"""Of `--json`: the first seven are promised to scripts, the others came with them."""
Capture = pytest.CaptureFixture[str]
Endpoint = Callable[..., ChatServer]


def asked(capsys: Capture, *given: str) -> tuple[int, Any, str]:
    """`stretto run ... --json`: exit code, the one object on stdout, stderr."""
    capsys.readouterr()
    code = main(["run", *given, "--json"])
    out, err = capsys.readouterr()
    assert out.count("\n") == 1, "one line"
    return code, json.loads(out), err


def test_the_json_of_an_agent_with_tools_has_the_promised_keys(endpoint: Endpoint, capsys: Capture) -> None:
    endpoint(ToolCall("1", "stock", '{"product": "bell"}'), "There are 23.")
    code, turn, err = asked(capsys, "till", "How many bells?", "--thread", "anna")
    assert (code, err) == (0, "")
    assert list(turn) == KEYS
    assert turn["output"] == "There are 23."
    assert (turn["citations"], turn["path"], turn["thread_id"]) == ([], ["answer"], "anna")
    (tool,) = turn["tools"]
    assert tool.pop("seconds") >= 0
    assert tool == {
        "name": "stock",
        "call_id": "1",
        "arguments": '{"product": "bell"}',
        "output": "bell: 23",
        "is_error": False,
        "approved_by": "",
    }
    tokens = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "calls", "cost")
    assert tuple(turn["usage"]) == tokens and turn["usage"]["calls"] == 2
    assert set(turn["timings"]) == {"answer", "first_text", "total"}
    assert (turn["status"], turn["missing"], turn["interrupts"]) == ("done", [], {})


def test_the_json_of_an_agent_with_documents_has_citations_with_document_page_and_quote(
    endpoint: Endpoint, capsys: Capture
) -> None:
    endpoint("Unused goods can be returned within 30 days.")
    code, turn, _ = asked(capsys, "desk", "How long can unused goods be returned?")
    assert (code, turn["path"]) == (0, ["search", "answer"])
    (citation,) = turn["citations"]
    assert (citation["document"], citation["page"]) == ("returns.md", None)
    assert citation["quote"] == "Unused goods can be returned within 30 days of the delivery."
    start, end = citation["span"]
    assert turn["output"][start:end] == "Unused goods can be returned within 30 days."


def test_a_thread_goes_on_and_a_new_one_gets_an_id_of_its_own(endpoint: Endpoint, capsys: Capture) -> None:
    server = endpoint("Hello.", "Hello again.", "Who?")
    _, first, _ = asked(capsys, "till", "I am Anna.")
    _, second, _ = asked(capsys, "till", "Who am I?", "--thread", first["thread_id"])
    _, third, _ = asked(capsys, "till", "Who am I?")
    assert second["thread_id"] == first["thread_id"] != third["thread_id"]
    texts = [[m.text for m in request.messages if m.role == "user"] for request in server.requests]
    assert [len(call) for call in texts] == [1, 2, 1]
    assert texts[1][0] == "I am Anna." and texts[1][1].endswith("Who am I?")


def test_an_attached_picture_reaches_the_agent(
    endpoint: Endpoint, shop: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    Pillow.new("RGB", (30, 20), "navy").save(shop / "blue.png")
    agent = shop / "agents" / "till" / "agent.yaml"
    agent.write_text("models:\n  vision: compatible:sees\n")
    server = endpoint("A blue field.", "It is blue.")
    code, turn, _ = asked(capsys, "till", "What colour?", "--attach", "blue.png")
    assert (code, turn["path"], turn["output"]) == (0, ["look", "answer"], "It is blue.")
    assert server.requests[0].messages[0].media[0].source.startswith("data:image/png;base64,")


def test_people_see_the_path_the_text_and_how_to_go_on(endpoint: Endpoint, capsys: Capture) -> None:
    endpoint(ToolCall("1", "stock", '{"product": "bell"}'), "There are 23.")
    assert main(["run", "till", "How many bells?", "--thread", "anna"]) == 0
    out = capsys.readouterr().out
    assert "till There are 23." in out
    assert 'stock({"product": "bell"}) = bell: 23' in out
    assert out.rstrip().endswith("go on with: --thread anna")


def test_a_call_that_needs_approval_pauses_and_the_thread_then_takes_no_question(
    endpoint: Endpoint, capsys: Capture
) -> None:
    endpoint(*[ToolCall("9", "refund", '{"order": "A"}')] * 2)
    code, turn, _ = asked(capsys, "till", "Refund A.", "--thread", "t")
    assert (code, turn["status"], turn["output"]) == (0, "interrupted", None)
    question = turn["interrupts"]["9"]
    assert question.pop("hash") and question == {"tool": "refund", "arguments": {"order": "A"}}
    code, error, err = asked(capsys, "till", "Something else.", "--thread", "t")
    assert (code, error["error"]["kind"]) == (1, "ThreadError")
    assert "thread `t` waits for an answer to `9`" in err and "answers={'9': ...}" in err
    assert main(["run", "till", "Refund A.", "--thread", "u"]) == 0
    out = capsys.readouterr().out
    assert "waits for an answer to 9" in out and "go on with" not in out


WRONG = {
    "no such file": (
        ["till", "q", "--attach", "none.png"],
        "MediaNotFound",
        "there is no file `none.png` to attach",
    ),
    "no such agent": (["tlil", "q"], "ConfigError", "there is no agent `tlil`. Known: desk, till"),
    "no such provider": (
        ["till", "q", "--model", "compatibel:x"],
        "ModelNotFound",
        "no provider `compatibel`: did you mean `compatible:x`?",
    ),
    "no provider": (["till", "q", "--model", "gpt-4o"], "ModelNotFound", "provider"),
    "no such local model": (
        ["till", "q", "--model", "local:smollm"],
        "ModelNotFound",
        "there are qwen2.5-coder-0.5b, smollm2-135m",
    ),
    "a file that is no picture": (
        ["till", "q", "--attach", "stretto.png"],
        "UnsupportedMedia",
        "stretto.png",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_argument_ends_with_1_and_says_what_is_there(
    case: str, endpoint: Endpoint, shop: Path, capsys: Capture
) -> None:
    endpoint()
    (shop / "stretto.png").write_text("agent: till\n")
    given, kind, told = WRONG[case]
    code, answer, err = asked(capsys, *given)
    assert (code, list(answer), answer["error"]["kind"]) == (1, ["error"], kind)
    assert told in answer["error"]["message"] and err == f"error: {answer['error']['message']}\n"


@pytest.mark.parametrize(
    ("file", "text", "place", "told"),
    [
        ("agents/till/agent.yaml", "tools: [shop\nprompt: x\n", "2:7", "expected ',' or ']'"),
        ("agents/till/agent.yaml", "tools: [shop]\ntoolz: x\n", "2:1", "did you mean `tools`?"),
        ("agents/till/agent.yaml", "limits:\n  steps: many\n", "2:10", "`limits.steps`"),
        ("stretto.yaml", "agent: till\nmodels:\n  chatt: x\n", "3:3", "did you mean `chat`?"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_line_and_column(
    file: str, text: str, place: str, told: str, endpoint: Endpoint, shop: Path, capsys: Capture
) -> None:
    endpoint()
    (shop / file).write_text(text)
    code, answer, _ = asked(capsys, "till", "q")
    assert (code, answer["error"]["kind"]) == (1, "ConfigError")
    assert answer["error"]["message"].startswith(f"{shop / file}:{place}: ")
    assert told in answer["error"]["message"]


def test_an_endpoint_that_fails_ends_the_turn_with_its_class(endpoint: Endpoint, capsys: Capture) -> None:
    endpoint(Fault("status", status=401, message="no such key"))
    code, answer, _ = asked(capsys, "till", "q")
    assert (code, answer["error"]["kind"]) == (1, "BadRequest")


def test_an_address_without_a_model_says_what_to_set(
    endpoint: Endpoint, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint()
    monkeypatch.delenv("STRETTO_MODEL")
    code, answer, _ = asked(capsys, "till", "q")
    assert code == 1 and "Set STRETTO_MODEL too" in answer["error"]["message"]


@pytest.mark.parametrize("given", [[], ["till"], ["till", "q", "--attach"], ["till", "q", "--colour", "red"]])
def test_wrong_usage_ends_with_2(given: list[str], shop: Path, capsys: Capture) -> None:
    assert main(["run", *given]) == 2
    assert "usage: stretto" in capsys.readouterr().err


@pytest.mark.parametrize("by", ["option", "environment", "agent", "project"])
def test_a_pool_of_the_project_answers(
    by: str, shop: Path, serve: Callable[..., ChatServer], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    server = serve("From the pool.")
    models = "models: {chat: 'pool:chat'}\n" if by == "project" else ""
    (shop / "stretto.yaml").write_text(
        f"{models}pools: {{chat: {{members: [{{model: 'compatible:x', base_url: '{server.url}'}}]}}}}\n"
    )
    (shop / "agents" / "till" / "agent.yaml").write_text("model: pool:chat\n" if by == "agent" else "")
    monkeypatch.setenv("STRETTO_BASE_URL", "http://127.0.0.1:9/v1")  # of `compatible`, not of a pool
    monkeypatch.setenv("STRETTO_MODEL", "pool:chat" if by == "environment" else "compatible:other")
    if by in ("agent", "project"):
        monkeypatch.delenv("STRETTO_MODEL")
        monkeypatch.delenv("STRETTO_BASE_URL")
    given = ["--model", "pool:chat"] if by == "option" else []
    assert main(["run", "till", "Hello", "--json", *given]) == 0
    assert json.loads(capsys.readouterr().out)["output"] == "From the pool."


def test_a_missing_key_is_told_with_what_to_type(
    shop: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "STRETTO_BASE_URL", "STRETTO_MODEL"):
        monkeypatch.delenv(name, raising=False)
    assert main(["run", "till", "Hello", "--model", "openai:gpt-4o-mini"]) == 1
    err = capsys.readouterr().err
    assert "set OPENAI_API_KEY or pass api_key=... (in YAML, `api_key_env` names another variable)" in err
