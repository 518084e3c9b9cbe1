"""`stretto models probe` asks real endpoints and tells what each can do."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stretto.agent.project import find_project
from stretto.cli.main import main
from stretto.cli.probe import choose
from stretto.errors import BadRequest
from stretto.messages import ToolCall
from stretto.testing import ChatServer, Request

Capture = pytest.CaptureFixture[str]
Serve = Callable[..., ChatServer]
KEY = "a-key-that-nobody-may-see"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("MODEL", "VISION", "EMBEDDER", "BASE_URL", "API_KEY"):
        monkeypatch.delenv(f"STRETTO_{name}", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return tmp_path


def able(request: Request) -> Any:
    if request.tools:
        return ToolCall("", request.tools[0].name, '{"city": "Paris"}')
    if request.schema is not None:
        return '{"greeting": "Hello", "letters": 5}'
    return "Green and yellow."


def toolless(request: Request) -> Any:
    return BadRequest("tools are not supported here") if request.tools else able(request)


def nobody() -> str:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}/v1"


def probed(capsys: Capture, *given: str) -> tuple[int, dict[str, Any]]:
    code = main(["models", "probe", *given, "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] == (code == 0)
    return code, {one["name"]: one for one in answer["probes"]}


def test_a_named_endpoint_shows_what_it_can(serve: Serve, capsys: Capture) -> None:
    server = serve(otherwise=able)
    code, found = probed(capsys, "compatible:x", "--base-url", server.url)
    one = found["compatible:x"]
    assert (code, one["reached"], one["failed"], one["base_url"]) == (0, True, {}, server.url)
    assert (one["tools"], one["vision"], one["json_schema"]) == (True, True, True)
    assert one["first_token"] > 0


def test_what_fails_is_told_and_an_endpoint_that_answers_is_no_error(serve: Serve, capsys: Capture) -> None:
    server = serve(otherwise=toolless)
    assert main(["models", "probe", "compatible:x", "--base-url", server.url]) == 0
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if "compatible:x" in line)
    assert row.split()[0] == "ok" and row.split()[-3:] == ["no", "yes", "yes"]
    assert f"tools: `compatible:x` at {server.url} answered 400: tools are not supported here" in out


def test_the_members_of_the_projects_pools_are_probed_where_they_answer(
    project: Path, serve: Serve, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, gone = serve(otherwise=able, api_key=KEY), nobody()
    monkeypatch.setenv("POOL_KEY", KEY)
    (project / "stretto.yaml").write_text(
        "models: {chat: 'pool:chat', embed: 'compatible:e'}\n"
        "pools: {chat: {members: ["
        f"{{model: 'compatible:a', base_url: '{server.url}', api_key_env: POOL_KEY}},"
        f"{{model: 'compatible:b', base_url: '{gone}'}}, 'openai:c']}}}}\n"
    )
    code, found = probed(capsys, "chat")
    assert (code, list(found)) == (1, ["compatible:a", "compatible:b", "openai:c"])
    assert [one["reached"] for one in found.values()] == [True, False, False]
    assert {one["part"] for one in found.values()} == {"pool:chat"}
    assert "cannot be reached" in found["compatible:b"]["failed"]["answer"]
    assert "needs a key: set OPENAI_API_KEY" in found["openai:c"]["failed"]["answer"]
    assert main(["models", "probe"]) == 1
    out, err = capsys.readouterr()
    assert "has no address" in out  # the embedder: one that cannot be opened leaves the others standing
    assert KEY not in out + err + str(found)


def test_embeddings_are_probed_as_such(
    project: Path, serve: Serve, capsys: Capture, monkeypatch: Any
) -> None:
    server = serve(dimensions=24)
    monkeypatch.setenv("STRETTO_MODEL", "compatible:e")
    monkeypatch.setenv("STRETTO_EMBEDDER", "compatible:e")
    monkeypatch.setenv("STRETTO_BASE_URL", server.url)
    code, found = probed(capsys, "embed")
    assert (code, found["compatible:e"]["dimensions"]) == (0, 24)
    assert main(["models", "probe", "embed"]) == 0
    assert "24 dimensions" in capsys.readouterr().out


@pytest.mark.parametrize("given", [["models", "--probe"], ["models", "list", "--probe"]])
def test_it_can_be_asked_for_as_an_option(
    given: list[str], project: Path, serve: Serve, capsys: Capture
) -> None:
    server = serve(otherwise=able)
    (project / "stretto.yaml").write_text(
        f"models: {{chat: {{model: 'compatible:x', base_url: '{server.url}'}}, embed: 'local:none'}}\n"
    )
    assert main([*given, "--json", "--timeout", "20"]) == 1
    probes = json.loads(capsys.readouterr().out)["probes"]
    assert [(one["name"], one["reached"]) for one in probes] == [
        ("compatible:x", True),
        ("local:none", False),
    ]


def test_an_endpoint_with_several_parts_is_asked_once(project: Path) -> None:
    (project / "stretto.yaml").write_text(
        "models: {chat: 'pool:a', vision: 'ollama:x'}\n"
        "pools: {a: {members: ['ollama:x', {model: 'ollama:x', base_url: 'http://h/v1'}, 'pool:b']},"
        " b: {members: ['ollama:y']}}\n"
    )
    (project / "agents" / "desk").mkdir(parents=True)
    (project / "agents" / "desk" / "agent.yaml").write_text("model: ollama:z\n")
    chosen = [(one.file.model, one.part) for one in choose(find_project(), [])]
    assert chosen == [
        ("ollama:x", "pool:a, vision"),
        ("ollama:x", "pool:a"),
        ("ollama:y", "pool:b"),
        ("local:minilm", "embed"),
        ("ollama:z", "desk chat"),
    ]
    assert [one.file.model for one in choose(find_project(), ["pool:b", "local:minilm"])] == [
        "ollama:y",
        "local:minilm",
    ]


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        (["pool:no"], 1, "there is no pool `no`: Pools: none"),
        (["--base-url", "http://h/v1"], 1, "for models that are named"),
        (["local:gpt-9"], 1, ""),
    ],
)
def test_a_wrong_name_is_told(given: list[str], code: int, told: str, capsys: Capture) -> None:
    assert main(["models", "probe", *given]) == code
    assert told in capsys.readouterr().err


def test_a_slip_in_a_name_is_a_probe_that_failed(capsys: Capture) -> None:
    assert main(["models", "probe", "opneai:x"]) == 1
    assert "did you mean `openai:x`?" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.model("smollm2-135m", "minilm")
def test_local_models_are_probed_too(capsys: Capture) -> None:
    code, found = probed(capsys, "local:smollm2-135m", "local:minilm", "--timeout", "60")
    assert code == 0
    assert found["local:smollm2-135m"]["tokens_per_second"] > 0
    assert found["local:minilm"]["dimensions"] == 384


@pytest.mark.parametrize("seconds", ["0", "abc", "-1", "nan", "3601"])
def test_a_time_that_is_none_is_told_with_what_may_stand_there(seconds: str, capsys: Capture) -> None:
    assert main(["models", "probe", f"--timeout={seconds}"]) == 2
    err = capsys.readouterr().err
    assert f"'{seconds}': give seconds, more than 0 and at most 3600" in err


def test_a_part_that_nobody_plays_is_told(project: Path, capsys: Capture) -> None:
    (project / "stretto.yaml").write_text("models: {chat: 'ollama:x'}\n")
    assert main(["models", "probe", "vision"]) == 1
    assert "no vision model is configured; name one in stretto.yaml, such as `models: {vision: " in (
        capsys.readouterr().err
    )
