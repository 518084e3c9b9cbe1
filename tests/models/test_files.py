"""Models as files describe them: the key comes from the environment, a pool from its project."""

from pathlib import Path

import pytest

from stretto.errors import ConfigError
from stretto.messages import Message
from stretto.models.files import (
    CacheFile,
    MemberFile,
    ModelFile,
    PoolFile,
    check_pools,
    member_file,
    models_behind,
    open_model,
)
from stretto.models.protocol import complete
from stretto.settings import ModelSettings
from stretto.testing import ChatServer

POOLS = {
    "a": PoolFile(members=["ollama:x", MemberFile(model="pool:b", tier=1), "ollama:y"]),
    "b": PoolFile(members=["ollama:y", "local:z"]),
}


async def test_the_key_headers_and_settings_reach_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_KEY", "a-key-of-the-desk")
    async with ChatServer("Hello.", "Hello.") as server:
        file = ModelFile(
            model="compatible:x",
            base_url=server.url,
            api_key_env="DESK_KEY",
            headers={"X-Team": "desk"},
            settings=ModelSettings(max_tokens=7),
        )
        for settings in (None, ModelSettings(max_tokens=3)):
            model = open_model(file, settings=settings)
            await complete(model, [Message.user("Hi")])
            await model.close()
        assert [request.settings.max_tokens for request in server.requests] == [7, 3]
        headers = server.served[0].headers
    assert (headers["authorization"], headers["x-team"]) == ("Bearer a-key-of-the-desk", "desk")


def test_a_key_that_is_not_set_is_told_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DESK_KEY", raising=False)
    with pytest.raises(ConfigError, match="`DESK_KEY` of model `openai:x` is not set"):
        open_model(ModelFile(model="openai:x", api_key_env="DESK_KEY"))


def test_a_plain_name_is_a_member_with_the_defaults() -> None:
    member = member_file("ollama:x")
    assert (member.model, member.weight, member.tier, member.concurrency) == ("ollama:x", 1.0, 0, None)


def test_the_models_behind_a_pool_are_those_of_its_pools_too() -> None:
    assert models_behind("pool:a", POOLS) == ["ollama:x", "ollama:y", "local:z"]
    assert models_behind("ollama:x", POOLS) == ["ollama:x"]
    assert models_behind("pool:no", POOLS) == ["pool:no"]


def test_pools_may_share_a_pool_without_being_a_circle(tmp_path: Path) -> None:
    shared = {**POOLS, "c": PoolFile(members=["pool:a", "pool:b"])}
    check_pools(shared, tmp_path / "stretto.yaml")


async def test_kept_answers_are_those_of_the_same_settings(tmp_path: Path) -> None:
    async with ChatServer("short", "long") as server:
        file = ModelFile(model="compatible:x", base_url=server.url, cache=CacheFile())
        said = []
        for most in (3, 300, 3):
            model = open_model(file, tmp_path, settings=ModelSettings(max_tokens=most))
            said.append((await complete(model, [Message.user("Hi")])).message.text)
            await model.close()
    assert said == ["short", "long", "short"]
