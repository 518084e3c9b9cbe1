"""`stretto kb add|search|status|export|import`: fills a knowledge base, looks into it, and moves it."""

import argparse
import asyncio
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stretto._internal.redact import redact
from stretto.agent.project import ProjectFile, find_project
from stretto.cli.options import common
from stretto.cli.output import console, print_json, progress
from stretto.documents import Hit
from stretto.errors import KnowledgeError
from stretto.knowledge import AddReport, KnowledgeBase
from stretto.knowledge.beir import beir_documents, beir_queries, by_document, write_run
from stretto.knowledge.segments import segmented

if TYPE_CHECKING:
    from rich.text import Text

EXAMPLES = """\
examples:
  stretto kb add docs/ "notes/*.pdf" --kb handbook   files, folders, globs, URLs
  stretto kb add docs/ --kb handbook --watch         and again whenever a file changes
  stretto kb search "parental leave" --kb handbook --top-k 5 --where '{"year": {"$gte": 2020}}'
  stretto kb status --kb handbook
  stretto kb export handbook.zip --kb handbook       one file; `kb import` takes it in elsewhere
  stretto kb add scifact/ --beir --kb scifact        a collection in BEIR form, and a TREC run of its queries:
  stretto kb search --beir scifact/ scifact.trec --kb scifact --top-k 100

Adding again reads only what has changed. A base lives in .stretto/knowledge/NAME of the project
(the nearest folder upwards with stretto.yaml); --kb also takes a path."""

DEFAULT_STORAGE = ProjectFile().storage
_SHOWN = 320
_WORD = re.compile(r"\w{3,}")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Each action with its own."""
    base = common()
    base.add_argument("--kb", metavar="NAME", help="a name, or a path (default: default)")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", parents=[base], help="read documents into the base")
    add.add_argument("sources", nargs="+", metavar="PATH", help="files, folders, globs, URLs")
    add.add_argument("--beir", action="store_true", help="PATHs are collections in BEIR form")
    add.add_argument("--dry-run", action="store_true", help="only show what would change")
    add.add_argument("--watch", action="store_true", help="go on, and add whatever changes; Ctrl-C ends")
    search = actions.add_parser("search", parents=[base], help="find passages")
    asked = search.add_mutually_exclusive_group(required=True)
    asked.add_argument("query", metavar="QUERY", nargs="?", default="")
    asked.add_argument(
        "--beir", nargs=2, type=Path, metavar=("FOLDER", "RUN"), help="a collection's queries, to a TREC run"
    )
    search.add_argument("--top-k", type=_positive, default=10, metavar="N", help="how many (default: 10)")
    search.add_argument("--where", type=_where, metavar="JSON", help="what the metadata must be")
    search.add_argument("--diversity", type=float, default=0.0, metavar="0..1", help="less of the same")
    actions.add_parser("status", parents=[base], help="what is in the base")
    for name, told in (("export", "write the base to one file"), ("import", "take such a file in")):
        actions.add_parser(name, parents=[base], help=told).add_argument("file", type=Path, metavar="FILE")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _where(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{text} is no JSON object")
    return cast("dict[str, Any]", found)


def run(args: argparse.Namespace) -> int:
    """Does the action."""
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
    async with _base(name, make=args.action in ("add", "import")) as base:
        match args.action:
            case "add":
                sources: list[Any] = args.sources
                if args.beir:
                    sources = [beir_documents(Path(folder)) for folder in sources]
                elif args.watch and not args.dry_run:
                    return await _watch(base, sources, as_json=args.json)
                return await _add(base, sources, as_json=args.json, dry_run=args.dry_run)
            case "search":
                await _search(base, args)
            case "export":
                _show(await base.export(args.file), as_json=args.json)
            case "import":
                _show(await base.take_in(args.file), as_json=args.json)
            case _:
                _show(await base.status(), as_json=args.json)
    return 0


async def _search(base: KnowledgeBase, args: argparse.Namespace) -> None:
    options: dict[str, Any] = {"top_k": args.top_k, "where": args.where, "diversity": args.diversity}
    if args.beir:
        folder, run = args.beir
        queries = beir_queries(folder)
        found = {key: by_document(await base.search(text, **options)) for key, text in queries.items()}
        write_run(run, found)
        return _show({"queries": len(queries), "run": str(run)}, as_json=args.json)
    hits = await base.search(args.query, **options)
    if args.json:
        print_json({"query": args.query, "hits": [as_object(hit) for hit in hits]})
    else:
        _show_hits(args.query, hits)
    return None


async def _add(base: KnowledgeBase, sources: Sequence[Any], *, as_json: bool, dry_run: bool) -> int:
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

    grams = (word for word in segmented(query).split() if not word.isascii() and len(word) > 1)
    words = "|".join(re.escape(word) for word in dict.fromkeys((*_WORD.findall(query), *grams)))
    line = " ".join(text.split())
    first = re.search(words, line, re.I) if words else None
    begin = max(0, first.start() - 60) if first else 0
    begin = line.find(" ", begin) + 1 if begin else 0
    cut = line[begin : begin + _SHOWN]
    shown = Text(("… " if begin else "") + cut + (" …" if begin + _SHOWN < len(line) else ""))
    if words:
        shown.highlight_regex(f"(?i){words}", "bold yellow")
    return shown


def _show(status: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(status)
        return
    width = max(map(len, status), default=0)
    for name, value in status.items():
        lines = cast(list[str], value) if isinstance(value, list) else [str(value)]
        print(f"{name:{width}}  " + f"\n{'':{width}}  ".join(lines or ["none"]))
