"""State graphs in langgraph's words, compiled onto langgraph.

state.py   what a conversation holds        graph.py    Graph: nodes, edges, routes
checks.py  what is wrong before it runs     compile.py  the real CompiledStateGraph
step.py    how one node runs                stream.py   how a turn runs
entry.py   how a turn begins                lean.py     what langgraph need not do for nobody
draw.py    Mermaid and text                 langchain.py  messages of langchain-core
description.py  what a graph is, as data    difference.py  what stands between a thread and a later graph
taking_up.py    a thread of an earlier one  migration.py   its new form
"""

from stretto.graph.graph import END, START, Graph
from stretto.graph.retry import Retry
from stretto.graph.state import Conversation, new_turn

__all__ = ["END", "START", "Conversation", "Graph", "Retry", "new_turn"]
