"""Public doubles and contract suites for tests of programs built on Stretto.

scripted        ScriptedModel: answers from a script, strict, in process
chat_server     ChatServer: a real HTTP server that speaks Chat Completions from a script
embedder        HashingEmbedder: vectors from words, no model
model_contract  ModelContract: the tests every ChatModel passes (import it from there: it needs pytest)
counters_contract  CountersContract: the tests every Counters passes (import it from there, too)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stretto.testing.chat_server import ChatServer, Fault
    from stretto.testing.embedder import HashingEmbedder
    from stretto.testing.scripted import Request, Script, ScriptedModel, ScriptUsedUp

__all__ = ["ChatServer", "Fault", "HashingEmbedder", "Request", "Script", "ScriptUsedUp", "ScriptedModel"]


def __getattr__(name: str) -> Any:
    from importlib import import_module  # noqa: PLC0415 (lazy exports: a test that needs one loads one)

    if name in ("ScriptedModel", "ScriptUsedUp", "Script", "Request"):
        return getattr(import_module("stretto.testing.scripted"), name)
    if name in ("ChatServer", "Fault"):
        return getattr(import_module("stretto.testing.chat_server"), name)
    if name == "HashingEmbedder":
        return getattr(import_module("stretto.testing.embedder"), name)
    raise AttributeError(f"module 'stretto.testing' has no attribute {name!r}")
