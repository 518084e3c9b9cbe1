"""What verbs print: JSON for programs, a console for people. Knows no verb."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from stretto._internal.pace import Pace, spelled
from stretto.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

_EVERY = 10.0


def print_json(value: Any) -> None:
    """One value as JSON on stdout, in one line; our plain types are written by their fields."""
    import msgspec  # noqa: PLC0415 (45 ms of CPU that `--help` does not need)

    sys.stdout.write(msgspec.json.encode(value, enc_hook=str).decode() + "\n")


def as_plain(value: Any) -> Any:
    """What JSON has no form for: a pydantic model as its fields, all else as text."""
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)


def console(*, error: bool = False) -> "Console":
    """A rich console on stdout (or stderr), as wide as the terminal; 100 columns where there is none."""
    from rich.console import Console  # noqa: PLC0415 (70 ms of CPU that `--help` and `--json` do not need)

    stream = sys.stderr if error else sys.stdout
    return Console(stderr=error, width=None if stream.isatty() else 100)


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether a person says yes to a question; `yes` where they said so before.

    Raises:
        ConfigError: Nobody is there to answer.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigError(f"{question} Type it again with --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def size(count: float) -> str:
    """Bytes for people: `478 MB`."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def progress(unit: str = "") -> Callable[[int, int, str], None]:
    """Shows (done, total, what) on stderr: one line that changes; without a terminal a line every 10 s.

    Where `unit` names what is counted, with how many are done a second and how long the rest will take.
    """
    last, pace = time.monotonic(), Pace()

    def paced(done: int, total: int) -> str:
        rate, left = pace.at(done, total)
        if not unit or not rate:
            return ""
        speed = f"{rate:.0f} {unit}/s" if rate >= 10 else f"{rate:.1f} {unit}/s"
        return f"  {speed}, {spelled(left)} left" if left else f"  {speed}"

    def tell(done: int, total: int, what: str) -> None:
        nonlocal last
        share = (f"{100 * done / total:3.0f} %" if total else "     ") + paced(done, total)
        if sys.stderr.isatty():
            end = "" if done < total else "\r\033[K"
            print(f"\r\033[K  {share}  {what[:70]}", end=end, file=sys.stderr, flush=True)
        elif time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            print(f"  {share}  {what}", file=sys.stderr, flush=True)

    return tell
