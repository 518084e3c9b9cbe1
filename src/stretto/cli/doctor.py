"""`stretto doctor`: looks at this installation and says what is there, what is missing and what to type.

Shows of a key only whether it is set.
"""

import argparse
import os
import shutil
import sqlite3
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from stretto._internal.plain import Plain
from stretto._internal.redact import redact
from stretto._internal.version import __version__
from stretto.agent.project import PROJECT_FILE, Project, find_project
from stretto.cli.output import console, print_json, size
from stretto.errors import StrettoError
from stretto.models.files import POOL, ModelFile, member_file
from stretto.models.local import cache
from stretto.models.local.catalogue import DEFAULTS

EXAMPLES = """\
examples:
  stretto doctor
  stretto doctor --json    the same for a program; ends with 1 when something does not work"""

REQUIRED = (
    "aiohttp",
    "chromadb",
    "langgraph",
    "langchain-core",
    "openai",
    "onnxruntime",
    "pillow",
    "tantivy",
)
OPTIONAL = {
    "xllamacpp": "local",
    "rapidocr": "local",
    "faster-whisper": "speech",
    "bpe-openai": "tokens",
    "genai-prices": "prices",
}
KEYS = ("OPENAI_API_KEY", "STRETTO_API_KEY")
_LITTLE = 2_000_000_000
_SECONDS = 3.0


class Check(Plain, frozen=True):
    """One thing looked at. `ok` is None where it is neither good nor bad."""

    name: str
    value: str
    ok: bool | None = None
    hint: str = ""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing but what every verb takes."""


def run(args: argparse.Namespace) -> int:
    """Looks, prints, and returns 1 when something does not work."""
    checks = [*installation(), *packages(), *models(), *project_and_endpoints()]
    if args.json:
        print_json({"ok": all(check.ok is not False for check in checks), "checks": checks})
    else:
        show(checks)
    return 1 if any(check.ok is False for check in checks) else 0


def installation() -> Iterator[Check]:
    """Python, Stretto, sqlite, and the disk the cache is on."""
    yield Check("stretto", __version__)
    yield Check("python", f"{sys.version.split()[0]} ({sys.executable})", sys.version_info >= (3, 11))
    yield Check("sqlite", sqlite3.sqlite_version, sqlite3.sqlite_version_info >= (3, 35))
    folder = cache.root()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    writable = os.access(there, os.W_OK)
    yield Check("cache", str(folder), writable, "" if writable else "not writable; set STRETTO_CACHE")
    yield Check("disk", f"{size(free)} free", None if free < _LITTLE else True, "models need up to 2 GB")


def packages() -> Iterator[Check]:
    """The packages that are needed, and the optional ones."""
    for name in REQUIRED:
        found = _version(name)
        yield Check(name, found or "missing", bool(found), "" if found else "pip install stretto")
    for name, extra in OPTIONAL.items():
        found = _version(name)
        hint = "" if found else f'pip install "stretto[{extra}]"'
        yield Check(name, found or "not installed", True if found else None, hint)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def models() -> Iterator[Check]:
    """The local models that are pulled."""
    here = cache.installed_names()
    yield Check("local models", ", ".join(here) or "none")
    missing = [name for name in DEFAULTS if name not in here]
    if missing:
        yield Check("not pulled", ", ".join(missing), None, "stretto models pull --default")


def project_and_endpoints() -> Iterator[Check]:
    """The project file, the keys that are set, and whether the endpoints answer."""
    try:
        project = find_project()
    except StrettoError as error:
        yield Check("project", str(error), False)
        return
    file = project.root / PROJECT_FILE
    found = file.is_file()
    hint = "" if found else "stretto new FOLDER makes one"
    yield Check("project", str(file) if found else "none here", True if found else None, hint)
    for name, pool in project.file.pools.items():
        members = ", ".join(member_file(member).model for member in pool.members)
        yield Check(f"{POOL}{name}", members, hint=f"stretto models probe {POOL}{name}")
    configured = list(_configured(project))
    names = dict.fromkeys([*KEYS, *(model.api_key_env for model in configured if model.api_key_env)])
    for name in names:
        needed = name not in KEYS
        is_set = bool(os.environ.get(name))
        ok = is_set if needed else (True if is_set else None)
        yield Check(f"key {name}", "set" if is_set else "not set", ok)
    addresses = [os.environ.get("STRETTO_BASE_URL"), *(model.base_url for model in configured)]
    for address in dict.fromkeys(filter(None, addresses)):
        yield endpoint(address)


def _configured(project: Project) -> Iterator[ModelFile]:
    models = project.file.models
    for model in (models.chat, models.vision):
        if isinstance(model, ModelFile):
            yield model
    for pool in project.file.pools.values():
        yield from map(member_file, pool.members)


def endpoint(address: str) -> Check:
    """Whether anything answers HTTP at `address`; it is asked without a key."""
    name = "endpoint " + redact(address)
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        return Check(name, "not an http or https address", False)
    try:
        with urllib.request.urlopen(address.rstrip("/") + "/models", timeout=_SECONDS) as answer:
            return Check(name, f"answers ({answer.status})", True)
    except urllib.error.HTTPError as error:
        return Check(name, f"answers ({error.code})", error.code < 500)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Check(name, f"does not answer: {redact(str(reason))}", False, "is the server running?")


def show(checks: list[Check]) -> None:
    """As a table, for people."""
    from rich.table import Table  # noqa: PLC0415 (only for people)
    from rich.text import Text  # noqa: PLC0415 (only for people)

    marks = {True: "[green]ok[/]", False: "[red]no[/]", None: ""}
    table = Table("", "what", "found", "to do", box=None, pad_edge=False)
    for check in checks:
        hint = "" if check.ok else check.hint
        table.add_row(marks[check.ok], Text(check.name), Text(check.value), Text(hint))
    console().print(table)
