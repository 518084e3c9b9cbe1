"""`stretto kb`: fills a knowledge base, looks into it, keeps it whole and moves it."""

import argparse
import asyncio
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stretto.agent.project import ProjectFile, find_project
from stretto.cli.kb_upkeep import kept, show_report
from stretto.cli.options import common
from stretto.cli.output import console, print_json, progress
from stretto.documents import Hit
from stretto.errors import KnowledgeError
from stretto.knowledge import KnowledgeBase
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
  stretto kb sync docs/ --kb handbook                hold what the folder holds, and no more of it
  stretto kb remove docs/old.md --kb handbook        a document, or all that a folder brought
  stretto kb verify --repair --kb handbook           look every passage up, mend what is lost
  stretto kb prune --days 90 --kb handbook           let citations of passages go that were replaced before
  stretto kb rebuild --embedder NAME --kb handbook   with another embedder; searches go on
  stretto kb add hr/ --tenant acme --access board    seen by the tenant's group alone

Adding again reads only what has changed. A base lives in .stretto/knowledge/NAME of the project
(the nearest folder upwards with stretto.yaml); --kb also takes a path."""

DEFAULT_STORAGE = ProjectFile().storage
_SHOWN = 320
_WORD = re.compile(r"\w{3,}")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Each verb with its own."""
    base = common()
    base.add_argument("--kb", metavar="NAME", help="a name, or a path (default: default)")
    whose = argparse.ArgumentParser(add_help=False)
    whose.add_argument(
        "--tenant", metavar="NAME", default="default", help="whose documents (default: default)"
    )
    actions = parser.add_subparsers(dest="action", metavar="VERB", required=True)
    add = actions.add_parser("add", parents=[base, whose], help="read documents into the base")
    add.add_argument("sources", nargs="+", metavar="PATH", help="files, folders, globs, URLs")
    add.add_argument("--dry-run", action="store_true", help="only show what would change")
    how = add.add_mutually_exclusive_group()
    how.add_argument("--beir", action="store_true", help="PATHs are collections in BEIR form")
    how.add_argument("--watch", action="store_true", help="go on, and add whatever changes; Ctrl-C ends")
    sync = actions.add_parser("sync", parents=[base, whose], help="make the base hold what folders hold")
    sync.add_argument("sources", nargs="+", metavar="FOLDER", help="folders that are there")
    sync.add_argument("--dry-run", action="store_true", help="only show what would change")
    for each in (add, sync):
        each.add_argument(
            "--access", action="append", metavar="NAME", help="a group or person who may see it"
        )
    remove = actions.add_parser("remove", parents=[base, whose], help="take documents out")
    remove.add_argument("sources", nargs="+", metavar="WHAT", help="ids, paths, URLs, folders")
    search = actions.add_parser("search", parents=[base, whose], help="find passages")
    _search_arguments(search)
    actions.add_parser("status", parents=[base, whose], help="what is in the base")
    prune = actions.add_parser("prune", parents=[base, whose], help="forget passages that were replaced")
    prune.add_argument(
        "--days", type=float, default=30.0, metavar="N", help="those of more than N days ago (default: 30)"
    )
    verify = actions.add_parser("verify", parents=[base, whose], help="look up every passage")
    verify.add_argument("--repair", action="store_true", help="mend what is lost")
    rebuild = actions.add_parser("rebuild", parents=[base], help="build the indexes anew, then switch")
    rebuild.add_argument(
        "--embedder", metavar="NAME", help="makes the vectors from now on (default: the project's)"
    )
    for name, told in (("export", "write the base to one file"), ("import", "take such a file in")):
        moved = actions.add_parser(name, parents=[base, whose], help=told)
        moved.add_argument("file", type=Path, metavar="FILE")


def _search_arguments(search: argparse.ArgumentParser) -> None:
    asked = search.add_mutually_exclusive_group(required=True)
    asked.add_argument("query", metavar="QUERY", nargs="?", default="")
    asked.add_argument(
        "--beir", nargs=2, type=Path, metavar=("FOLDER", "RUN"), help="a collection's queries, to a TREC run"
    )
    search.add_argument("--group", action="append", metavar="NAME", help="search as one of this group")
    search.add_argument("--top-k", type=_positive, default=10, metavar="N", help="how many (default: 10)")
    search.add_argument("--where", type=_where, metavar="JSON", help="what the metadata must be")
    search.add_argument("--diversity", type=float, default=0.0, metavar="0..1", help="less of the same")


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
    """Does what the verb says."""
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
    _look_first(args)
    async with _base(name, make=args.action in ("add", "sync", "import")) as base:
        match args.action:
            case "add" if args.watch and not args.dry_run:
                return await _watch(base, args)
            case "add" | "sync":
                return await _fill(base, args)
            case "remove" | "prune" | "verify" | "rebuild":
                return await kept(base, args)
            case "search":
                await _search(base, args)
            case "export":
                _show(await base.export(args.file, tenant=args.tenant), as_json=args.json)
            case "import":
                _show(await base.take_in(args.file, tenant=args.tenant), as_json=args.json)
            case _:
                _show(await base.status(tenant=args.tenant), as_json=args.json)
    return 0


def _look_first(args: argparse.Namespace) -> None:
    """Finds what is wrong with the sources before a base is made for them."""
    if args.action == "add" and args.beir:
        args.sources = [beir_documents(Path(folder)) for folder in args.sources]
    elif args.action == "import" and not args.file.is_file():
        raise KnowledgeError(f"`{args.file}` is not there; give a file that `stretto kb export` wrote")


async def _search(base: KnowledgeBase, args: argparse.Namespace) -> None:
    options: dict[str, Any] = {
        "top_k": args.top_k,
        "where": args.where,
        "diversity": args.diversity,
        "tenant": args.tenant,
        "groups": args.group or [],
    }
    if args.beir:
        folder, run = args.beir
        queries = beir_queries(folder)
        found: dict[str, list[tuple[str, float]]] = {}
        tell = progress("queries")
        for key, text in queries.items():
            found[key] = by_document(await base.search(text, **options))
            tell(len(found), len(queries), "searching")
        write_run(run, found)
        return _show({"queries": len(queries), "run": str(run)}, as_json=args.json)
    hits = await base.search(args.query, **options)
    if args.json:
        print_json({"query": args.query, "hits": [as_object(hit) for hit in hits]})
    else:
        _show_hits(args.query, hits)
    return None


async def _fill(base: KnowledgeBase, args: argparse.Namespace) -> int:
    """`add` or `sync`. Returns 1 when a source failed; the others are in."""
    report = await (base.sync if args.action == "sync" else base.add)(
        *args.sources,
        progress=progress("documents"),
        dry_run=args.dry_run,
        tenant=args.tenant,
        access=args.access,
    )
    show_report(report, as_json=args.json, dry_run=args.dry_run)
    return 1 if report.failed else 0


async def _watch(base: KnowledgeBase, args: argparse.Namespace) -> int:
    """Shows a report at the beginning and after each change, until it is ended."""
    whose = {"tenant": args.tenant, "access": args.access}
    async for report in base.watch(*args.sources, progress=progress("documents"), **whose):
        show_report(report, as_json=args.json, dry_run=False)
        sys.stdout.flush()
    return 0


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
