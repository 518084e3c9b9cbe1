"""`stretto models` lists, pulls and removes; the sources themselves are tested in tests/models/local."""

import json
from pathlib import Path

import pytest

from stretto import Model
from stretto.cli import models as verb
from stretto.cli.main import main
from stretto.models.local.catalogue import CATALOGUE, DEFAULTS


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STRETTO_CACHE", str(tmp_path))
    return tmp_path


def install(cache: Path, name: str) -> None:
    """Files of the right size, without content."""
    folder = cache / "models" / name
    folder.mkdir(parents=True)
    for file in CATALOGUE[name].files:
        with (folder / file.name).open("wb") as handle:
            handle.truncate(file.size)


def test_the_list_names_every_model_with_licence_and_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["models"]
    assert [model["pull"] for model in listed] == list(CATALOGUE)
    assert all(model["licence"] and model["size"] and not model["installed"] for model in listed)


def test_the_list_for_people_marks_what_is_here(
    empty_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(empty_cache, "minilm")
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("here")] == ["minilm"]


def test_pulling_tells_size_and_licence_and_gives_paths(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verb, "pull", lambda name, progress: install(empty_cache, name))
    assert main(["models", "pull", "--default", "local:minilm", "--json"]) == 0
    out, err = capsys.readouterr()
    assert [model["name"] for model in json.loads(out)["models"]] == list(DEFAULTS)
    assert f"pulling {len(DEFAULTS)} model(s)" in err
    assert "Apache-2.0" in err and " MB" in err


def test_what_is_there_is_not_pulled_again(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(empty_cache, "minilm")
    monkeypatch.setattr(verb, "pull", lambda name, progress: pytest.fail("pulled again"))
    assert main(["models", "pull", "minilm"]) == 0
    assert capsys.readouterr().err == "already there: minilm\n"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["models", "pull"], "no model named"),
        (["models", "pull", "gpt-9"], "No local model is called `gpt-9`"),
    ],
)
def test_a_wrong_name_is_told(given: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(given) == 1
    assert says in capsys.readouterr().err


def test_removing_frees_the_disk(empty_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(empty_cache, "minilm")
    assert main(["models", "remove", "minilm", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": ["minilm"]}
    assert not (empty_cache / "models" / "minilm").exists()


PROJECT = """
models: {chat: 'pool:chat', vision: {model: 'vllm:eye', base_url: 'http://me:a-password@127.0.0.1:9/v1?k=v'}}
pools:
  chat:
    members:
      - {model: 'compatible:a', base_url: 'http://127.0.0.1:9/v1', api_key_env: DESK_KEY, weight: 2, tier: 1,
         requests_per_minute: 60, tokens_per_minute: 90000, concurrency: 8}
      - local:smollm2-135m
"""
SECRETS = ("a-key-that-nobody-may-see", "a-password")


@pytest.fixture
def project(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(empty_cache)
    for name in ("STRETTO_MODEL", "STRETTO_BASE_URL", "STRETTO_EMBEDDER", "VLLM_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DESK_KEY", SECRETS[0])
    monkeypatch.setenv("OPENAI_API_KEY", SECRETS[0])
    (empty_cache / "stretto.yaml").write_text(PROJECT)
    (empty_cache / "agents" / "desk").mkdir(parents=True)
    (empty_cache / "agents" / "desk" / "agent.yaml").write_text("model: openai:x\n")
    return empty_cache


def test_the_list_has_what_the_project_names_and_which_keys_are_set(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "list", "--json"]) == 0
    out = capsys.readouterr().out
    listed = json.loads(out)
    assert [(one["part"], one["model"], one["key"], one["by"]) for one in listed["configured"]] == [
        ("chat", "pool:chat", None, "stretto.yaml"),
        ("vision", "vllm:eye", False, "stretto.yaml"),
        ("embed", "local:minilm", None, "default"),
        ("pool:chat", "compatible:a", True, "stretto.yaml"),
        ("pool:chat", "local:smollm2-135m", None, "stretto.yaml"),
        ("desk chat", "openai:x", True, "agents/desk/agent.yaml"),
    ]
    member = listed["configured"][3]
    assert (member["tier"], member["weight"], member["requests_per_minute"]) == (1, 2.0, 60)
    assert (member["tokens_per_minute"], member["concurrency"]) == (90000, 8)
    keys = {one["name"]: (one["key_env"], one["key"]) for one in listed["providers"]}
    assert keys["openai"] == ("OPENAI_API_KEY", True) and keys["vllm"] == ("VLLM_API_KEY", False)
    assert not any(secret in out for secret in SECRETS)


def test_the_list_for_people_has_the_pools_and_no_secret(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert "compatible:a" in out and "tier 1, weight 2" in out
    assert "OPENAI_API_KEY set" in out and "VLLM_API_KEY not set" in out
    assert not any(secret in out for secret in SECRETS)


def test_what_the_environment_names_is_said(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRETTO_MODEL", "pool:chat")
    monkeypatch.setenv("STRETTO_EMBEDDER", "openai:e")
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert "chat (STRETTO_MODEL)" in out and "embed (STRETTO_EMBEDDER)" in out


def test_the_list_says_the_context_that_a_model_has_by_default_and_the_most(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models", "list", "--json"]) == 0
    listed = {model["pull"]: model for model in json.loads(capsys.readouterr().out)["models"]}
    chat, embedder = listed["qwen2.5-coder-0.5b"], listed["minilm"]
    assert (chat["context"], chat["context_most"]) == (default_context("qwen2.5-coder-0.5b"), 32768)
    assert (embedder["context"], embedder["context_most"]) == (256, 256)


def default_context(name: str) -> int | None:
    """What a program gets that asks for nothing else."""
    return Model(f"local:{name}").capabilities.context


def test_the_help_names_probing_and_the_list_has_no_option_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "probe" in capsys.readouterr().out
    assert main(["models", "list", "--help"]) == 0
    assert "--timeout" not in capsys.readouterr().out
