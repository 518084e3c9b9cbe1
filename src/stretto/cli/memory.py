"""`stretto memory list|search|forget|consent --user NAME`: what is remembered of a user across threads."""

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import stretto.agent
from stretto.agent.project import embedder_name, find_project
from stretto.cli.options import common
from stretto.cli.output import confirmed, console, print_json
from stretto.errors import ConfigError

if TYPE_CHECKING:
    from stretto.agent.memories import MemoriesOf, Memory

EXAMPLES = """\
examples:
  stretto memory list --user ann                     what is remembered, the latest first
  stretto memory search "what to drink" --user ann   the nearest in meaning
  stretto memory forget pets --user ann              by name or key; without one, everything
  stretto memory consent yes --user ann              ann agrees that what she says is noted
  stretto memory list --user ann --tenant acme --agent desk --json

Memories lie beside the threads of the project's agent; --threads PATH names a file instead. What a user said
stays in their threads: `stretto threads delete --user ann` takes those as well."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Each action with its own."""
    shared = common()
    shared.add_argument("--user", metavar="NAME", required=True, help="whose memories")
    shared.add_argument("--tenant", metavar="NAME", default="default", help="of which tenant")
    shared.add_argument("--agent", metavar="NAME", help="whose threads (default: the project's agent)")
    shared.add_argument("--threads", metavar="PATH", help="a file with threads, instead of an agent's")
    actions = parser.add_subparsers(dest="action", metavar="list|search|forget|consent", required=True)
    listing = actions.add_parser("list", parents=[shared], help="what is remembered, the latest first")
    listing.add_argument("--limit", type=int, default=50, metavar="N", help="how many (default: 50)")
    search = actions.add_parser("search", parents=[shared], help="what is nearest in meaning")
    search.add_argument("query", metavar="QUERY")
    search.add_argument("--top-k", type=int, default=10, metavar="N", help="how many (default: 10)")
    forget = actions.add_parser("forget", parents=[shared], help="forgets some of it, or everything")
    forget.add_argument("names", nargs="*", metavar="NAME", help="names or keys, from `list`")
    forget.add_argument("--yes", action="store_true", help="do not ask")
    consent = actions.add_parser("consent", parents=[shared], help="whether things are noted about the user")
    consent.add_argument("given", nargs="?", choices=("yes", "no"), help="what the user said")


def run(args: argparse.Namespace) -> int:
    """Does what the action says."""
    if min(getattr(args, "limit", 1), getattr(args, "top_k", 1)) < 1:
        raise ConfigError("give a number above 0")
    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    path = getattr(args, "threads", None)
    whose = {"user": args.user, "tenant": args.tenant}
    if path is not None:
        name = embedder_name(find_project())
        return await _act(args, stretto.agent.memories_of(path, embedder=name, **whose))
    folder = find_project().agent_folder(getattr(args, "agent", None))
    agent = stretto.agent.Agent.from_folder(folder)
    try:
        return await _act(args, stretto.agent.memories_of(agent, **whose))
    finally:
        await agent.close()


async def _act(args: argparse.Namespace, opening: "AbstractAsyncContextManager[MemoriesOf]") -> int:
    async with opening as memories:
        match args.action:
            case "list":
                _show(args, await memories.list(args.limit))
            case "search":
                _show(args, await memories.search(args.query, args.top_k))
            case "forget":
                return await _forget(args, memories)
            case _:
                given = await memories.consent(None if args.given is None else args.given == "yes")
                _say(args, {"user": args.user, "consent": given}, "agreed" if given else "has not agreed")
    return 0


async def _forget(args: argparse.Namespace, memories: "MemoriesOf") -> int:
    what = ", ".join(args.names) or "everything"
    if not confirmed(f"Forget {what} of {args.user} for good?", yes=args.yes):
        return 1
    count = await memories.forget(*args.names)
    _say(args, {"forgotten": count}, f"{count} forgotten")
    return 0 if count or not args.names else 1


def _show(args: argparse.Namespace, found: "Sequence[Memory]") -> None:
    if args.json:
        print_json({"memories": found})
        return
    if not found:
        print(f"nothing is remembered of {args.user}")
        return
    from rich.table import Table  # noqa: PLC0415 (only for people)
    from rich.text import Text  # noqa: PLC0415 (as above)

    scored = any(memory.score is not None for memory in found)
    table = Table("name", "what is remembered", "key", *(["score"] if scored else []))
    for memory in found:
        score = [] if not scored else ["" if memory.score is None else f"{memory.score:.2f}"]
        table.add_row(Text(memory.name), Text(memory.text), Text(memory.key), *score)
    console().print(table)


def _say(args: argparse.Namespace, value: dict[str, Any], text: str) -> None:
    if args.json:
        print_json(value)
    else:
        print(text)
