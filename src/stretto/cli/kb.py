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
from stretto.knowledge import KnowledgeBase

if TYPE_CHECKING:
    from rich.text import Text

EXAMPLES = """\
examples:
  stretto kb add docs/ "notes/*.pdf" --kb handbook   files, folders, globs, URLs
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
                return await _add(base, args.sources, as_json=args.json)
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


async def _add(base: KnowledgeBase, sources: Sequence[str], *, as_json: bool) -> int:
    """Returns 1 when a source failed; the others are in."""
    report = await base.add(*sources, progress=progress())
    if as_json:
        print_json(report.as_dict())
    else:
        counts = ("added", "changed", "unchanged", "removed")
        print(", ".join(f"{len(getattr(report, name))} {name}" for name in counts))
        if report.skipped:
            print(f"skipped, of a kind that is not read: {', '.join(report.skipped)}", file=sys.stderr)
    for source, error in report.failed:
        print(redact(f"failed: {source}: {' '.join(str(error).split())}"), file=sys.stderr)
    return 1 if report.failed else 0


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
