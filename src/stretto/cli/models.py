"""`stretto models`: what there is and what the project names; pulls and removes local models.

`stretto models probe` is in `probe.py`.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stretto.agent.project import find_project
from stretto.cli import probe
from stretto.cli.configured import Configured, configured, in_pool, key_set, providers
from stretto.cli.options import common
from stretto.cli.output import console, print_json, progress, size
from stretto.errors import ConfigError
from stretto.models.local import cache
from stretto.models.local.catalogue import CATALOGUE, DEFAULTS, LocalModel, entry
from stretto.models.local.pull import describe, pull
from stretto.models.wire.failures import shown_url

if TYPE_CHECKING:
    from rich.table import Table

EXAMPLES = """\
examples:
  stretto models list                    what there is, what is here, what the project names
  stretto models probe                   ask the project's models what they can do, and how fast
  stretto models pull --default          what `stretto demo` needs
  stretto models pull qwen2.5-coder-1.5b better answers
  stretto run desk "Hello" --model local:qwen2.5-coder-1.5b

Models lie in a cache that all projects share; STRETTO_CACHE moves it. Each file's sha256 is checked
before it is opened. A pull that was broken off goes on where it stopped."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """list, probe, pull, remove: each with its own."""
    shared = [common()]
    _probing(parser)
    actions = parser.add_subparsers(dest="action", metavar="list|probe|pull|remove")
    _probing(
        actions.add_parser(
            "list", parents=shared, help="what there is, is here, is configured (also without a word)"
        )
    )
    ask = actions.add_parser(
        "probe",
        parents=shared,
        help="ask models what they can do",
        description="Asks models for real: first token, tokens a second, context, tools, vision, JSON.",
        epilog=probe.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    probe.arguments(ask)
    fetch = actions.add_parser("pull", parents=shared, help="bring models into the cache")
    fetch.add_argument("--default", action="store_true", help="those that an agent uses by default")
    fetch.add_argument("names", nargs="*", metavar="NAME", help="names as `stretto models list` shows them")
    drop = actions.add_parser("remove", parents=shared, help="delete models from the cache")
    drop.add_argument("names", nargs="+", metavar="NAME")


def _probing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--probe", action="store_true", default=argparse.SUPPRESS, help="the same as `stretto models probe`"
    )
    probe.timeout_argument(parser, shown=False)  # of `probe`, whose help tells it


def run(args: argparse.Namespace) -> int:
    """Lists, probes, pulls or removes."""
    match args.action:
        case "probe":
            return probe.run(args)
        case "pull":
            return _pull([*(DEFAULTS if args.default else ()), *args.names], as_json=args.json)
        case "remove":
            return _remove(args.names, as_json=args.json)
        case _:
            return probe.run(args) if getattr(args, "probe", False) else _list(as_json=args.json)


def _pull(names: Sequence[str], *, as_json: bool) -> int:
    if not names:
        raise ConfigError("no model named. Type: stretto models pull NAME, or stretto models pull --default")
    chosen = list(dict.fromkeys(entry(name).name for name in names))
    bring(chosen)
    if as_json:
        print_json({"models": [{"name": name, "path": str(cache.path_of(name))} for name in chosen]})
    return 0


def _remove(names: Sequence[str], *, as_json: bool) -> int:
    removed = [name for name in (entry(name).name for name in names) if cache.remove(name)]
    if as_json:
        print_json({"removed": removed})
    else:
        print(f"removed: {', '.join(removed) or 'nothing was there'}")
    return 0


def bring(names: Sequence[str]) -> None:
    """Pulls what is missing of `names`, and shows size, licence and progress on stderr."""
    missing = [CATALOGUE[name] for name in names if not cache.installed(name)]
    there = [name for name in names if cache.installed(name)]
    if there:
        print(f"already there: {', '.join(there)}", file=sys.stderr)
    if not missing:
        return
    total = sum(model.download for model in missing)
    print(f"pulling {len(missing)} model(s), {size(total)}, once, into {cache.root()}", file=sys.stderr)
    for model in missing:
        print(f"{model.name}: {model.title}; {size(model.download)}; {model.licence}", file=sys.stderr)
        if sys.stderr.isatty():
            _with_bar(model)
        else:
            pull(model.name, progress=progress())


def _with_bar(model: LocalModel) -> None:
    from rich.progress import (  # noqa: PLC0415 (only on a terminal)
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn(), TextColumn("[dim]{task.description}"))
    with Progress(*columns, console=console(error=True), transient=True) as bar:
        task = bar.add_task("", total=model.download)

        def tell(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        pull(model.name, progress=tell)


def _list(*, as_json: bool) -> int:
    models, project = describe(), find_project()
    named = list(configured(project))
    if as_json:
        shown = [one.as_object() for one in named]
        print_json(
            {"models": models, "cache": str(cache.root()), "configured": shown, "providers": providers()}
        )
        return 0
    from rich.table import Table  # noqa: PLC0415 (only for people)

    table = Table("", "name", "what", "size", "licence", box=None, pad_edge=False)
    for model in models:
        mark = "[green]here[/]" if model["installed"] else ""
        title = model["title"] + (" [dim](default)[/]" if model["default"] else "")
        table.add_row(mark, model["pull"], title, size(model["size"]), model["licence"])
    screen = console()
    screen.print(table)
    screen.print(f"\ncache: {cache.root()}\n", highlight=False, soft_wrap=True)
    screen.print(_configured(named))
    keys = {one["key_env"]: "set" if one["key"] else "not set" for one in providers() if one["key_env"]}
    said = ", ".join(f"{name} {state}" for name, state in keys.items())
    screen.print(f"\nkeys: {said}", highlight=False, soft_wrap=True)
    return 0


def _configured(named: Sequence[Configured]) -> "Table":
    """The models that the project names, as a table for people."""
    from rich.table import Table  # noqa: PLC0415 (only for people)
    from rich.text import Text  # noqa: PLC0415 (only for people)

    table = Table("configured", "model", "key", "", box=None, pad_edge=False)
    words = {True: "set", False: "not set", None: ""}
    for one in named:
        part = f"{one.part} ({one.by})" if one.by.startswith("STRETTO_") else one.part
        where = f"at {shown_url(one.file.base_url)}" if one.file.base_url else ""
        more = ", ".join(filter(None, (where, in_pool(one.file))))
        table.add_row(*map(Text, (part, one.file.model, words[key_set(one.file)], more)))
    return table
