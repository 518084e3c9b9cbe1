"""`stretto chat`: a conversation in the terminal."""

import argparse
import asyncio
import shlex
import sys
import threading
import uuid
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import stretto.agent
from stretto._internal.redact import redact
from stretto._internal.yaml_files import read_yaml
from stretto.agent.project import AgentFile, find_project
from stretto.cli.output import console, print_json
from stretto.cli.turns import as_object, attached, open_with_progress, turn
from stretto.errors import StrettoError
from stretto.messages import Part

if TYPE_CHECKING:
    from stretto.agent import Agent

EXAMPLES = """\
examples:
  stretto chat                          the project's agent
  stretto chat desk --thread me the same conversation each time
  stretto chat --model local:qwen2.5-coder-1.5b

in the conversation:
  /attach FILE ...   sends pictures or documents with your next question
  /new               begins another conversation
  /quit              ends it (so does Ctrl-D; Ctrl-C stops an answer)

Questions can be piped in too, one a line; with --json each answer is one object a line."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The agent and the conversation."""
    parser.add_argument("agent", nargs="?", metavar="AGENT", help="a name or folder (default: the project's)")
    parser.add_argument("--thread", metavar="ID", help="the conversation to go on with (default: a new one)")
    parser.add_argument("--model", metavar="NAME", help="answers instead of the configured model")


def run(args: argparse.Namespace) -> int:
    """Talks until the input ends."""
    folder = find_project().agent_folder(args.agent)
    read_yaml(folder / "agent.yaml", AgentFile)  # what is wrong there is told before the first question
    partner = _Partner(folder, args.model)
    with asyncio.Runner() as runner:
        try:
            return _talk(runner, partner, args.thread or uuid.uuid4().hex, as_json=args.json)
        finally:
            partner.close(runner)


class _Partner:
    """The agent, made for the first question: its packages load while a person types that."""

    def __init__(self, folder: Path, model: str | None) -> None:
        self.name = folder.name
        self._folder, self._model = folder, model
        self._agent: Agent | None = None
        self._loading = threading.Thread(target=import_module, args=("stretto.agent.agent",))
        self._loading.start()

    def open(self, runner: asyncio.Runner) -> "Agent":
        """The agent, with its documents read."""
        if self._agent is None:
            self._loading.join()
            self._agent = stretto.agent.Agent.from_folder(self._folder, model=self._model)
            runner.run(open_with_progress(self._agent))
        return self._agent

    def close(self, runner: asyncio.Runner) -> None:
        """Closes what was made."""
        if self._agent is not None:
            runner.run(self._agent.close())


def _talk(runner: asyncio.Runner, partner: _Partner, thread: str, *, as_json: bool) -> int:
    waiting: list[str] = []
    failed = 0
    if sys.stdin.isatty():
        print(f"Talking with {partner.name}. /attach FILE, /new, /quit.", file=sys.stderr)
    while (line := _ask()) is not None:
        match line.split(maxsplit=1):
            case []:
                continue
            case ["/quit"]:
                break
            case ["/new"]:
                thread = uuid.uuid4().hex
            case ["/attach", files]:
                try:
                    waiting += shlex.split(files)
                except ValueError:
                    failed += 1
                    print(f"error: {line}: a quote is not closed", file=sys.stderr)
            case _:
                agent = partner.open(runner)
                failed += not _one(runner, agent, line, waiting, thread, as_json=as_json)
                waiting = []
    return 1 if failed and not sys.stdin.isatty() else 0


def _one(
    runner: asyncio.Runner, agent: "Agent", line: str, files: list[str], thread: str, *, as_json: bool
) -> bool:
    """One question; False when it failed. Ctrl-C stops the answer, not the conversation."""
    try:
        question: list[Part | str] = [line, *attached(files)]
        result = runner.run(turn(agent, question, thread, show=not as_json))
    except StrettoError as error:
        print(f"error: {redact(' '.join(str(error).split()))}", file=sys.stderr)
        return False
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return False
    if as_json:
        print_json(as_object(result))
    return True


def _ask() -> str | None:
    """The next line, None at the end."""
    try:
        if sys.stdin.isatty():
            return console().input("[bold]you[/] ")
        line = sys.stdin.readline()
        return line.rstrip("\n") if line else None
    except (EOFError, KeyboardInterrupt):
        return None
