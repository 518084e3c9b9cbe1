"""The one table of providers: which module opens a model, and for endpoints what is usual there.

Modules are named as text and imported when one of their models is first opened.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

_WIRE = "stretto.models.wire.client:open_chat"
_EMBEDDINGS = "stretto.models.embeddings:open_embedder"


@dataclass(frozen=True)
class Usual:
    """What is usual at a provider of the Chat Completions wire; each call of `Model` may say otherwise."""

    base_url: str = ""
    """Where it is, when neither an argument nor the environment says."""
    base_url_env: str = ""
    """The environment variable with its address."""
    key_env: str = ""
    """The environment variable with the key."""
    key_header: Literal["Authorization", "api-key"] = "Authorization"
    """How the key is sent: as a bearer token, or plain in `api-key`."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the limit of output tokens is called."""
    reasoning: bool = False
    """Send earlier reasoning back as `reasoning_content`."""
    prefill: Mapping[str, Any] | None = None
    """Set where models go on with an assistant message that stands last: what such a request also says."""


@dataclass(frozen=True)
class Provider:
    """Who opens the models of one provider: `module:function`, or empty where it has none."""

    chat: str = _WIRE
    embedder: str = _EMBEDDINGS
    usual: Usual | None = field(default=None)
    """Set for endpoints of the wire; their functions are also passed `provider=`."""


PROVIDERS: dict[str, Provider] = {
    "local": Provider(
        "stretto.models.local.chat:open_local", "stretto.models.local.embeddings:open_embedder"
    ),
    "openai": Provider(
        usual=Usual(
            "https://api.openai.com/v1",
            "OPENAI_BASE_URL",
            "OPENAI_API_KEY",
            max_tokens_field="max_completion_tokens",
        )
    ),
    "azure": Provider(
        usual=Usual(
            "",
            "AZURE_OPENAI_ENDPOINT",
            "AZURE_OPENAI_API_KEY",
            "api-key",
            max_tokens_field="max_completion_tokens",
        )
    ),
    "openrouter": Provider(usual=Usual("https://openrouter.ai/api/v1", key_env="OPENROUTER_API_KEY")),
    "ollama": Provider(usual=Usual("http://127.0.0.1:11434/v1")),
    "vllm": Provider(
        usual=Usual(
            "http://127.0.0.1:8000/v1",
            key_env="VLLM_API_KEY",
            reasoning=True,
            prefill={"continue_final_message": True, "add_generation_prompt": False},
        )
    ),
    "llamacpp": Provider(
        usual=Usual("http://127.0.0.1:8080/v1", key_env="LLAMA_API_KEY", reasoning=True, prefill={})
    ),
    "compatible": Provider(usual=Usual(key_env="STRETTO_API_KEY", base_url_env="STRETTO_BASE_URL")),
    "pool": Provider("stretto.models.named:open_pool", ""),
}
"""Known providers, in the order shown to people. `compatible` is any endpoint of the same wire, `pool` the
pools that stretto.yaml names."""

APIS = {"responses": "stretto.models.responses.client:open_responses"}
"""Other APIs that an endpoint of the wire may speak, by the word after `provider/` in a model's name."""

KEY_NEEDED = ("openai", "azure", "openrouter")
"""Those that answer nobody without a key at their usual address."""
