"""`stretto run AGENT QUESTION`: one question, one answer."""

import argparse
import asyncio

import stretto.agent
from stretto.cli.output import print_json
from stretto.cli.turns import as_object, attached, open_with_progress, turn
from stretto.messages import Part

EXAMPLES = """\
examples:
  stretto run desk "How long is the warranty on a frame?"
  stretto run desk "What is wrong here?" --attach display.png
  stretto run desk "And how long does that take?" --thread 5f2c...   go on with a conversation
  stretto run desk "I do not eat meat" --user ann                   whose memory it is
  stretto run desk "Hello" --model openai:gpt-4o-mini --json        for a program

The answer's conversation is kept; its id is `thread_id` in the JSON."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The agent, the question, and what goes with it."""
    parser.add_argument("agent", metavar="AGENT", help="a name under agents/, or a folder with agent.yaml")
    parser.add_argument("question", metavar="QUESTION")
    parser.add_argument(
        "--attach", nargs="+", action="extend", default=[], metavar="FILE", help="pictures, PDFs"
    )
    parser.add_argument("--thread", metavar="ID", help="the conversation to go on with (default: a new one)")
    parser.add_argument("--user", metavar="NAME", default="", help="for whom: what is remembered is theirs")
    parser.add_argument("--tenant", metavar="NAME", default="default", help="of which tenant")
    parser.add_argument("--model", metavar="NAME", help="answers instead of the configured model")


def run(args: argparse.Namespace) -> int:
    """Asks, prints the answer."""
    question: list[Part | str] = [args.question, *attached(args.attach)]
    return asyncio.run(_run(args, question))


async def _run(args: argparse.Namespace, question: list[Part | str]) -> int:
    agent = stretto.agent.Agent.from_folder(args.agent, model=args.model)
    try:
        await open_with_progress(agent)
        whose = {"user": args.user, "tenant": args.tenant}
        result = await turn(agent, question, args.thread, show=not args.json, **whose)
    finally:
        await agent.close()
    if args.json:
        print_json(as_object(result))
    elif result.interrupts:
        print(f"waits for an answer, in Python: run(thread_id={result.thread_id!r}, answers={{...}})")
    else:
        print(f"go on with: --thread {result.thread_id}")
    return 0
