"""Plays the turn of `benchmarks/turn.py` on other frameworks, each in an environment of its own.

    .venv/bin/python scripts/peers.py [NAME...] [--turns N] [--cache FOLDER] [--json]

Makes the environments on the first run (minutes, some 100 MB each), by default in `~/.cache/stretto/peers`.
No test and no other benchmark runs it. A peer that cannot be installed, or whose text is not exact, is void.
"""

import argparse
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"
PEERS = {
    "langchain_agent": ("langchain>=1.5,<2", "langchain-openai>=1.7,<2"),
    "openai_agents": ("openai-agents>=0.24,<0.25",),
    "pydantic_agent": ("pydantic-ai-slim[openai]>=2,<3",),
    "llama_index_agent": ("llama-index-core>=0.14,<0.15", "llama-index-llms-openai-like"),
    "agno_agent": ("agno>=3,<4", "openai"),
}
"""The files of `benchmarks/peers`, and what each needs installed."""


def python_of(name: str, cache: Path) -> Path:
    """The interpreter of the peer's environment, made where it is missing."""
    folder = cache / name
    python = folder / "bin" / "python"
    done = folder / "requirements.txt"
    wanted = "\n".join(PEERS[name])
    if not done.exists() or done.read_text() != wanted:
        print(f"{name}: installing {', '.join(PEERS[name])}", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PEERS[name]], check=True, stdout=sys.stderr)
        done.write_text(wanted)
    return python


def measured(name: str, url: str, turns: int, cache: Path) -> dict[str, Any]:
    """The peer's figures, or why there are none."""
    try:
        python = python_of(name, cache)
    except (OSError, subprocess.CalledProcessError) as error:
        return {"void": f"cannot be installed: {error}"}
    child = subprocess.run(
        [python, BENCHMARKS / "peers" / f"{name}.py", url, str(turns)],
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS), "AGNO_TELEMETRY": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = child.stdout.strip().splitlines()
    if child.returncode or not lines:
        return {"void": (child.stderr.strip().splitlines() or ["no output"])[-1]}
    return json.loads(lines[-1])


def stretto_figure(turns: int) -> dict[str, Any]:
    """Ours, from `turn.py` on the same machine in the same minutes."""
    rows = ["--rows", "bare,stretto", "--at-once", "1", "--turns", str(turns), "--json"]
    child = subprocess.run(
        [sys.executable, BENCHMARKS / "turn.py", *rows], capture_output=True, text=True, check=False
    )
    found: dict[str, float] = json.loads(child.stdout.strip().splitlines()[-1])["figures"]
    return {name.split(",")[0]: {"ms": value} for name, value in found.items()}


def main() -> int:
    """Runs the peers and prints a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PEERS)}; all where empty")
    parser.add_argument("--turns", type=int, default=10, help="turns a round")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "stretto" / "peers")
    parser.add_argument("--json", action="store_true", help="print the last line only")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in PEERS]
    if unknown:
        parser.error(f"no peer is called {unknown[0]!r}; there are {', '.join(PEERS)}")
    figures = stretto_figure(max(given.turns, 50))
    script = BENCHMARKS / "servers" / "turn_server.py"
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        for name in given.names or PEERS:
            figures[name] = measured(name, url, given.turns, given.cache)
        server.terminate()
    if not given.json:
        for name, found in figures.items():
            times = f"{found['ms'] / figures['stretto']['ms']:6.1f} x" if "ms" in found else ""
            print(f"{name:<20} {found.get('ms', 'void'):>8} {times:>9}  {found.get('void', '')}")
    print(json.dumps({"benchmark": "peers", "figures": figures, "bars": []}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
