"""`stretto kb add|search|status`: fills a knowledge base and looks into it."""

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from stretto._internal.redact import redact
from stretto.agent.project import ProjectFile, find_project
from stretto.cli.options import common
from stretto.cli.output import console, print_json, progress
from stretto.documents import Hit
from stretto.errors import KnowledgeError
from stretto.knowledge import AddReport, KnowledgeBase

if TYPE_CHECKING:
    from rich.text import Text

EXAMPLES = """\
examples:
  stretto kb add docs/ "notes/*.pdf" --kb handbook   files, folders, globs, URLs
  stretto kb add docs/ --kb handbook --watch         and again whenever a file changes
  stretto kb search "parental leave" --kb handbook --top-k 5
  stretto kb status --kb handbook

Adding again reads only what has changed. A base lives in .stretto/knowledge/NAME of the project
(the nearest folder upwards with stretto.yaml); --kb also takes a path."""

DEFAULT_STORAGE = ProjectFile().storage
_SHOWN = 320
_WORD = re.compile(r"\w{3,}")


def arguments(parser: argparse.ArgumentParser) -> None:
    """add, search, status: each with its own."""
    base = common()
    base.add_argument("--kb", metavar="NAME", help="a name, or a path (default: default)")
    actions = parser.add_subparsers(dest="action", metavar="add|search|status", required=True)
    add = actions.add_parser("add", parents=[base], help="read documents into the base")
    add.add_argument("sources", nargs="+", metavar="PATH", help="files, folders, globs, URLs")
    add.add_argument("--dry-run", action="store_true", help="only show what would change")
    add.add_argument("--watch", action="store_true", help="go on, and add whatever changes; Ctrl-C ends")
    search = actions.add_parser("search", parents=[base], help="find passages")
    search.add_argument("query", metavar="QUERY")
    search.add_argument("--top-k", type=_positive, default=10, metavar="N", help="how many (default: 10)")
    actions.add_parser("status", parents=[base], help="what is in the base")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def run(args: argparse.Namespace) -> int:
    """Adds, searches or tells the status."""
    return asyncio.run(_run(args))


def _base(name: str, *, make: bool) -> KnowledgeBase:
    """The base called `name`; raises KnowledgeError when it is not there and not to be made."""
    project = find_project()
    bare = not name.startswith((".", "~")) and not {os.sep, "/"} & set(name)
    kept_elsewhere = bare and project.file.storage != DEFAULT_STORAGE
    place = project.knowledge_path(name) if kept_elsewhere else name
    embedder = os.environ.get("STRETTO_EMBEDDER") or project.file.models.embed
    base = KnowledgeBase(place, embedder=embedder, root=project.root)
    if not make and not base.folder.is_dir():
        known = ", ".join(sorted(path.name for path in base.folder.parent.glob("*/"))) or "none"
        raise KnowledgeError(
            f"there is no knowledge base `{name}` (there: {known}). Type: stretto kb add PATH --kb {name}"
        )
    return base


async def _run(args: argparse.Namespace) -> int:
    name = getattr(args, "kb", "default")
    async with _base(name, make=args.action == "add") as base:
        match args.action:
            case "add":
                if args.watch and not args.dry_run:
                    return await _watch(base, args.sources, as_json=args.json)
                return await _add(base, args.sources, as_json=args.json, dry_run=args.dry_run)
            case "search":
                hits = await base.search(args.query, top_k=args.top_k)
                if args.json:
                    print_json({"query": args.query, "hits": [as_object(hit) for hit in hits]})
                else:
                    _show_hits(args.query, hits)
            case _:
                status = await base.status()
                if args.json:
                    print_json(status)
                else:
                    _show_status(status)
    return 0


async def _add(base: KnowledgeBase, sources: Sequence[str], *, as_json: bool, dry_run: bool) -> int:
    """Returns 1 when a source failed; the others are in."""
    report = await base.add(*sources, progress=progress("documents"), dry_run=dry_run)
    _show_report(report, as_json=as_json, dry_run=dry_run)
    return 1 if report.failed else 0


async def _watch(base: KnowledgeBase, sources: Sequence[str], *, as_json: bool) -> int:
    """Shows a report at the beginning and after each change, until it is ended."""
    async for report in base.watch(*sources, progress=progress("documents")):
        _show_report(report, as_json=as_json, dry_run=False)
        sys.stdout.flush()
    return 0


def _show_report(report: AddReport, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        print_json(report.as_dict())
    else:
        if dry_run:
            for mark, names in (("+", report.added), ("~", report.changed), ("-", report.removed)):
                print("".join(f"{mark} {name}\n" for name in names), end="")
            print(f"would embed {report.embedded} passages: ", end="")
        counts = ("added", "changed", "unchanged", "removed")
        print(", ".join(f"{len(getattr(report, name))} {name}" for name in counts))
        if report.skipped:
            print(f"skipped, of a kind that is not read: {', '.join(report.skipped)}", file=sys.stderr)
        for key, warning in report.warnings:
            print(redact(f"warning: {key}: {' '.join(warning.split())}"), file=sys.stderr)
    for source, error in report.failed:
        print(redact(f"failed: {source}: {' '.join(str(error).split())}"), file=sys.stderr)


def as_object(hit: Hit) -> dict[str, Any]:
    """A hit as `--json` prints it."""
    return {
        "document": hit.document.id,
        "chunk": hit.chunk.id,
        "page": hit.page,
        "score": round(hit.score, 6),
        "scores": {name: round(score, 6) for name, score in hit.scores.items()},
        "text": hit.text,
    }


def _show_hits(query: str, hits: Sequence[Hit]) -> None:
    if not hits:
        print("nothing found")
        return
    from rich.table import Table  # noqa: PLC0415 (only for people)

    table = Table("score", "document", "page", "text", show_lines=True)
    for hit in hits:
        page = "" if hit.page is None else str(hit.page)
        table.add_row(f"{hit.score:.3f}", hit.document.id, page, _highlighted(query, hit.text))
    console().print(table)


def _highlighted(query: str, text: str) -> "Text":
    """The part of the passage where the query's words stand closest to its beginning, the words in bold."""
    from rich.text import Text  # noqa: PLC0415 (only for people)

    words = "|".join(re.escape(word) for word in _WORD.findall(query))
    line = " ".join(text.split())
    first = re.search(words, line, re.I) if words else None
    begin = max(0, first.start() - 60) if first else 0
    begin = line.find(" ", begin) + 1 if begin else 0
    cut = line[begin : begin + _SHOWN]
    shown = Text(("… " if begin else "") + cut + (" …" if begin + _SHOWN < len(line) else ""))
    if words:
        shown.highlight_regex(f"(?i){words}", "bold yellow")
    return shown


def _show_status(status: dict[str, Any]) -> None:
    width = max(map(len, status), default=0)
    for name, value in status.items():
        lines = cast(list[str], value) if isinstance(value, list) else [str(value)]
        print(f"{name:{width}}  " + f"\n{'':{width}}  ".join(lines or ["none"]))
