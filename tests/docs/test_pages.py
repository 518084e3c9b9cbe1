"""The Python of the pages in docs/ runs as in a notebook: block after block, with `await` at the top."""

import ast
import asyncio
import re
from pathlib import Path

import pytest

from stretto.testing import ScriptedModel

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = {
    path.stem: found
    for path in sorted((ROOT / "docs").glob("*.md"))
    if (found := re.findall(r"^```python\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL))
}
ANSWERS = {
    "output": '{"number": "R-7", "note": "", '
    '"lines": [{"name": "bell", "price": 9}, {"name": "pump", "price": 29.5}]}',
    "caching": "Three years.",
    "threads": "On Sunday it is closed.",
    "media": "A red bell.",
    "memory": '{"facts": [{"name": "allergy", "text": "Must not eat nuts.", "kind": "fact"}]}',
}
"""What the page's `model` says."""


@pytest.mark.parametrize("page", BLOCKS)
async def test_the_code_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"model": ScriptedModel(otherwise=lambda _: ANSWERS.get(page, "Well.")), "__name__": __name__}
    async with asyncio.timeout(60):
        for number, code in enumerate(BLOCKS[page], 1):
            compiled = compile(code, f"{page}.md block {number}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            running = eval(compiled, names)
            if running is not None:
                await running
    for made in ("agent", "cached"):
        if made in names:
            await names[made].close()


def test_there_is_code_to_run() -> None:
    known = {
        "budgets",
        "caching",
        "endings",
        "history",
        "ingest",
        "journal",
        "memory",
        "media",
        "output",
        "pool",
        "runs",
    }
    assert known <= set(BLOCKS)
