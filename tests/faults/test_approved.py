"""An approval that was given stays given when the process is killed inside its tool."""

from pathlib import Path
from typing import Any

import pytest

PLAYER = Path(__file__).parent / "approved.py"


@pytest.mark.slow
@pytest.mark.parametrize("effect", ["none", "idempotent"])
async def test_an_approval_given_before_a_kill_inside_its_tool_is_not_asked_again(
    effect: str, playing: Any, tmp_path: Path
) -> None:
    case: dict[str, Any] = {
        "threads": str(tmp_path / "t.sqlite"),
        "log": str(tmp_path / "log"),
        "effect": effect,
        "url": "http://127.0.0.1:9",
        "knows": True,
    }
    async with playing(PLAYER) as play:
        asked = await play({**case, "step": "ask"})
        assert list(asked.get("questions", [])) == ["c1"], asked
        assert await play({**case, "step": "answer", "die": True}) == {"killed": True}
        told = await play({**case, "step": "resume"})
    assert told == {"output": "Done.", "questions": {}, "by": ["ada"]}, told
    assert Path(case["log"]).read_text().splitlines().count("inside ann") == 2


@pytest.mark.slow
async def test_an_approved_call_of_a_once_tool_that_was_killed_goes_to_a_person(
    playing: Any, tmp_path: Path
) -> None:
    case: dict[str, Any] = {
        "threads": str(tmp_path / "t.sqlite"),
        "log": str(tmp_path / "log"),
        "effect": "once",
        "url": "http://127.0.0.1:9",
        "knows": True,
    }
    async with playing(PLAYER) as play:
        await play({**case, "step": "ask"})
        assert await play({**case, "step": "answer", "die": True}) == {"killed": True}
        told = await play({**case, "step": "resume"})
    (question,) = told["questions"].values()
    assert "not known" in question["uncertain"], question
    assert Path(case["log"]).read_text().splitlines().count("inside ann") == 1
