"""`cache:` in agent.yaml keeps a model's answers in the project's storage, by tenant and by endpoint."""

from pathlib import Path

import pytest

from stretto import Agent
from stretto.errors import ConfigError
from stretto.testing import ChatServer


def written(folder: Path, url: str, cache: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    model = f"model: {{model: 'compatible:x', base_url: '{url}', cache: {cache}}}\n"
    (folder / "agent.yaml").write_text(model)
    return folder


@pytest.fixture(autouse=True)
def no_model_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRETTO_MODEL", "STRETTO_BASE_URL", "STRETTO_VISION"):
        monkeypatch.delenv(name, raising=False)


async def test_answers_outlive_the_agent_and_stay_with_their_tenant(tmp_path: Path) -> None:
    (tmp_path / "stretto.yaml").write_text("")
    async with ChatServer("one", "two") as server:
        said = []
        for tenant in ("a", "a", "b"):
            folder = written(tmp_path / "agents" / "desk", server.url, "{ttl: 60}")
            async with Agent.from_folder(folder, threads="memory") as agent:
                result = await agent.run("hi", tenant=tenant)
            said.append((result.output, result.usage.calls))
    assert said == [("one", 1), ("one", 0), ("two", 1)]
    assert (tmp_path / ".stretto" / "answers.sqlite").is_file()


async def test_another_endpoint_has_answers_of_its_own(tmp_path: Path) -> None:
    said = []
    for word in ("here", "there"):
        async with ChatServer(word) as server:
            folder = written(tmp_path, server.url, "{}")
            async with Agent.from_folder(folder, threads="memory") as agent:
                said.append((await agent.run("hi")).output)
    assert said == ["here", "there"]


async def test_without_it_each_question_is_asked(tmp_path: Path) -> None:
    async with ChatServer("one", "two") as server:
        folder = written(tmp_path, server.url, "null")
        async with Agent.from_folder(folder, threads="memory") as agent:
            assert [(await agent.run("hi")).output for _ in range(2)] == ["one", "two"]


def test_a_time_that_is_none_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"agent\.yaml.*ttl"):
        Agent.from_folder(written(tmp_path, "http://127.0.0.1:1/v1", "{ttl: 0}"))
