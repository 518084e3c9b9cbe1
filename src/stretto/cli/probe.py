"""`stretto models probe`: asks the configured endpoints, or those named, what they can do, and prints it."""

import argparse
import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec

from stretto._internal.project_file import PROJECT_FILE
from stretto._internal.redact import redact
from stretto.agent.project import Project, find_project
from stretto.cli.configured import Configured, address, configured
from stretto.cli.output import console, print_json, progress
from stretto.errors import ConfigError, ModelNotFound, StrettoError
from stretto.models.factory import embedder
from stretto.models.files import POOL, ModelFile, api_key_of, open_model, unknown_pool
from stretto.models.local.catalogue import CATALOGUE
from stretto.models.probe import CheckName, Probe, Tell, probe, probe_embedder
from stretto.models.protocol import ChatModel, Embedder

EXAMPLES = """\
examples:
  stretto models probe                    every model that the project names
  stretto models probe pool:chat          the members of a pool
  stretto models probe local:smollm2-135m openai:gpt-4o-mini
  stretto models probe compatible:NAME --base-url http://127.0.0.1:8000/v1 --api-key-env MY_KEY
  stretto models probe --json | jq '.probes[] | select(.tools == false)'

Each endpoint is asked five short questions, one after the other: text (twice, for the speed), a call of a
tool, a picture, an answer in JSON. That costs a few hundred tokens. What fails is said below the table.
It ends with 1 when an endpoint does not answer at all."""

