"""Runs every benchmark of `benchmarks/` and prints one table of their bars. Knows none of them by name.

Each prints one line last:
`{"benchmark": ..., "figures": {...}, "bars": [{"name", "value", "limit", "holds"}]}`.
Ends with 1 when a benchmark fails or a bar does not hold.

    .venv/bin/python scripts/bench.py [NAME...]      all of them, or those whose file name holds a NAME
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent


def run(path: Path) -> dict[str, Any]:
    """What the benchmark printed last, or an `error`."""
    child = subprocess.run(
        [sys.executable, str(path), "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    lines = child.stdout.strip().splitlines()
    try:
        report = json.loads(lines[-1])
        return report if isinstance(report, dict) else {"error": "its last line is not an object"}
    except (IndexError, ValueError):
        return {"error": f"it ended with {child.returncode} and no report"}


def shown(value: Any) -> str:
    """A figure, short."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def rows(name: str, report: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """The table's lines for one benchmark: its bars, then the figures that no bar speaks of."""
    if "error" in report:
        return [(name, report["error"], "", "", "[red]no[/]")]
    bars = report.get("bars", [])
    lines = [
        (name, bar["name"], shown(bar["value"]), shown(bar["limit"]), "yes" if bar["holds"] else "[red]no[/]")
        for bar in bars
    ]
    told = {bar["name"] for bar in bars}
    return lines + [
        (name, key, shown(value), "", "")
        for key, value in report.get("figures", {}).items()
        if key not in told and not isinstance(value, dict | list)
    ]


def main(names: list[str]) -> int:
    """Runs them and prints the table; returns the exit code."""
    paths = sorted(
        p for p in (ROOT / "benchmarks").glob("*.py") if not p.name.startswith(("_", "benchmarks_"))
    )
    paths = [p for p in paths if not names or any(name in p.stem for name in names)]
    table = Table("benchmark", "figure", "value", "limit", "holds", title="Benchmarks")
    holds = bool(paths)
    for path in paths:
        print(f"{path.stem} ...", flush=True)
        start = time.monotonic()
        report = run(path)
        print(f"{path.stem}: {time.monotonic() - start:.0f} s", flush=True)
        holds = holds and "error" not in report and all(bar["holds"] for bar in report.get("bars", []))
        for row in rows(path.stem, report):
            table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
