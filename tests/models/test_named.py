"""`pool:NAME` opens the pool that stretto.yaml describes, and says where the file is wrong."""

from pathlib import Path
from typing import Any

import pytest

from stretto.agent import Agent
from stretto.errors import ConfigError, ModelNotFound
from stretto.messages import Message
from stretto.models import Model
from stretto.models.pool import Pool
from stretto.models.protocol import complete
from stretto.settings import ModelSettings
from stretto.testing import ChatServer

WHOLE = """
pools:
  chat:
    hedge: true
    retries: {share: 0.3}
    breaker: {failures: 3}
    outliers: false
    settings: {temperature: 0.5, max_tokens: 9}
    members:
      - {model: 'compatible:a', base_url: 'http://127.0.0.1:1/v1', weight: 2, requests_per_minute: 60,
         tokens_per_minute: 90000, concurrency: 8, api_key_env: POOL_KEY, settings: {max_tokens: 7}}
      - {model: ollama:llama3.2, tier: 1}
      - local:smollm2-135m
  both: {members: ['pool:chat', 'local:smollm2-135m']}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    monkeypatch.setenv("POOL_KEY", "a-key-nobody-sees")
    monkeypatch.delenv("STRETTO_BASE_URL", raising=False)
    return tmp_path


def opened(name: str, **options: Any) -> Pool:
    pool = Model(name, **options)
    assert isinstance(pool, Pool)
    return pool


def test_the_members_have_what_the_file_says(project: Path) -> None:
    (project / "stretto.yaml").write_text(WHOLE)
    pool = opened("pool:chat")
    assert pool.name == "pool:chat"
    assert [member.model.name for member in pool.members] == [
        "compatible:a",
        "ollama:llama3.2",
        "local:smollm2-135m",
    ]
    first, second, third = pool.members
    assert (first.weight, first.requests_per_minute, first.tokens_per_minute) == (2, 60, 90000)
    assert (first.concurrency, first.tier, second.tier, third.weight) == (8, 0, 1, 1)
    assert "a-key-nobody-sees" not in repr(first.model)


def test_a_pool_may_be_a_member_of_another(project: Path) -> None:
    (project / "stretto.yaml").write_text(WHOLE)
    inner = opened("pool:both").members[0].model
    assert isinstance(inner, Pool) and len(inner.members) == 3


async def test_its_members_are_asked_with_the_nearest_settings(project: Path) -> None:
    async with ChatServer("Hello.", "Hello.") as server:
        text = WHOLE.replace("http://127.0.0.1:1/v1", server.url)
        (project / "stretto.yaml").write_text(text)
        for settings in (None, ModelSettings(max_tokens=5)):
            pool = opened("pool:chat", settings=settings)
            assert (await complete(pool, [Message.user("Hi")])).message.text == "Hello."
            await pool.close()
        asked = [(request.settings.temperature, request.settings.max_tokens) for request in server.requests]
        assert asked == [(0.5, 7), (0.5, 5)]
        assert server.served[0].headers["authorization"] == "Bearer a-key-nobody-sees"


def test_the_project_is_that_of_the_root_where_one_is_given(project: Path, tmp_path_factory: Any) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "stretto.yaml").write_text("pools: {p: {members: ['local:x']}}\n")
    (project / "stretto.yaml").write_text("pools: {p: {members: ['local:y']}}\n")
    assert opened("pool:p").members[0].model.name == "local:y"
    assert opened("pool:p", root=elsewhere).members[0].model.name == "local:x"


def test_an_agent_may_have_pools_of_its_own_made_of_the_projects(project: Path) -> None:
    (project / "stretto.yaml").write_text("pools: {p: {members: ['local:x']}, q: {members: ['local:y']}}\n")
    folder = project / "agents" / "desk"
    folder.mkdir(parents=True)
    (folder / "agent.yaml").write_text(
        "model: pool:p\npools: {p: {members: ['pool:q', 'local:z'], hedge: true}}\n"
    )
    model = Agent.from_folder(folder).spec.models.chat
    assert isinstance(model, Pool)
    assert [member.model.name for member in model.members] == ["pool:q", "local:z"]
    (folder / "agent.yaml").write_text("model: pool:p\npools: {p: {members: ['pool:r']}}\n")
    with pytest.raises(ConfigError, match=r"agent\.yaml:2:23: there is no pool `r`.*Pools: p, q"):
        _ = Agent.from_folder(folder).spec.models.chat


def test_without_a_project_it_is_told_where_pools_stand(project: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no pool `chat`: pools stand in stretto\.yaml"):
        Model("pool:chat")


def test_an_unknown_pool_is_answered_with_the_known_ones(project: Path) -> None:
    (project / "stretto.yaml").write_text(WHOLE)
    with pytest.raises(ModelNotFound, match=r"no pool `chta`: did you mean `pool:chat`\? Pools: chat, both"):
        Model("pool:chta")


def test_a_pool_has_no_address_of_its_own(project: Path) -> None:
    (project / "stretto.yaml").write_text(WHOLE)
    with pytest.raises(ConfigError, match="`pool:chat` takes no argument `base_url`"):
        Model("pool:chat", base_url="http://127.0.0.1:1/v1")


BAD = {
    "a slip in a member": (
        "pools:\n  a: {members: ['local:x']}\n  b: {members: ['opneai:x']}\n",
        "3:17: no provider `opneai`: did you mean `openai:x`?",
    ),
    "a key that is not set": (
        "pools:\n  b: {members: ['local:x', {model: 'openai:x', api_key_env: NO_KEY}]}\n",
        "2:36: the environment variable `NO_KEY` of model `openai:x` is not set",
    ),
    "itself": ("pools: {b: {members: ['pool:b']}}\n", "1:23: the pool `b` contains itself (b > b)"),
    "itself by another": (
        "pools:\n  b: {members: ['pool:c']}\n  c: {members: ['local:x', 'pool:b']}\n",
        "3:28: the pool `b` contains itself (b > c > b)",
    ),
    "no such pool": (
        "pools:\n  b: {members: ['pool:bb']}\n",
        "2:17: there is no pool `bb`: did you mean `pool:b`? Pools: b",
    ),
    "a member with an address of a pool": (
        "pools:\n  a: {members: ['local:x']}\n  b: {members: [{model: 'pool:a', base_url: 'http://h'}]}\n",
        "3:25: `pool:a` takes no argument `base_url`",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_told_with_its_place(
    case: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_KEY", raising=False)
    text, told = BAD[case]
    (project / "stretto.yaml").write_text(text)
    with pytest.raises(ConfigError) as raised:
        Model("pool:b")
    assert str(raised.value).startswith(f"{project / 'stretto.yaml'}:{told}")
