"""`scripts/bench.py` runs every benchmark and shows which bars hold."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench.py"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, looking at an empty folder."""
    spec = importlib.util.spec_from_file_location("stretto_tests_bench", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "benchmarks").mkdir()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


def benchmark(bench: ModuleType, name: str, *, value: float, limit: float) -> None:
    bar = {"name": "cpu_ms", "value": value, "limit": limit, "holds": value <= limit}
    report = json.dumps({"benchmark": name, "figures": {"cpu_ms": value, "turns": 12}, "bars": [bar]})
    (bench.ROOT / "benchmarks" / f"{name}.py").write_text(f"print('working')\nprint({report!r})\n")


def test_bars_that_hold_end_with_0(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark(bench, "turn", value=3.21, limit=4)
    assert bench.main([]) == 0
    text = capsys.readouterr().out
    assert "3.21" in text and "turns" in text and "yes" in text


def test_a_bar_that_does_not_hold_ends_with_1(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark(bench, "turn", value=5.0, limit=4)
    assert bench.main([]) == 1


@pytest.mark.parametrize("source", ["raise SystemExit(3)", "print('no report')", "print('[1]')"])
def test_a_benchmark_without_a_report_is_shown_and_ends_with_1(
    bench: ModuleType, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (bench.ROOT / "benchmarks" / "odd.py").write_text(source)
    assert bench.main([]) == 1
    assert "odd" in capsys.readouterr().out


def test_names_choose_and_shared_code_is_not_run(
    bench: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark(bench, "turn", value=1, limit=2)
    benchmark(bench, "start", value=3, limit=2)
    benchmark(bench, "_shared", value=3, limit=2)
    benchmark(bench, "benchmarks_shared", value=3, limit=2)
    assert bench.main(["tur"]) == 0
    assert bench.main(["shared"]) == 1, "nothing was run"


SCRIPTS = sorted(
    path.name for path in (SCRIPT.parents[1] / "benchmarks").glob("*.py") if "__main__" in path.read_text()
)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_benchmark_finds_what_it_measures(name: str) -> None:
    command = [sys.executable, str(SCRIPT.parents[1] / "benchmarks" / name), "--help"]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 0 and "--json" in told.stdout, told.stderr


@pytest.mark.slow
def test_the_cost_of_a_query_is_measured_for_every_case() -> None:
    """Played whole, for a small base: `--help` does not see whether the search is called as it wants."""
    script = SCRIPT.parents[1] / "benchmarks" / "retrieval_cost.py"
    command = [sys.executable, str(script), "--json", "--chunks", "200", "--queries", "2"]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode in (0, 1), told.stderr  # whether the bars hold is not asked here
    bars = json.loads(told.stdout.splitlines()[-1])["bars"]
    assert [bar["name"].rpartition("chunks, ")[2] for bar in bars][:2] == ["alone", "filter half"]
    assert len(bars) == 9
