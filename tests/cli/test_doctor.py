"""`stretto doctor` tells what is there and what is missing, and shows no key."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stretto.cli import doctor
from stretto.cli.main import main

KEY = "a-key-that-nobody-may-see"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRETTO_CACHE", str(tmp_path / "cache"))
    for name in ("STRETTO_BASE_URL", *doctor.KEYS):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def endpoint() -> Iterator[str]:
    """An HTTP server that asks for a key."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def looked(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, Any]]]:
    code = main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] == (code == 0)
    return code, {check["name"]: check for check in report["checks"]}


def test_a_good_installation_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    code, checks = looked(capsys)
    assert code == 0
    assert {"stretto", "python", "sqlite", "cache", "disk", "aiohttp", "local models", "project"} <= set(
        checks
    )
    assert checks["not pulled"]["hint"] == "stretto models pull --default"
    assert checks["project"]["value"] == "none here"


def test_the_project_file_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "stretto.yaml").write_text("agent: desk\n")
    _, checks = looked(capsys)
    assert checks["project"]["value"] == str(tmp_path / "stretto.yaml")


def test_a_broken_project_file_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stretto.yaml").write_text("agent: desk\nmodls: {}\n")
    code, checks = looked(capsys)
    assert code == 1
    assert "stretto.yaml:2" in checks["project"]["value"]


def test_a_key_is_set_or_not_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert main(["doctor"]) == 0
    assert main(["doctor", "--json"]) == 0
    out, err = capsys.readouterr()
    assert KEY not in out + err
    _, checks = looked(capsys)
    assert checks["key OPENAI_API_KEY"]["value"] == "set"
    assert checks["key STRETTO_API_KEY"]["value"] == "not set"


def test_a_key_that_the_project_asks_for_must_be_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stretto.yaml").write_text("models:\n  chat: {model: openai:x, api_key_env: DESK_KEY}\n")
    code, checks = looked(capsys)
    assert (code, checks["key DESK_KEY"]["ok"]) == (1, False)


def test_an_endpoint_that_answers_is_well(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRETTO_BASE_URL", endpoint)
    code, checks = looked(capsys)
    assert (code, checks[f"endpoint {endpoint}"]["value"]) == (0, "answers (401)")


def test_an_endpoint_that_does_not_answer_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("STRETTO_BASE_URL", f"http://me:{KEY}@127.0.0.1:{port}/v1")
    code, checks = looked(capsys)
    assert code == 1
    found = next(check for name, check in checks.items() if name.startswith("endpoint"))
    assert "does not answer" in found["value"]
    assert KEY not in str(found)


def test_an_address_of_another_kind_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("secret")
    assert doctor.endpoint(f"file://{tmp_path}").ok is False


def test_the_pools_are_told_with_their_members_keys_and_endpoints(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("POOL_KEY", raising=False)
    (tmp_path / "stretto.yaml").write_text(
        "pools: {chat: {members: ['local:a', "
        f"{{model: 'compatible:b', base_url: '{endpoint}', api_key_env: POOL_KEY}}]}}}}\n"
    )
    code, checks = looked(capsys)
    assert (code, checks["pool:chat"]["value"]) == (1, "local:a, compatible:b")
    assert checks["pool:chat"]["hint"] == "stretto models probe pool:chat"
    assert checks["key POOL_KEY"]["ok"] is False
    assert checks[f"endpoint {endpoint}"]["ok"] is True


def test_a_pool_of_itself_is_told_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "stretto.yaml").write_text("pools:\n  a: {members: ['pool:a']}\n")
    code, checks = looked(capsys)
    assert code == 1
    assert "stretto.yaml:2:17: the pool `a` contains itself" in checks["project"]["value"]
