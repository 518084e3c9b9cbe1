"""The bridge runs coroutines on one loop of its own, from anywhere."""

import asyncio

import pytest

from stretto._internal.bridge import run_sync
from stretto.errors import ConfigError


async def loop_id() -> int:
    return id(asyncio.get_running_loop())


def test_two_calls_share_one_loop_so_that_sockets_stay_usable() -> None:
    assert run_sync(loop_id()) == run_sync(loop_id())


async def test_it_works_where_a_loop_is_already_running() -> None:
    assert run_sync(loop_id()) != id(asyncio.get_running_loop())


def test_an_error_comes_back_as_it_is() -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_sync(fail())


def test_a_call_that_would_wait_for_itself_is_refused() -> None:
    async def nothing() -> None:
        """Ends at once."""

    async def inner() -> None:
        run_sync(nothing())

    with pytest.raises(ConfigError, match="in async code await"):
        run_sync(inner())
