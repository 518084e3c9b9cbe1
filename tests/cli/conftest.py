"""Commands set logging up for their process; here they share one."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("stretto")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], _, _ = before
    root.setLevel(before[1])
    ours.setLevel(before[2])
