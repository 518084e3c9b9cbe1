"""Stretto conducts language models, vision models, retrieval and trained predictors as nodes of a graph.

These are the names most programs need. Each is loaded when it is first used, so importing one costs little.
More of the same kind is in the rooms: `stretto.messages`, `stretto.errors`, `stretto.nodes`,
`stretto.testing`. No module of ours imports from here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stretto._internal.version import __version__
    from stretto.agent import Agent
    from stretto.context import RunContext
    from stretto.documents import Chunk, Document, Hit
    from stretto.errors import StrettoError, ToolError
    from stretto.graph import END, START, Graph
    from stretto.knowledge import KnowledgeBase
    from stretto.messages import Audio, File, Image, Message, Text, ToolCall, ToolResult
    from stretto.models import Model, Pool
    from stretto.questions import Answer
    from stretto.results import Citation, Result
    from stretto.tools import Tool, tool
    from stretto.usage import Usage

__all__ = [
    "END",
    "START",
    "Agent",
    "Answer",
    "Audio",
    "Chunk",
    "Citation",
    "Document",
    "File",
    "Graph",
    "Hit",
    "Image",
    "KnowledgeBase",
    "Message",
    "Model",
    "Pool",
    "Result",
    "RunContext",
    "StrettoError",
    "Text",
    "Tool",
    "ToolCall",
    "ToolError",
    "ToolResult",
    "Usage",
    "__version__",
    "tool",
]

_HOME = {
    "END": "stretto.graph",
    "START": "stretto.graph",
    "Agent": "stretto.agent",
    "Answer": "stretto.questions",
    "Audio": "stretto.messages",
    "Chunk": "stretto.documents",
    "Citation": "stretto.results",
    "Document": "stretto.documents",
    "File": "stretto.messages",
    "Graph": "stretto.graph",
    "Hit": "stretto.documents",
    "Image": "stretto.messages",
    "KnowledgeBase": "stretto.knowledge",
    "Message": "stretto.messages",
    "Model": "stretto.models",
    "Pool": "stretto.models.pool",
    "Result": "stretto.results",
    "RunContext": "stretto.context",
    "StrettoError": "stretto.errors",
    "Text": "stretto.messages",
    "Tool": "stretto.tools",
    "ToolCall": "stretto.messages",
    "ToolError": "stretto.errors",
    "ToolResult": "stretto.messages",
    "Usage": "stretto.usage",
    "__version__": "stretto._internal.version",
    "tool": "stretto.tools",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
