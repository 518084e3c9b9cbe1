"""Models: one protocol, many places where they run. Importing this loads none of them.

protocol      ChatModel and Embedder, and what their streams yield
factory       Model("provider:name") and embedder("provider:name"); the table is in providers
files         models and pools as stretto.yaml and agent.yaml describe them; named: `pool:NAME`
wire/         any endpoint that speaks Chat Completions; openai_client: the same through a client of yours
responses/    the same endpoints where they speak OpenAI's Responses API
embeddings    any endpoint that speaks OpenAI's /embeddings
pool/         Pool: many models play as one
output        structured output; strict: JSON Schema as endpoints want it; partial: JSON while it comes in
cached/       answers kept, and one call for several who ask the same
local/        models that run on this machine
probe         asks a model what it really can do; known: what is known of it by its name
deadlines     of one answer: first token, idle, total
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from stretto.models.factory import Model, embedder
from stretto.models.protocol import Capabilities, ChatModel, Embedder

if TYPE_CHECKING:
    from stretto.models.pool import Member, Pool

__all__ = ["Capabilities", "ChatModel", "Embedder", "Member", "Model", "Pool", "embedder"]

_HOME = {"Member": "stretto.models.pool", "Pool": "stretto.models.pool"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
