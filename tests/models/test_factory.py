import subprocess
import sys

import pytest

from stretto.errors import ConfigError, ModelNotFound
from stretto.messages import Message
from stretto.models.factory import Model, embedder
from stretto.models.protocol import Capabilities, complete
from stretto.models.providers import APIS, PROVIDERS
from stretto.testing.chat_server import ChatServer

ASK = [Message.user("Hello")]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for provider in PROVIDERS.values():
        if provider.usual is not None:
            for name in (provider.usual.key_env, provider.usual.base_url_env, "OPENAI_API_VERSION"):
                monkeypatch.delenv(name or "NONE", raising=False)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("opneai:gpt-4o", r"no provider `opneai`: did you mean `openai:gpt-4o`\? Known are local, openai"),
        ("OpenAI:gpt-4o", "did you mean `openai:gpt-4o`"),
        ("zzz:x", "no provider `zzz`: Known are"),
        ("gpt-4o", "no model name: write `provider:model`, such as `openai:gpt-4o`"),
        ("openai", "such as `openai:NAME`"),
        ("openai:", "no model name"),
        (":x", "no model name"),
        ("", "no model name"),
    ],
)
def test_a_name_nobody_knows_is_answered_with_what_is_known(name, words):
    with pytest.raises(ModelNotFound, match=words):
        Model(name)


@pytest.mark.parametrize("name", ["openai/chat:gpt-4o", "local/responses:smollm2-135m", "openai/:x"])
def test_an_api_that_a_provider_does_not_speak_is_refused(name):
    with pytest.raises(ModelNotFound, match="one of responses, such as `openai/responses:NAME`"):
        Model(name)


def test_embeddings_and_a_client_of_the_users_know_no_other_api():
    with pytest.raises(ModelNotFound, match="API of a chat model"):
        embedder("openai/responses:text-embedding-3-small")
    with pytest.raises(ConfigError, match="client= speaks Chat Completions only"):
        Model("openai/responses:gpt-5", client=object())


def test_the_name_in_an_error_says_which_api_was_asked_for():
    with pytest.raises(ConfigError, match="`openai/responses:gpt-5` needs a key: set OPENAI_API_KEY"):
        Model("openai/responses:gpt-5")


def test_openai_without_a_key_says_what_to_set():
    with pytest.raises(ConfigError, match=r"set OPENAI_API_KEY or pass api_key=.*base_url="):
        Model("openai:gpt-4o-mini")


@pytest.mark.parametrize("provider", ["azure", "compatible"])
def test_a_provider_without_an_address_says_what_to_set(provider):
    with pytest.raises(ConfigError, match=r"has no address: pass base_url=.* or set [A-Z_]+"):
        Model(f"{provider}:x", api_key="key")


@pytest.mark.parametrize(
    "address", ["localhost:8000", "ftp://x.example", "http://", "http://[::1", "not a url"]
)
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ConfigError, match="must be like https://host/v1"):
        Model("openai:x", base_url=address)


def test_a_key_a_header_cannot_carry_is_refused_without_showing_it():
    with pytest.raises(ConfigError, match="characters that a header cannot carry") as caught:
        Model("openai:x", api_key="sk-sécret")
    assert "sécret" not in str(caught.value)


def test_an_argument_the_provider_does_not_take_is_named():
    with pytest.raises(ConfigError, match="takes no argument `colour`"):
        Model("openai:x", api_key="k", colour="red")


async def test_key_and_address_come_from_the_environment(monkeypatch):
    async with ChatServer("Hello.", api_key="sk-from-env") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", " sk-from-env\n")
        model = Model("openai:gpt-4o-mini")
        assert (await complete(model, ASK)).message.text == "Hello."
        await model.close()
    assert model.name == "openai:gpt-4o-mini"
    assert model.capabilities.vision


async def test_an_argument_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-env")
    async with ChatServer("Hello.", api_key="sk-argument") as server:
        model = Model("openai:x", base_url=server.url + "/", api_key="sk-argument")
        assert (await complete(model, ASK)).message.text == "Hello."
        await model.close()


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ("2024-10-21", "/v1/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"),
        ("", "/v1/openai/v1/chat/completions"),
    ],
)
async def test_azure_is_asked_at_its_deployment_with_its_own_header(monkeypatch, version, path):
    async with ChatServer("Hello.") as server:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", server.url)
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
        monkeypatch.setenv("OPENAI_API_VERSION", version)
        model = Model("azure:my-gpt")
        await complete(model, ASK)
        await model.close()
        (served,) = server.served
    assert served.path == path
    assert served.headers["api-key"] == "azure-key"
    assert "authorization" not in served.headers


async def test_the_query_of_an_address_is_kept():
    async with ChatServer("Hello.") as server:
        model = Model("azure:g", base_url=f"{server.url}/deployments/g/?api-version=1", api_key="k")
        await complete(model, ASK)
        await model.close()
        assert server.served[0].path == "/v1/deployments/g/chat/completions?api-version=1"


async def test_no_key_is_sent_to_an_endpoint_that_was_given_none(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-others")
    async with ChatServer("Hello.") as server:
        model = Model("compatible:x", base_url=server.url)
        await complete(model, ASK)
        await model.close()
        assert "authorization" not in server.served[0].headers


def test_capabilities_are_known_by_name_and_may_be_said():
    model = Model("openai:gpt-4o", api_key="k")
    known = model.capabilities
    assert known == Capabilities(vision=True, context=128_000, media=known.media)
    assert known.media.formula == "tiles"
    said = Capabilities(tools=False, context=99)
    assert Model("openai:gpt-4o", api_key="k", capabilities=said).capabilities == said


def test_an_unknown_embedder_is_answered_with_what_is_known():
    with pytest.raises(ModelNotFound, match=r"such as `local:minilm`"):
        embedder("minilm")


def test_a_provider_without_embeddings_says_which_have_them():
    with pytest.raises(ModelNotFound, match=r"`pool:` has no embeddings; name one such as `local:minilm`"):
        embedder("pool:chat")


def test_every_entry_of_the_table_names_a_function_that_is_there():
    from importlib import import_module

    targets = [target for provider in PROVIDERS.values() for target in (provider.chat, provider.embedder)]
    for target in filter(None, [*targets, *APIS.values()]):
        module, _, function = target.partition(":")
        assert callable(getattr(import_module(module), function))


def test_the_factory_loads_no_client():
    code = (
        "import sys; from stretto.models import Model; "
        "print([n for n in ('aiohttp', 'openai', 'numpy', 'xllamacpp', 'httpx') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
