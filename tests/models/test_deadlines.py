import asyncio

import pytest

from stretto.models.deadlines import NEVER, TAIL, Deadlines
from stretto.settings import ModelSettings


class Progress:
    def __init__(self, *, moved=False, finished=False):
        self.moved = moved
        self.finished = finished


async def until(closed):
    async with asyncio.timeout(2):
        await closed.wait()


async def test_the_first_token_is_awaited_then_the_next_content_and_never_past_the_whole():
    now = asyncio.get_running_loop().time()
    deadlines = Deadlines(ModelSettings(first_token=2.0, idle=3.0, timeout=4.0), "`m`")
    assert (deadlines.at - now, deadlines.which) == (pytest.approx(2.0, abs=0.1), "first_token")
    deadlines.heard()
    assert (deadlines.at - now, deadlines.which) == (pytest.approx(3.0, abs=0.1), "idle")
    late = Deadlines(ModelSettings(first_token=9.0, timeout=4.0), "`m`")
    assert (late.at - now, late.which) == (pytest.approx(4.0, abs=0.1), "total")
    late.heard()
    assert late.which == "total"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (ModelSettings(first_token=0.02), r"`m` sent no content within 0\.02 s; raise `first_token`"),
        (ModelSettings(timeout=0.02), r"`m` did not finish within 0\.02 s; raise `timeout`"),
    ],
)
async def test_it_closes_once_and_says_why(settings, words):
    closed = asyncio.Event()
    deadlines = Deadlines(settings, "`m`")
    deadlines.guard(closed.set)
    await until(closed)
    assert deadlines.expired
    error = deadlines.error("what came")
    assert error.partial == "what came"
    assert error.deadline == deadlines.which
    with pytest.raises(type(error), match=words):
        raise error


async def test_content_moves_it_and_nothing_else_does():
    closed = asyncio.Event()
    deadlines = Deadlines(ModelSettings(first_token=30.0, idle=0.05), "`m`")
    deadlines.guard(closed.set)
    deadlines.after(Progress())
    assert deadlines.which == "first_token"
    progress = Progress(moved=True)
    deadlines.after(progress)
    assert (deadlines.which, progress.moved) == ("idle", False)
    await until(closed)
    assert deadlines.error().deadline == "idle"


async def test_nothing_rings_while_the_consumer_has_a_piece(clock):
    closed = asyncio.Event()
    deadlines = Deadlines(ModelSettings(first_token=5.0, idle=5.0), "`m`")
    deadlines.guard(closed.set)
    deadlines.pause()
    assert deadlines.at == NEVER
    await clock.forward(6.0)  # the timer rings, and finds nothing to do
    assert not closed.is_set()
    deadlines.after(Progress(moved=True))
    await clock.forward(4.0)
    assert not closed.is_set()
    await clock.forward(2.0)
    assert closed.is_set()


async def test_the_end_is_awaited_for_a_short_time_only():
    now = asyncio.get_running_loop().time()
    deadlines = Deadlines(ModelSettings(), "`m`")
    deadlines.after(Progress(moved=True, finished=True))
    first = deadlines.at
    assert first - now == pytest.approx(TAIL, abs=0.1)
    deadlines.after(Progress(finished=True))
    assert deadlines.at == first, "pings behind the end do not prolong it"


async def test_a_timer_that_was_stopped_is_gone(clock):
    closed = asyncio.Event()
    deadlines = Deadlines(ModelSettings(timeout=5.0), "`m`")
    deadlines.guard(closed.set)
    deadlines.stop()
    deadlines.stop()
    await clock.forward(6.0)
    assert not closed.is_set()
