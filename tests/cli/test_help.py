"""`--help` of every verb teaches with examples, at once: it loads nothing that only the verb's work needs."""

import subprocess
import sys

import pytest

from stretto.cli.main import VERBS, main

HEAVY = [
    *("langgraph", "langchain_core", "openai", "chromadb", "numpy", "onnxruntime", "PIL", "aiohttp"),
    *("tantivy", "tokenizers", "pydantic", "rich", "yaml", "stretto.graph.ground", "stretto.agent.agent"),
]
BAR = 200.0  # milliseconds of CPU
TIMED = """
import io, sys, time
from contextlib import redirect_stdout
start = time.process_time()
with redirect_stdout(io.StringIO()) as out:
    from stretto.cli.main import main
    code = main({given!r})
print(code, 1000 * (time.process_time() - start), *set({heavy!r}) & set(sys.modules))
"""

COMMANDS = [[verb] for verb in VERBS] + [["models", "probe"], ["kb", "search"]]


def fresh(given: list[str]) -> list[str]:
    """In a process of its own: the exit code, CPU in ms, and what heavy is loaded."""
    code = TIMED.format(given=[*given, "--help"], heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("given", COMMANDS, ids=" ".join)
def test_help_loads_nothing_heavy_and_costs_less_than_200_ms_of_cpu(given: list[str]) -> None:
    """Up to 15 processes, as other work slows them down; the interpreter's own start left out."""
    costs: list[float] = []
    while len(costs) < 15 and min(costs, default=BAR) >= BAR:
        exit_code, cost, *loaded = fresh(given)
        costs.append(float(cost))
        assert (exit_code, loaded) == ("0", [])
    assert min(costs) < BAR, f"{min(costs):.0f} ms"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_teaches_with_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert "examples:" in out and f"  stretto {verb}" in out


def test_probing_teaches_with_examples_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "probe", "--help"]) == 0
    out = capsys.readouterr().out
    assert "stretto models probe pool:chat" in out and "--base-url" in out and "--timeout" in out
