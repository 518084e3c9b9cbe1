"""Which setting wins, and where a project is."""

import json
from pathlib import Path

import pytest

from stretto.agent import Agent
from stretto.agent.project import AgentFile, ModelFile, ModelsFile, ProjectFile, chat_model, find_project
from stretto.agent.schemas import schemas
from stretto.agent.spec import Models
from stretto.errors import ConfigError
from stretto.media.objects import ObjectStore
from stretto.media.sqlite import SqliteStore
from stretto.threads import Retention


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRETTO_MODEL", "STRETTO_BASE_URL", "STRETTO_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_the_nearest_ancestor_with_the_file_is_the_root(tmp_path: Path) -> None:
    (tmp_path / "stretto.yaml").write_text("agent: desk\n")
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    project = find_project(deep)
    assert project.root == tmp_path
    assert project.file.agent == "desk"
    assert project.storage == tmp_path / ".stretto"


def test_the_file_says_how_much_of_the_threads_is_kept(tmp_path: Path) -> None:
    (tmp_path / "stretto.yaml").write_text("retention: {threads: 100, turns: 20}\n")
    (tmp_path / "agents" / "desk").mkdir(parents=True)
    (tmp_path / "agents" / "desk" / "agent.yaml").write_text("")
    agent = Agent.from_folder(tmp_path / "agents" / "desk")
    assert agent._opened._retention == Retention(threads=100, turns=20, checkpoints=1)
    own = Agent.from_folder(tmp_path / "agents" / "desk", retention=Retention(turns=3))
    assert own._opened._retention == Retention(turns=3)
    (tmp_path / "stretto.yaml").write_text("retention: {threads: 0}\n")
    with pytest.raises(ConfigError, match=r"stretto\.yaml:1.*threads"):
        Agent.from_folder(tmp_path / "agents" / "desk")


def test_the_file_says_where_media_are_kept_and_how_many(tmp_path: Path) -> None:
    file = tmp_path / "stretto.yaml"
    file.write_text("agent: desk\n")
    (tmp_path / "agents" / "desk").mkdir(parents=True)
    (tmp_path / "agents" / "desk" / "agent.yaml").write_text("")
    assert find_project(tmp_path).media == tmp_path / ".stretto" / "media"
    file.write_text("media: {at: pictures.sqlite, quota: {ann: 1000}}\n")
    opened = Agent.from_folder(tmp_path / "agents" / "desk")._opened
    assert isinstance(opened._media, SqliteStore)
    assert (opened._media.path, opened._quota) == (tmp_path / "pictures.sqlite", {"ann": 1000})
    file.write_text('media: {at: "memory://bucket/media", quota: 1000}\n')
    opened = Agent.from_folder(tmp_path / "agents" / "desk")._opened
    assert isinstance(opened._media, ObjectStore)
    assert opened._quota == 1000
    file.write_text("media: {quota: -1}\n")
    with pytest.raises(ConfigError, match=r"stretto\.yaml:1.*quota"):
        Agent.from_folder(tmp_path / "agents" / "desk")


def test_an_agent_is_found_by_name_and_a_wrong_name_lists_the_known(tmp_path: Path) -> None:
    (tmp_path / "stretto.yaml").write_text("agent: desk\n")
    (tmp_path / "agents" / "desk").mkdir(parents=True)
    (tmp_path / "agents" / "desk" / "agent.yaml").write_text("")
    project = find_project(tmp_path)
    assert project.agent_folder() == tmp_path / "agents" / "desk"
    with pytest.raises(ConfigError, match="Known: desk"):
        project.agent_folder("dusk")


def test_the_call_wins_over_the_environment_over_the_agent_over_the_project(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = ProjectFile(models=ModelsFile(chat="local:p"))
    agent = AgentFile(model=ModelFile(model="local:a"))
    assert chat_model(None, AgentFile(), ProjectFile()).model == "local:qwen2.5-coder-0.5b"
    assert chat_model(None, AgentFile(), project).model == "local:p"
    assert chat_model(None, agent, project).model == "local:a"
    monkeypatch.setenv("STRETTO_MODEL", "openai:e")
    monkeypatch.setenv("STRETTO_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("STRETTO_API_KEY", "secret")
    chosen = chat_model(None, agent, project)
    assert (chosen.model, chosen.base_url, chosen.api_key_env) == (
        "openai:e",
        "http://127.0.0.1:1/v1",
        "STRETTO_API_KEY",
    )
    assert "secret" not in repr(chosen)
    assert chat_model("local:c", agent, project).model == "local:c"


def test_a_base_url_without_a_model_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRETTO_BASE_URL", "http://user:secret@127.0.0.1:1/v1")
    with pytest.raises(ConfigError, match="STRETTO_MODEL") as caught:
        chat_model(None, AgentFile(), ProjectFile())
    assert "secret" not in str(caught.value)


def test_the_published_schemas_are_those_of_the_types() -> None:
    folder = Path(__file__).resolve().parents[2] / "schemas"
    for name, schema in schemas().items():
        published = json.loads((folder / f"{name}.schema.json").read_text(encoding="utf-8"))
        assert published == json.loads(json.dumps(schema)), "type: .venv/bin/python scripts/schemas.py"


def test_a_pool_named_by_the_environment_keeps_its_members_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRETTO_MODEL", "pool:chat")
    monkeypatch.setenv("STRETTO_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("STRETTO_API_KEY", "secret")
    assert chat_model(None, AgentFile(), ProjectFile()) == ModelFile(model="pool:chat")


def test_an_agent_that_talks_and_looks_by_one_pool_opens_it_once(tmp_path: Path) -> None:
    (tmp_path / "stretto.yaml").write_text("pools: {p: {members: ['local:x']}}\n")
    project = find_project(tmp_path)
    models = Models(project, AgentFile(models=ModelsFile(chat="pool:p", vision="pool:p")))
    assert models.vision is models.chat and models.chat.name == "pool:p"
    apart = Models(project, AgentFile(models=ModelsFile(chat="pool:p", vision="local:x")))
    assert apart.vision is not apart.chat
