"""`stretto VERB ...`: finds the verb, reads the arguments, says errors in one line. Knows no verb's work.

Exit codes: 0 done, 1 error, 2 wrong usage, 130 interrupted from the keyboard.
"""

import argparse
import difflib
import os
import re
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn, Protocol, cast

from stretto._internal.redact import redact
from stretto.cli import logs
from stretto.cli.options import common
from stretto.cli.output import print_json
from stretto.errors import StrettoError

VERBS = {
    "demo": ("stretto.cli.demo", "See it work: a short conversation on local models"),
    "chat": ("stretto.cli.chat", "Talk with an agent"),
    "run": ("stretto.cli.run", "Ask an agent one question"),
    "kb": ("stretto.cli.kb", "Fill a knowledge base and search it"),
    "threads": ("stretto.cli.threads", "Look after conversations; check them before a deploy"),
    "memory": ("stretto.cli.memory", "Look after what is remembered of users"),
    "graph": ("stretto.cli.graph", "Draw an agent's graph"),
    "models": ("stretto.cli.models", "List models, probe endpoints, pull local models"),
    "new": ("stretto.cli.new", "Begin a project of your own"),
    "doctor": ("stretto.cli.doctor", "Say what is there, and what is missing"),
}
"""Verb: its module, and what it does."""

EXAMPLES = """\
begin here:
  stretto demo                        see it work, with no key
  stretto new desk && cd desk         a project of your own
  stretto chat                        talk with its agent
  stretto kb add docs/ --kb handbook  your own documents
  stretto VERB --help                 each verb, with examples"""

INTERRUPTED = 130
_SLIP = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)$")
_WORDS = re.compile(r"[\w-]+")
_PLAIN = argparse.RawDescriptionHelpFormatter


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from stretto._internal.version import __version__  # noqa: PLC0415 (reads the installed metadata)

        print(f"stretto {__version__}")
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """A parser, and those of its verbs, that knows what a slip was meant to be."""

    def error(self, message: str) -> NoReturn:
        slip = _SLIP.search(message)
        close = difflib.get_close_matches(slip[1], _WORDS.findall(slip[2]), 1) if slip else []
        super().error(f"{message}; did you mean `{close[0]}`?" if close else message)


class Verb(Protocol):
    """What each module in VERBS has."""

    EXAMPLES: str
    """The end of its help: commands to try."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declares what the verb takes."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Does it; returns the exit code."""
        ...


def _load(verb: str) -> Verb:
    return cast(Verb, import_module(VERBS[verb][0]))


def parser(verb: str | None) -> argparse.ArgumentParser:
    """The parser with all verbs, of which only `verb` is loaded and knows its arguments."""
    shared: Any = common()
    top = _Parser(
        prog="stretto",
        description="Conducts language models, vision models, retrieval and tools as nodes of a graph.",
        epilog=EXAMPLES,
        formatter_class=_PLAIN,
        parents=[shared],
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for name, (_, summary) in VERBS.items():
        if name != verb:
            verbs.add_parser(name, help=summary)
            continue
        module = _load(name)
        sub = verbs.add_parser(
            name,
            help=summary,
            description=f"{summary}.",
            epilog=module.EXAMPLES,
            formatter_class=_PLAIN,
            parents=[shared],
        )
        module.arguments(sub)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; `arguments` are those of the process when None. Returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _main(given)
    except BrokenPipeError:  # whoever read our output stopped reading, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _main(given: list[str]) -> int:
    as_json = "--json" in given
    detailed = any(word.startswith("-vv") for word in given) or given.count("-v") > 1
    try:
        return _perform(given)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except StrettoError as error:
        if detailed:
            _trace()
        return failed(type(error).__name__, str(error), as_json=as_json)
    except Exception as error:
        if detailed:
            _trace()
        hint = "" if detailed else " (a fault of ours; -vv shows where)"
        text = f"unexpected {type(error).__name__}: {error}{hint}"
        return failed(type(error).__name__, text, as_json=as_json)


def _perform(given: list[str]) -> int:
    verb = next((word for word in given if word in VERBS), None)
    top = parser(verb)
    try:
        args = top.parse_args(given)
    except SystemExit as end:  # argparse ends so, for --help and for wrong usage
        return end.code if isinstance(end.code, int) else 2
    if args.verb is None:
        top.print_help()
        return 2
    args.json = getattr(args, "json", False)
    logs.start(getattr(args, "verbose", 0), getattr(args, "log_format", "text"))
    return _load(args.verb).run(args)


def failed(kind: str, message: str, *, as_json: bool) -> int:
    """Says an error in one line on stderr, and as an object on stdout with `--json`; returns 1."""
    line = redact(" ".join(message.split()), known=logs.secrets())
    print(f"error: {line}", file=sys.stderr)
    if as_json:
        print_json({"error": {"kind": kind, "message": line}})
    return 1


def _trace() -> None:
    print(redact(traceback.format_exc(), known=logs.secrets()), end="", file=sys.stderr)