SECONDS = 30.0
"""That a check may take where nothing else is said."""
_PARTS = ("chat", "vision", "embed")
_STEPS = 5
"""Checks of an endpoint, for the progress."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which endpoints, and how long a check may take."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="provider:model, pool:NAME, or chat, vision, embed (default: all that the project names)",
    )
    parser.add_argument("--base-url", metavar="URL", help="where the models named answer")
    parser.add_argument("--api-key-env", metavar="VARIABLE", help="the environment variable with the key")
    timeout_argument(parser)


def timeout_argument(parser: argparse.ArgumentParser) -> None:
    """`--timeout`."""
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=argparse.SUPPRESS,
        metavar="S",
        help="seconds a check may take (default: 30)",
    )


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r}: give seconds, more than 0 and at most 3600")
    return number


def run(args: argparse.Namespace) -> int:
    """Probes, prints, and returns 1 when an endpoint does not answer."""
    project = find_project()
    base_url, key_env = getattr(args, "base_url", None), getattr(args, "api_key_env", None)
    chosen = choose(project, getattr(args, "names", []), base_url=base_url, api_key_env=key_env)
    results = asyncio.run(_all(project, chosen, getattr(args, "timeout", SECONDS)))
    pairs = list(zip(chosen, results, strict=True))
    reached = all(result.reached for result in results)
    if args.json:
        print_json({"ok": reached, "probes": [as_object(*pair) for pair in pairs]})
    else:
        show(pairs)
    return 0 if reached else 1


def choose(
    project: Project, names: Sequence[str], *, base_url: str | None = None, api_key_env: str | None = None
) -> list[Configured]:
    """The endpoints to ask, each once.

    Raises:
        ConfigError: an address without a name.
        ModelNotFound: there is no such pool.
    """
    known = list(configured(project))
    if base_url or api_key_env:
        if not names:
            raise ConfigError(
                "--base-url and --api-key-env are for models that are named, for instance compatible:NAME"
            )
        files = [ModelFile(model=name, base_url=base_url, api_key_env=api_key_env) for name in names]
        return [Configured("", "command line", file, embeds=_embeds(file.model)) for file in files]
    if not names:
        return _once(known, known)
    return _once(known, [found for name in names for found in _named(name, known, project)])


def _named(name: str, known: Sequence[Configured], project: Project) -> list[Configured]:
    """What a name on the command line means: a part, a pool, or a model, with its address if configured."""
    if name.startswith(POOL) and name.removeprefix(POOL) not in project.file.pools:
        raise ModelNotFound(f"{unknown_pool(name.removeprefix(POOL), project.file.pools)} in {PROJECT_FILE}")
    found = [one for one in known if name in (one.part, one.file.model)]
    if found:
        return found
    if name in _PARTS:
        raise ConfigError(
            f"no {name} model is configured; name one in {PROJECT_FILE}, such as "
            f"`models: {{{name}: 'openai:gpt-4o-mini'}}`"
        )
    return [Configured("", "command line", ModelFile(model=name), embeds=_embeds(name))]


def _once(known: Sequence[Configured], chosen: Sequence[Configured]) -> list[Configured]:
    """Each endpoint once, with all its parts; for a pool its members."""
    found: dict[tuple[object, ...], Configured] = {}
    waiting, opened = list(chosen), set[str]()
    while waiting:
        one = waiting.pop(0)
        if one.file.model.startswith(POOL):
            if one.file.model not in opened:
                opened.add(one.file.model)
                members = [member for member in known if member.part == one.file.model]
                if one.embeds or not members:
                    raise ModelNotFound(
                        f"{one.by}: `{one.file.model}` has no embeddings; name one model that has"
                        if one.embeds
                        else f"{one.by}: there is no pool `{one.file.model.removeprefix(POOL)}`"
                    )
                waiting[:0] = members
            continue
        key = (one.embeds, one.file.model, address(one.file), one.file.api_key_env, *one.file.headers.items())
        before = found.get(key)
        parts = dict.fromkeys([*(before.part.split(", ") if before else ()), one.part])
        found[key] = Configured(", ".join(filter(None, parts)), one.by, one.file, one.embeds)
    return list(found.values())


def _embeds(name: str) -> bool:
    """Whether a local model is one for embeddings; of endpoints only the configuration knows."""
    entry = CATALOGUE.get(name.removeprefix("local:")) if name.startswith("local:") else None
    return entry is not None and entry.kind == "embedding"


async def _all(project: Project, chosen: Sequence[Configured], timeout: float) -> list[Probe]:
    show_progress, results = progress(), list[Probe]()
    total = len(chosen) * _STEPS
    for index, one in enumerate(chosen):
        step = index * _STEPS

        def tell(check: CheckName, name: str = one.file.model) -> None:
            nonlocal step
            show_progress(step, total, f"{name}: {check}")
            step += 1

        results.append(await _one(project, one, timeout, tell))
    show_progress(total, total, "done")
    return results


async def _one(project: Project, one: Configured, timeout: float, tell: Tell) -> Probe:
    """A model that cannot be opened is a probe that failed."""
    try:
        if one.embeds:
            model = embedder(one.file.model, base_url=one.file.base_url, api_key=api_key_of(one.file))
            return await _closing(model, probe_embedder(model, timeout=timeout, tell=tell))
        chat = open_model(one.file, root=project.root)
        return await _closing(chat, probe(chat, timeout=timeout, tell=tell))
    except StrettoError as error:
        kind = "embedding" if one.embeds else "chat"
        check = "embedding" if one.embeds else "answer"
        return Probe(one.file.model, kind, failed={check: " ".join(str(error).split())})


async def _closing(model: ChatModel | Embedder, asked: Coroutine[Any, Any, Probe]) -> Probe:
    try:
        return await asked
    finally:
        await model.close()


def as_object(one: Configured, result: Probe) -> dict[str, Any]:
    """As `--json` prints it."""
    fields = {
        **msgspec.structs.asdict(result),
        "failed": {name: redact(why) for name, why in result.failed.items()},
    }
    return {**fields, "base_url": address(one.file), "part": one.part}


def show(pairs: Sequence[tuple[Configured, Probe]]) -> None:
    """As a table, and below it what failed and why."""
    from rich.table import Table  # noqa: PLC0415 (only for people)
    from rich.text import Text  # noqa: PLC0415 (only for people)

    head = ("", "model", "first token", "tokens/s", "context", "tools", "vision", "JSON", "part")
    table = Table(*head, box=None, pad_edge=False)
    for one, result in pairs:
        mark = "[green]ok[/]" if result.reached else "[red]no[/]"
        table.add_row(mark, Text(result.name), *_cells(result), Text(one.part, style="dim"))
    screen = console()
    screen.print(table)
    for one, result in pairs:
        where = f"`{result.name}` at {address(one.file)}" if address(one.file) else f"`{result.name}`"
        for check, why in result.failed.items():
            said = redact(why) if f"`{result.name}`" in why else f"{where}: {redact(why)}"
            screen.print(f"{check}: {said}", highlight=False, markup=False, soft_wrap=True)


def _cells(result: Probe) -> tuple[str, ...]:
    if result.kind == "embedding":
        size = f"{result.dimensions} dimensions" if result.dimensions else ""
        return "", "", size, "", "", ""
    marks = {True: "yes", False: "no", None: ""}
    first = "" if result.first_token is None else f"{1000 * result.first_token:.0f} ms"
    rate = "" if result.tokens_per_second is None else f"{result.tokens_per_second:.0f}"
    certain = "" if result.context_told else "?"
    context = "" if result.context is None else f"{result.context}{certain}"
    return first, rate, context, *(marks[done] for done in (result.tools, result.vision, result.json_schema))
