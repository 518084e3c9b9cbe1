"""`stretto new FOLDER`: a project of one's own, made from the reference project."""

import argparse
from pathlib import Path

from stretto.cli.output import print_json
from stretto.cli.template import copy

EXAMPLES = """\
examples:
  stretto new desk
  cd desk && stretto demo     the conversation that it can hold
  stretto chat                yours

Then change what is there: agents/NAME/agent.yaml (model, prompt, tools), agents/NAME/knowledge/ (the
documents), tools/*.py (functions with @tool), prompts/NAME/*.md."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The folder."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a folder that is not there yet")


def run(args: argparse.Namespace) -> int:
    """Copies the project and says what to type next."""
    paths = copy(args.folder)
    if args.json:
        print_json({"project": str(args.folder.resolve()), "files": [path.name for path in paths]})
        return 0
    print(f"{args.folder}/ is a project: {', '.join(path.name for path in paths)}\n")
    print(f"next:\n  cd {args.folder}\n  stretto demo\n  stretto chat")
    return 0
