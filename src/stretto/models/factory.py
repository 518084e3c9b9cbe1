"""`Model` and `embedder`: a name such as `openai:gpt-4o-mini` becomes a model. Loads no client by itself."""

import difflib
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any, Literal, cast

from stretto.errors import ConfigError, ModelNotFound
from stretto.models.protocol import Capabilities, ChatModel, Embedder
from stretto.models.providers import APIS, PROVIDERS, Provider
from stretto.settings import ModelSettings

_CLIENT_ADAPTER = "stretto.models.openai_client:open_client"


def Model(
    name: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    capabilities: Capabilities | None = None,
    settings: ModelSettings | None = None,
    headers: Mapping[str, str] | None = None,
    client: Any = None,
    **options: Any,
) -> ChatModel:
    """The model `name`.

    Args:
        name: `provider:model`, for instance `openai:gpt-4o-mini`, `local:qwen2.5-coder-0.5b`,
            `ollama:llama3.2`, `compatible:NAME` with a `base_url`, or `pool:NAME` of stretto.yaml.
            `openai/responses:NAME`, and so for every endpoint, speaks the Responses API instead of Chat
            Completions.
        base_url: the address before `/chat/completions` or `/responses`.
        api_key: the key; without it, the provider's environment variable.
        capabilities: what the model can do, where its name does not tell.
        settings: used where a call gives none.
        headers: sent with every request.
        client: an `openai.AsyncOpenAI` or `AsyncAzureOpenAI` that makes the requests.
        options: what the provider's own function takes besides.

    Raises:
        ModelNotFound: the provider is not known.
        ConfigError: an argument is wrong or missing.
    """
    provider, model, entry = _entry(name, "chat")
    given: dict[str, Any] = {
        "base_url": base_url,
        "api_key": api_key,
        "capabilities": capabilities,
        "settings": settings,
        "headers": headers,
        "client": client,
    }
    target = entry.chat
    if client is not None:
        target = _CLIENT_ADAPTER
        if entry.chat in APIS.values():
            raise ConfigError(f"client= speaks Chat Completions only; `{name}` has to do without it")
    return cast("ChatModel", _open(name, provider, model, entry, target, {**given, **options}))


def as_model(given: object, what: str = "model") -> ChatModel:
    """`given` where it is a model, the model of that name where it is one.

    Args:
        given: what stands where a model belongs.
        what: how that argument is called.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(given, str):
        return Model(given)
    if isinstance(given, list | tuple | set):
        raise ConfigError(
            f"`{what}` is one model; several play as one in a pool: "
            f"`from stretto.models import Pool`, then {what}=Pool([...])"
        )
    if isinstance(given, type) or not isinstance(given, ChatModel):
        raise ConfigError(
            f'`{what}` is a `{type(given).__name__}`; give a name such as "openai:gpt-4o-mini", or a model'
        )
    return given


def embedder(
    name: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> Embedder:
    """The embedding model `name`, for instance `local:minilm` or `openai:text-embedding-3-small`.

    Args:
        name: `provider:model`.
        base_url: the address before `/embeddings`.
        api_key: the key; without it, the provider's environment variable.
        headers: sent with every request.
        options: what the provider's own function takes besides.

    Raises:
        ModelNotFound: the provider is not known, or has no embeddings.
        ConfigError: an argument is wrong or missing.
    """
    provider, model, entry = _entry(name, "embedder")
    given: dict[str, Any] = {"base_url": base_url, "api_key": api_key, "headers": headers}
    return cast("Embedder", _open(name, provider, model, entry, entry.embedder, {**given, **options}))


def _entry(name: str, kind: Literal["chat", "embedder"]) -> tuple[str, str, Provider]:
    provider, colon, model = name.partition(":")
    provider, slash, api = provider.partition("/")
    entry = PROVIDERS.get(provider)
    if not colon or not provider or not model:
        raise ModelNotFound(
            f"`{name}` is no model name: write `provider:model`, such as {_example(name, kind)}"
        )
    if entry is not None and not getattr(entry, kind):
        raise ModelNotFound(f"`{provider}:` has no embeddings; name one such as {_example(name, kind)}")
    if entry is None:
        near = difflib.get_close_matches(provider.lower(), PROVIDERS, 1)
        hint = f"did you mean `{near[0]}:{model}`? " if near else ""
        raise ModelNotFound(f"no provider `{provider}`: {hint}Known are {', '.join(PROVIDERS)}")
    if slash:
        if entry.usual is None or kind != "chat" or api not in APIS:
            raise ModelNotFound(
                f"`{name}`: what follows the slash is the API of a chat model behind an endpoint, and one of "
                f"{', '.join(APIS)}, such as `openai/responses:NAME`"
            )
        entry = replace(entry, chat=APIS[api])
    return provider, model, entry


def _example(name: str, kind: str) -> str:
    if kind == "embedder":
        return "`local:minilm`"
    if name in PROVIDERS:
        return f"`{name}:NAME`"
    provider = "openai" if name.startswith(("gpt", "o1", "o3", "o4")) else "local"
    return f"`{provider}:{name or 'NAME'}`"


def _open(
    name: str, provider: str, model: str, entry: Provider, target: str, given: Mapping[str, Any]
) -> Any:
    arguments = {key: value for key, value in given.items() if value is not None}
    if entry.usual is not None:
        arguments["provider"] = provider
    module, _, function = target.partition(":")
    opener = getattr(import_module(module), function)
    try:
        return opener(model, **arguments)
    except TypeError as error:
        unknown = str(error).partition("unexpected keyword argument ")[2].strip("'\"")
        if unknown not in arguments:
            raise
        raise ConfigError(f"`{name}` takes no argument `{unknown}`") from None
