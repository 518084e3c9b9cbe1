"""Models: one protocol, many places where they run. Importing this loads none of them.

protocol      ChatModel and Embedder, and what their streams yield
factory       Model("provider:name") and embedder("provider:name"); the table is in providers
wire/         any endpoint that speaks Chat Completions; openai_client: the same through a client of yours
embeddings    any endpoint that speaks OpenAI's /embeddings
output        structured output; strict: JSON Schema as endpoints want it; partial: JSON while it comes in
cached/       answers kept, and one call for several who ask the same
local/        models that run on this machine
"""

from stretto.models.factory import Model, embedder
from stretto.models.protocol import Capabilities, ChatModel, Embedder

__all__ = ["Capabilities", "ChatModel", "Embedder", "Model", "embedder"]
