"""What README.md and the other texts tell people to type works: code, commands, `make` verbs, links."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from stretto.cli.main import parser

ROOT = Path(__file__).resolve().parents[2]
SMALL = "local:smollm2-135m"
_LISTED = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
TEXTS = sorted(
    ROOT / name
    for name in subprocess.run(_LISTED, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
)
IDS = [str(path.relative_to(ROOT)) for path in TEXTS]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def commands(path: Path) -> Iterator[list[str]]:
    """The words of each command of the console blocks, without variables set before it."""
    for block in blocks(path, "console"):
        for line in block.splitlines():
            for part in re.split(r"\s+(?:&&|\|)\s+", line.removeprefix("$ ")):
                words = shlex.split(part, comments=True)
                while words and ASSIGNMENT.fullmatch(words[0]):
                    words.pop(0)
                if words:
                    yield words


def verbs_of_make() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def receipt(path: Path) -> None:
    """A small picture with a total on it."""
    picture = Image.new("RGB", (360, 200), "white")
    draw = ImageDraw.Draw(picture)
    for line, text in enumerate(("RECEIPT", "1 bell   9.00", "1 pump  29.50", "TOTAL   38.50 EUR")):
        draw.text((20, 20 + 40 * line), text, fill="black", font_size=28)
    picture.save(path)


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute on a quiet machine
@pytest.mark.model("smollm2-135m", "minilm")
def test_every_python_block_of_the_readme_runs_in_order(tmp_path: Path) -> None:
    receipt(tmp_path / "receipt.png")
    found = blocks(ROOT / "README.md", "python")
    assert len(found) >= 4
    hidden = ("STRETTO_MODEL", "STRETTO_BASE_URL", "STRETTO_EMBEDDER")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    for number, code in enumerate(found, 1):
        file = tmp_path / f"block_{number}.py"
        file.write_text(re.sub(r"local:qwen[\w.-]+", SMALL, code), "utf-8")
        child = subprocess.run(
            [sys.executable, "-W", "error", file.name],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert child.returncode == 0, f"block {number} of README.md:\n{code}\n{child.stderr}"
        assert child.stdout.strip(), f"block {number} of README.md prints nothing"


@pytest.mark.parametrize("path", TEXTS, ids=IDS)
def test_every_command_of_a_text_is_one_that_we_have(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in commands(path):
        program, *given = words
        if Path(program).name == "stretto":
            verb = next((word for word in given if not word.startswith("-")), None)
            try:
                parser(verb).parse_args(given)
            except SystemExit as end:
                assert end.code == 0, f"{shlex.join(words)}: {capsys.readouterr().err}"
        elif program == "make":
            assert set(given) <= verbs_of_make(), shlex.join(words)


@pytest.mark.parametrize("path", TEXTS, ids=IDS)
def test_every_make_verb_that_a_text_names_is_there(path: Path) -> None:
    named = set(re.findall(r"`make ([a-z]+)`", path.read_text("utf-8")))
    assert named <= verbs_of_make()


@pytest.mark.parametrize("path", TEXTS, ids=IDS)
def test_every_link_of_a_text_leads_to_a_file(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    inside = [link.partition("#")[0] for link in LINK.findall(text) if not re.match(r"[a-z]+:|#", link)]
    assert [link for link in inside if not (path.parent / link).exists()] == []


def test_the_readme_has_commands_and_links_to_hold() -> None:
    readme = ROOT / "README.md"
    programs = {Path(words[0]).name for words in commands(readme)}
    assert {"make", "stretto"} <= programs
    assert len(LINK.findall(readme.read_text("utf-8"))) >= 3
    assert {"install", "demo", "test", "check", "bench", "faults", "docs"} <= verbs_of_make()


@pytest.mark.parametrize(
    "line", ["stretto run desk", "stretto kb find x", "stretto chat --color red", "stretto sing"]
)
def test_a_command_that_we_do_not_have_is_seen(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.md"
    text.write_text(f"```console\nSTRETTO_MODEL=x {line}\n```\n")
    with pytest.raises(AssertionError, match="stretto"):
        test_every_command_of_a_text_is_one_that_we_have(text, capsys)
