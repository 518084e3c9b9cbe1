"""`stretto threads list|show|check|fork|diff|export|delete|prune`: looks after what was said.

The tables for people are in `thread_tables.py`.
"""

import argparse
import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import stretto.agent
from stretto.agent.project import find_project
from stretto.cli import thread_tables as tables
from stretto.cli.options import common
from stretto.cli.output import confirmed, print_json
from stretto.errors import ConfigError
from stretto.threads import Retention

if TYPE_CHECKING:
    from stretto.agent.threads import ThreadsOf

EXAMPLES = """\
examples:
  stretto threads list                           of the project's agent: turns, last used, what they wait for
  stretto threads show 5f2c --agent desk         messages, open questions, checkpoints
  stretto threads check                          before a deploy: which the graph of today can take up
  stretto threads fork 5f2c --at 1ef4... --to b  go on from an older checkpoint, as another thread
  stretto threads diff 5f2c b                    what differs; 5f2c@1ef4... is an older state
  stretto threads export 5f2c > said.jsonl       one message a line
  stretto threads delete 5f2c                    every trace of it; --tenant acme, --user ann: all of theirs
  stretto threads prune --older-than 30d         those not used for so long, but for those that wait

Threads lie where the agent keeps them; --threads PATH names a file instead. Exit code 1 of `check`: some
threads cannot be taken up, and the node or key is said."""

_UNITS = {"d": 1.0, "w": 7.0, "h": 1 / 24}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Each action with its own."""
    shared = common()
    shared.add_argument("--agent", metavar="NAME", help="whose threads (default: the project's agent)")
    shared.add_argument("--threads", metavar="PATH", help="a file with threads, instead of an agent's")
    actions = parser.add_subparsers(
        dest="action", metavar="list|show|check|fork|diff|export|delete|prune", required=True
    )

    def action(name: str, summary: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, parents=[shared], help=summary, description=f"{summary}.")

    listing = action("list", "The threads that were used last")
    listing.add_argument("--limit", type=_positive, default=50, metavar="N", help="how many (default: 50)")
    show = action("show", "A thread: messages, open questions, checkpoints")
    show.add_argument("thread", metavar="THREAD")
    show.add_argument("--at", metavar="CHECKPOINT", help="as it was then")
    check = action("check", "Before a deploy: which threads the agent's graph of today can take up")
    check.add_argument("checked", nargs="?", metavar="AGENT", help="a name or folder, as --agent")
    fork = action("fork", "A new thread that goes on from a checkpoint of this one")
    fork.add_argument("thread", metavar="THREAD")
    fork.add_argument("--at", metavar="CHECKPOINT", help="from `show` (default: the last one)")
    fork.add_argument("--to", metavar="ID", help="the new thread's id (default: a fresh one)")
    diff = action("diff", "What differs between two threads, or two states of one: THREAD@CHECKPOINT")
    diff.add_argument("one", metavar="THREAD")
    diff.add_argument("other", metavar="THREAD")
    action("export", "The messages of a thread, one JSON object a line").add_argument(
        "thread", metavar="THREAD"
    )
    delete = action("delete", "Deletes every trace of threads, of a tenant, or of a user")
    delete.add_argument("names", nargs="*", metavar="THREAD")
    delete.add_argument("--tenant", metavar="NAME", help="its threads, and what is remembered of its users")
    delete.add_argument(
        "--user", metavar="NAME", help="only those of this user (of tenant `default` without)"
    )
    delete.add_argument("--force", action="store_true", help="also while a turn runs")
    prune = action("prune", "Lets go of old threads and checkpoints")
    prune.add_argument("--older-than", type=_days, metavar="TIME", help="not used for so long: 30d, 2w, 12h")
    prune.add_argument("--keep", type=_positive, metavar="N", help="the threads that were used last")
    prune.add_argument("--checkpoints", type=_positive, metavar="N", help="of each thread that stays")
    prune.add_argument("--waiting", action="store_true", help="also threads that wait for an answer")
    for each in (delete, prune):
        each.add_argument("--yes", action="store_true", help="do not ask")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _days(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([dwh])", text)
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text} is no time; write 30d, 2w or 12h")
    return float(found[1]) * _UNITS[found[2]]


def run(args: argparse.Namespace) -> int:
    """Does what the action says."""
    if args.action == "delete" and not (args.names or args.tenant or args.user):
        raise ConfigError("name what to delete: THREAD..., --tenant NAME or --user NAME")
    if args.action == "prune" and not (args.older_than or args.keep or args.checkpoints):
        raise ConfigError("say what stays: --older-than 30d, --keep N or --checkpoints N")
    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    path = getattr(args, "threads", None)
    if path is not None and args.action != "check":
        async with stretto.agent.threads_of(path) as threads:
            return await _act(args, threads)
    if path is not None and not Path(path).is_file():
        raise ConfigError(f"there are no threads in `{path}`; give the path of a threads.sqlite")
    name = getattr(args, "checked", None) or getattr(args, "agent", None)
    folder = find_project().agent_folder(name)
    agent = stretto.agent.Agent.from_folder(folder, threads=path)
    try:
        async with stretto.agent.threads_of(agent) as threads:
            return await _act(args, threads)
    finally:
        await agent.close()


async def _act(args: argparse.Namespace, threads: "ThreadsOf") -> int:
    match args.action:
        case "check":
            checked = await threads.check()
            _say(args, {"passed": checked.passed, **_plain(checked)}, tables.checked, checked)
            return 0 if checked.passed else 1
        case "list":
            found = await threads.list(args.limit)
            total = await threads.count()
            _say(args, {"threads": found, "total": total}, tables.listed, found, total)
        case "show":
            shown = await threads.show(args.thread, args.at)
            _say(args, shown, tables.shown, shown)
        case "fork":
            forked = await threads.fork(args.thread, at=args.at, to=args.to)
            _say(args, forked, tables.forked, forked)
        case "diff":
            compared = await threads.diff(args.one, args.other)
            _say(args, compared, tables.compared, compared)
        case "export":
            for message in await threads.export(args.thread):
                print_json(message)
        case "delete":
            return await _delete(args, threads)
        case _:
            return await _prune(args, threads)
    return 0


async def _delete(args: argparse.Namespace, threads: "ThreadsOf") -> int:
    whose = f"of tenant {args.tenant}" if args.tenant else ""
    whole = [f"everything {f'of user {args.user} ' if args.user else ''}{whose}".strip()]
    whole = whole if args.user or args.tenant else []
    if not confirmed(f"Delete {', '.join([*args.names, *whole])} for good?", yes=args.yes):
        return 1
    gone = await threads.delete(args.names, force=args.force)
    if args.tenant or args.user:
        gone += await threads.delete_of(tenant=args.tenant, user=args.user, force=args.force)
    missing = [name for name in args.names if name not in gone]
    _say(args, {"deleted": gone, "missing": missing}, tables.deleted, gone, missing)
    return 1 if missing else 0


async def _prune(args: argparse.Namespace, threads: "ThreadsOf") -> int:
    keep = Retention(threads=args.keep, days=args.older_than, checkpoints=args.checkpoints)
    doomed = await threads.prune(keep, waiting=args.waiting, dry=True)
    if doomed and not confirmed(f"Delete {len(doomed)} threads for good?", yes=args.yes):
        return 1
    gone = await threads.prune(keep, waiting=args.waiting)
    _say(args, {"deleted": gone, "missing": []}, tables.deleted, gone, [])
    return 0


def _say(args: argparse.Namespace, value: Any, show: Any, *given: Any) -> None:
    if args.json:
        print_json(value)
    else:
        show(*given)


def _plain(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}
