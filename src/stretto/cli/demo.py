"""`stretto demo`: pulls what is missing, reads the documents, plays the agent's demo.yaml."""

import argparse
import asyncio
import os
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import stretto.agent
from stretto._internal.yaml_files import read_yaml
from stretto.agent.project import DEFAULT_CHAT, PROJECT_FILE, Project, find_project
from stretto.cli.models import bring
from stretto.cli.output import console, print_json
from stretto.cli.turns import as_object, attached, open_with_progress, turn
from stretto.errors import ConfigError
from stretto.models.files import models_behind
from stretto.models.local.catalogue import CATALOGUE

if TYPE_CHECKING:
    from stretto.agent import Agent

EXAMPLES = """\
examples:
  stretto new x && cd x && stretto demo   from an empty folder
  stretto demo --model local:smollm2-135m the smallest model: quick, and often wrong
  stretto demo --json                     the turns as one object

The first time it pulls the local models (once, about 0.6 GB; size and licence are shown)."""

END = """\
What now:
  stretto chat                              talk with this agent yourself
  stretto run {agent} "..." --attach FILE   one question, with a picture
  stretto graph                             the graph that just played
your own documents:
  put them into {documents} and ask again, or: stretto kb add PATH --kb NAME
your own model (any endpoint that speaks Chat Completions):
  STRETTO_MODEL=compatible:NAME STRETTO_BASE_URL=http://HOST:PORT/v1 stretto chat
  or `models: chat:` in {project_file}; a better local one: stretto models pull qwen2.5-coder-1.5b"""


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """One turn of a demo."""

    say: str
    note: str = ""
    """What this turn shows."""
    attach: list[str] = []
    """Files, relative to the project's root."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The agent and the model."""
    parser.add_argument("agent", nargs="?", metavar="AGENT", help="a name or folder (default: the project's)")
    parser.add_argument("--model", metavar="NAME", help="answers instead of the configured model")


def run(args: argparse.Namespace) -> int:
    """Plays the demo."""
    project = find_project()
    if not (project.root / PROJECT_FILE).is_file():
        raise ConfigError("there is no project here. Type: stretto new x && cd x && stretto demo")
    folder = project.agent_folder(args.agent)
    script = folder / "demo.yaml"
    if not script.is_file():
        raise ConfigError(
            f"the agent `{folder.name}` has no demo.yaml; talk with it: stretto chat {folder.name}"
        )
    lines = read_yaml(script, list[Line])
    agent = stretto.agent.Agent.from_folder(folder, model=args.model or _offered())
    bring(needed(agent))
    return asyncio.run(_play(agent, project, lines, as_json=args.json))


def needed(agent: "Agent") -> list[str]:
    """The catalogue's models that the agent plays with."""
    if agent.spec is None:
        return []
    names = agent.spec.models.names()
    pools = {**agent.spec.project.file.pools, **agent.spec.file.pools}
    played = [*models_behind(names["chat"], pools), names["embed"]]
    wanted = [name.removeprefix("local:") for name in played if name.startswith("local:")]
    if not names["vision"]:
        wanted.append("efficientnet-lite0")
    return [name for name in wanted if name in CATALOGUE]


def _offered() -> str | None:
    """A model of the person's own, where a key or an address is set and somebody can answer."""
    keys = [name for name in ("OPENAI_API_KEY", "STRETTO_BASE_URL") if os.environ.get(name)]
    if not keys or os.environ.get("STRETTO_MODEL") or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    example = "compatible:NAME" if "STRETTO_BASE_URL" in keys else "openai:NAME"
    answer = console().input(
        f"{' and '.join(keys)} set. Play with your own model ({example})? Enter: local. "
    )
    return answer.strip() or (DEFAULT_CHAT if "STRETTO_BASE_URL" in keys else None)


async def _play(agent: "Agent", project: Project, lines: list[Line], *, as_json: bool) -> int:
    screen = console()
    began = time.perf_counter()
    thread = f"demo-{uuid.uuid4().hex[:12]}"
    turns: list[dict[str, Any]] = []
    try:
        if not as_json:
            names = agent.spec.models.names() if agent.spec else {"chat": "its own model"}
            screen.print(f"\n[bold]{agent.name}[/], played by {names['chat']}.", highlight=False)
        await open_with_progress(agent)
        for line in lines:
            paths = [str(project.root / path) for path in line.attach]
            if not as_json:
                _announce(line)
            result = await turn(agent, [line.say, *attached(paths)], thread, show=not as_json)
            turns.append({"question": line.say, "attach": line.attach, **as_object(result)})
    finally:
        await agent.close()
    if as_json:
        print_json({"agent": agent.name, "turns": turns})
        return 0
    screen.print(f"{len(turns)} turns in {time.perf_counter() - began:.0f} s.\n", highlight=False)
    documents = _near(agent.documents) if agent.documents else "a folder"
    print(END.format(agent=agent.name, documents=documents, project_file=PROJECT_FILE))
    return 0


def _announce(line: Line) -> None:
    screen = console()
    if line.note:
        screen.rule(f"[dim]{line.note}[/]", align="left", style="dim")
    screen.print(f"[bold]you[/] {line.say}", highlight=False)
    for path in line.attach:
        screen.print(f"[dim]  with {path}[/]", highlight=False)


def _near(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
