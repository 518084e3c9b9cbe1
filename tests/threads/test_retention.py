"""A retention says how much is kept, and refuses what would keep nothing."""

from typing import Any

import pytest

from stretto import Agent
from stretto.errors import ConfigError
from stretto.testing import ScriptedModel
from stretto.threads import Retention


@pytest.mark.parametrize("given", [{"threads": 0}, {"turns": -1}, {"checkpoints": 0}, {"turns": 1.5}])
def test_what_would_keep_nothing_is_refused_with_what_to_give(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(ConfigError, match=f"{name} is {given[name]}; give a whole number from 1, or None"):
        Retention(**given)


def test_without_arguments_all_threads_are_kept_with_their_latest_checkpoint() -> None:
    assert Retention() == Retention(threads=None, turns=None, checkpoints=1)


def test_another_thing_than_a_retention_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"retention is a `int`; give Retention\(threads="):
        Agent(model=ScriptedModel("x"), retention=100)  # type: ignore[arg-type]
