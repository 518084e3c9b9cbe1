"""The Python of the pages in docs/ runs, as it would in a notebook: with `await` at the top."""

import ast
import asyncio
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = [
    pytest.param(code, id=f"{path.name}-{number}")
    for path in sorted((ROOT / "docs").glob("*.md"))
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL), 1
    )
]


@pytest.mark.parametrize("code", BLOCKS)
async def test_the_code_of_a_page_runs(code):
    compiled = compile(code, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    async with asyncio.timeout(60):
        result = eval(compiled, {})
        if inspect.isawaitable(result):
            await result


def test_there_is_code_to_run():
    assert len(BLOCKS) >= 2
