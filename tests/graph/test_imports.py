"""What a graph costs before it is compiled."""

import subprocess
import sys

PROGRAM = """
import sys
from stretto.graph import END, START, Graph

async def node(state):
    return {}

graph = Graph().add_node("a", node).add_edge(START, "a").add_edge("a", END)
graph.check()
graph.mermaid()
graph.text()
heavy = ("langgraph", "langchain_core", "openai", "chromadb", "numpy")
loaded = [name for name in heavy if name in sys.modules]
sys.exit(str(loaded) if loaded else 0)
"""


def test_declaring_checking_and_drawing_a_graph_loads_no_langgraph() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
