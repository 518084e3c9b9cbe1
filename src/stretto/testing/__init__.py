"""Public doubles and contract suites for tests of programs built on Stretto.

scripted        ScriptedModel: answers from a script, strict, in process
http_server     HttpServer: the sockets under it
chat_server     ChatServer: a real HTTP server that speaks Chat Completions, and Responses, from a script
completions, responses: what it says in each of the two
faults          Fault: an answer that goes wrong; ROWS: each ending of docs/endings.md by name
faulty_server   FaultyServer: a ChatServer that goes wrong when and how it is told
embedder        HashingEmbedder: vectors from words, no model
history         assert_valid_history: would every endpoint accept this conversation?
office_files    small DOCX, PPTX, XLSX, PDF, mail and zip, made by hand
hostile_files   files that are damaged (damaged_files) or harm their readers, with what must become of them
prefix          how much of a prompt an endpoint would find in its cache
model_contract  ModelContract: the tests every ChatModel passes (import it from there: it needs pytest)
counters_contract  CountersContract: the tests every Counters passes (import it from there, too)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stretto.testing.chat_server import ChatServer
    from stretto.testing.embedder import HashingEmbedder
    from stretto.testing.faults import ROWS, Fault, Faults, log_normal
    from stretto.testing.faulty_server import FaultyServer
    from stretto.testing.history import assert_valid_history
    from stretto.testing.scripted import Request, Script, ScriptedModel, ScriptUsedUp

__all__ = [
    "ROWS",
    "ChatServer",
    "Fault",
    "Faults",
    "FaultyServer",
    "HashingEmbedder",
    "Request",
    "Script",
    "ScriptUsedUp",
    "ScriptedModel",
    "assert_valid_history",
    "log_normal",
]

_HOME = {
    "ROWS": "faults",
    "ChatServer": "chat_server",
    "Fault": "faults",
    "Faults": "faults",
    "FaultyServer": "faulty_server",
    "HashingEmbedder": "embedder",
    "Request": "scripted",
    "Script": "scripted",
    "ScriptUsedUp": "scripted",
    "ScriptedModel": "scripted",
    "assert_valid_history": "history",
    "log_normal": "faults",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"stretto.testing.{_HOME[name]}"), name)
