"""`stretto graph AGENT`: an agent's nodes and routes, as text or Mermaid."""

import argparse
import asyncio

import stretto.agent
from stretto.agent.project import find_project
from stretto.cli.output import print_json

EXAMPLES = """\
examples:
  stretto graph                        the project's default agent, as text
  stretto graph agents/desk --mermaid  for a Markdown file or a Mermaid viewer"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The agent, and how to draw it."""
    parser.add_argument("agent", nargs="?", metavar="AGENT", help="a folder or name (default: the project's)")
    parser.add_argument("--mermaid", action="store_true", help="print Mermaid instead of text")


def run(args: argparse.Namespace) -> int:
    """Draws it."""
    folder = find_project().agent_folder(args.agent)
    agent = stretto.agent.Agent.from_folder(folder, threads="memory")
    try:
        mermaid, text = agent.graph.mermaid(), agent.graph.text()
    finally:
        asyncio.run(agent.close())
    if args.json:
        print_json({"agent": agent.name, "mermaid": mermaid, "text": text})
    else:
        print(mermaid if args.mermaid else text)
    return 0
