"""The Python of docs/output.md and docs/caching.md runs as it stands, block after block."""

import ast
import re
from pathlib import Path

import pytest

from stretto.testing import ScriptedModel

ROOT = Path(__file__).resolve().parents[2]
INVOICE = (
    '{"number": "R-7", "lines": [{"name": "bell", "price": 9}, {"name": "pump", "price": 29.5}], "note": ""}'
)


@pytest.mark.parametrize(("name", "before", "answer"), [
    ("output", "", INVOICE),
    ("caching", "from stretto import Agent", "Three years."),
])  # fmt: skip
async def test_its_blocks_run(
    name: str, before: str, answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / f"{name}.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert blocks
    names = {"model": ScriptedModel(otherwise=lambda _: answer), "__name__": __name__}
    for number, code in enumerate([before, *blocks]):
        compiled = compile(code, f"{name}.md block {number}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running = eval(compiled, names)
        if running is not None:
            await running
    for made in ("agent", "cached"):
        if made in names:
            await names[made].close()
    assert name != "output" or "'pump'" in capsys.readouterr().out
