"""`scripts/install.py` sets up once, and tells an old Python what is wrong in a sentence."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "install.py"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, working in an empty folder with a pyproject.toml."""
    spec = importlib.util.spec_from_file_location("stretto_tests_install", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "LOG", tmp_path / ".venv" / "install.log")
    return module


@pytest.fixture
def calls(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What pip is asked for; nothing is installed."""
    seen: list[tuple[str, ...]] = []
    monkeypatch.setattr(install, "make_environment", lambda: install.VENV.mkdir(exist_ok=True))
    monkeypatch.setattr(install, "pip", lambda *arguments: seen.append(arguments))
    return seen


def run(install: ModuleType, monkeypatch: pytest.MonkeyPatch, *extras: str) -> None:
    monkeypatch.setattr(sys, "argv", ["install.py", *extras])
    install.main()


def test_a_second_run_does_nothing(
    install: ModuleType, calls: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(install, monkeypatch, "local", "dev")
    run(install, monkeypatch, "local", "dev")
    run(install, monkeypatch, "local")
    assert calls == [("-e", ".[dev,local]")]


def test_more_extras_and_other_dependencies_are_installed(
    install: ModuleType, calls: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(install, monkeypatch, "local")
    run(install, monkeypatch, "local", "dev")
    (install.ROOT / "pyproject.toml").write_text("[project]\ndependencies = ['x']\n")
    run(install, monkeypatch, "local")
    assert calls == [("-e", ".[local]"), ("-e", ".[dev,local]"), ("-e", ".[local]")]


def test_an_old_python_gets_a_sentence(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "OLDEST", (99, 0))
    with pytest.raises(SystemExit, match=r"Stretto needs Python 3\.11 or newer.*make PYTHON="):
        run(install, monkeypatch, "local")


def test_python_3_6_can_read_it() -> None:
    ast.parse(SCRIPT.read_text(), feature_version=(3, 6))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Collecting aiohttp>=3.14 (from stretto==0.1.0)", "finding aiohttp>=3.14"),
        ("  Downloading numpy-2.3.0-cp311-cp311-linux_x86_64.whl (16.0 MB)", "downloading numpy"),
        ("Installing collected packages: a, b, c", "installing 3 packages"),
        ("Requirement already satisfied: pip", ""),
    ],
)
def test_what_pip_says_is_told_in_few_words(install: ModuleType, line: str, says: str) -> None:
    assert install.progress(line.strip()) == says


def test_an_environment_of_another_folder_is_made_anew(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A moved clone: the scripts in `.venv/bin` still name the old place."""
    made: list[list[str]] = []

    def record(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        made.append(command)
        return subprocess.CompletedProcess(command, 0, sys.version + "\n")

    monkeypatch.setattr(install.subprocess, "run", record)
    (install.VENV / "bin").mkdir(parents=True)
    (install.VENV / "bin" / "python").touch()
    install.make_environment()
    assert [command[1] for command in made] == ["-c"], "asked for its version, and kept"
    (install.VENV / ".made-in").write_text("/elsewhere")
    install.make_environment()
    assert made[-1][1:3] == ["-m", "venv"]
    assert (install.VENV / ".made-in").read_text() == str(install.ROOT)
