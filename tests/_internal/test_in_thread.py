"""Synchronous code runs beside the loop, with its context, and hangs at nobody's cost."""

import asyncio
import threading
from contextvars import ContextVar

import pytest

from stretto._internal.in_thread import in_thread

WHO: ContextVar[str] = ContextVar("who", default="nobody")


async def test_it_gives_what_the_call_returns_with_the_context_of_the_caller() -> None:
    WHO.set("anna")
    assert await in_thread(WHO.get, name="x") == "anna"


async def test_what_the_call_sets_stays_in_its_thread() -> None:
    await in_thread(lambda: WHO.set("ben"), name="x")
    assert WHO.get() == "nobody"


async def test_it_raises_what_the_call_raises() -> None:
    def fails() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await in_thread(fails, name="x")


async def test_many_that_hang_hold_up_no_other() -> None:
    release, begun = threading.Event(), threading.Semaphore(0)

    def hang() -> None:
        begun.release()
        release.wait()

    hanging = [asyncio.create_task(in_thread(hang, name="x")) for _ in range(50)]
    for _ in hanging:
        await in_thread(begun.acquire, name="x")
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    assert await in_thread(lambda: "quick", name="x") == "quick"
    release.set()


def test_an_end_after_the_loop_is_closed_disturbs_nobody() -> None:
    release, threads = threading.Event(), set(threading.enumerate())

    async def leave() -> None:
        task = asyncio.create_task(in_thread(release.wait, name="late"))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    release.set()
    for thread in set(threading.enumerate()) - threads:
        thread.join(5)
        assert not thread.is_alive()
