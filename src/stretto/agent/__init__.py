"""An agent: a compiled graph with its models, tools, knowledge and threads.

agent.py     Agent: run, run_sync, stream        presets.py   the graph when there is no graph.py
folder.py    an agent's folder, read             project.py   stretto.yaml, and which setting wins
spec.py      what a graph is built from          opened.py    what an agent holds open
question.py  what may be asked                   spending.py  what its runs may spend
turn.py      a turn, from arrival to result      thread_turn.py  a turn that has its thread
running.py   runs that outlive their caller      heard.py     what a run has said so far
threads.py   threads looked after                deploys.py   which of them a new version can take up
memories.py  what is remembered of a user
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stretto.agent.agent import Agent
    from stretto.agent.memories import MemoriesOf, memories_of
    from stretto.agent.spec import AgentSpec
    from stretto.agent.threads import ThreadsOf, threads_of

__all__ = ["Agent", "AgentSpec", "MemoriesOf", "ThreadsOf", "memories_of", "threads_of"]

_HOME = {
    "Agent": "stretto.agent.agent",
    "AgentSpec": "stretto.agent.spec",
    "MemoriesOf": "stretto.agent.memories",
    "ThreadsOf": "stretto.agent.threads",
    "memories_of": "stretto.agent.memories",
    "threads_of": "stretto.agent.threads",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
