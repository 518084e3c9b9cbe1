"""A planted secret, in key, header, URL and tool argument, stands in no log, error or file of a run.

One exception: what the model wrote into a tool's argument is part of the conversation, and kept with it.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stretto.cli.main import main
from stretto.messages import ToolCall
from stretto.testing import ChatServer, Fault

KEY = "planted key of no known shape"
HEADER = "sk-planted-header-0123456789"
LOGIN = "planted-url-password"
ARGUMENT = "sk-planted-argument-0123456789"

TOOLS = '''
from stretto import ToolError, tool


@tool
def pay(token: str) -> str:
    """Pays.

    Args:
        token: What to pay with.
    """
    raise ToolError(f"the bank refused api_key={token}")
'''


@pytest.fixture
def server(serve: Callable[..., ChatServer]) -> ChatServer:
    """An endpoint that asks for the tool, then answers, then fails."""
    call = ToolCall("1", "pay", json.dumps({"token": ARGUMENT}))
    fault = Fault("status", status=401, message=f"wrong key {KEY} {HEADER}")
    return serve(call, "I could not pay.", fault)


@pytest.fixture
def project(tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    url = server.url.replace("http://", f"http://me:{LOGIN}@")
    (tmp_path / "agents" / "till").mkdir(parents=True)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "bank.py").write_text(TOOLS)
    (tmp_path / "stretto.yaml").write_text("agent: till\n")
    (tmp_path / "agents" / "till" / "agent.yaml").write_text(
        f"models:\n  chat:\n    model: compatible:till\n    base_url: {url}\n    api_key_env: TILL_KEY\n"
        f"    headers: {{X-Gateway-Key: {HEADER}}}\ntools: [bank]\n"
    )
    monkeypatch.setenv("TILL_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_planted_secret_is_found_nowhere(
    form: str, project: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "till", "Pay, please.", "-vv", "--log-format", form, "--thread", "t"]) == 0
    assert main(["run", "till", "And now?", "-vv", "--log-format", form, "--thread", "t", "--json"]) == 1
    shown, told = capsys.readouterr()

    given_to(server)
    for line in ("tool.started", "tool.finished", "run.finished", "error"):
        assert line in told, "what is searched for secrets is there"
    assert "pay(" in shown and "the bank refused" in shown, "the tool's arguments and output are shown"
    nowhere(shown, told)
    kept_only_as_conversation(project)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_planted_secret_is_in_no_log_of_a_process_of_its_own(
    form: str, project: Path, server: ChatServer
) -> None:
    def run(question: str, *more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stretto", "run", "till", question, "-v", "--thread", "t"]
        return subprocess.run(
            [*command, "--log-format", form, *more], capture_output=True, text=True, timeout=120
        )

    first, second = run("Pay, please."), run("And now?", "--json")
    assert (first.returncode, second.returncode) == (0, 1), first.stderr + second.stderr
    given_to(server)
    assert "tool.started" in first.stderr and "error" in second.stderr
    nowhere(first.stdout, first.stderr, second.stdout, second.stderr)
    kept_only_as_conversation(project)


def given_to(server: ChatServer) -> None:
    """The endpoint got the secrets: they were there to leak."""
    sent = server.served[0]
    assert KEY in sent.headers["authorization"] and HEADER in sent.headers["x-gateway-key"]
    assert ARGUMENT in str(server.served[1].body)


def nowhere(*texts: str) -> None:
    found = [(secret, text) for secret in (KEY, HEADER, LOGIN, ARGUMENT) for text in texts if secret in text]
    assert found == []


def kept_only_as_conversation(project: Path) -> None:
    files = [path for path in (project / ".stretto").rglob("*") if path.is_file()]
    threads = [path for path in files if path.name.startswith("threads.sqlite")]
    conversation = b"".join(path.read_bytes() for path in threads)
    assert b"Pay, please." in conversation, "the conversation is kept"
    assert f"api_key={ARGUMENT}".encode() not in conversation, "what the tool said was masked"
    for secret in (KEY, HEADER, LOGIN):
        assert secret.encode() not in conversation
    for path in set(files) - set(threads):
        assert ARGUMENT.encode() not in path.read_bytes(), path.name
