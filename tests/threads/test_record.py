"""Events are kept before anyone sees them, also where the database cannot be used for a while."""

import logging
from pathlib import Path
from typing import Any

import pytest

from stretto.errors import ThreadConflict, ThreadError
from stretto.events import TextDelta
from stretto.graph import Conversation
from stretto.threads.record import Recorder, events_after
from stretto.threads.runs import Ticket
from stretto.threads.stores import open_store
from stretto.threads.turns import Turns


class Failing:
    """A database that cannot be used `times` times."""

    seal = None

    def __init__(self, inner: Any, times: int) -> None:
        self.inner, self.times = inner, times

    async def transact(self, work: Any, **options: Any) -> Any:
        self.times -= 1
        if self.times >= 0:
            raise ThreadError("held by others")
        return await self.inner.transact(work, **options)


async def test_events_that_could_not_be_kept_are_kept_with_the_next_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store("sqlite", tmp_path / "t.sqlite", Conversation) as saver:
        hold = await Turns(saver.file).arrive(Ticket("r", "t", "default", "agent", b"{}", True), "reject")
        recorder = Recorder(Failing(saver.file, 1), "r", lambda: None)
        with caplog.at_level(logging.WARNING, "stretto.threads"):
            for number in range(1, 4):
                recorder.add(TextDelta(number=number, text=str(number)))
            await recorder.close()
        assert "could not be kept: held by others" in caplog.text
        kept = [event.number async for event in events_after(saver.file, "r", 0)]
        assert kept == [1, 2, 3]
        await hold.end("done", lambda result: b"")


async def test_a_run_that_another_process_plays_or_that_was_deleted_gets_no_events(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path / "t.sqlite", Conversation) as saver:
        hold = await Turns(saver.file).arrive(Ticket("r", "t", "default", "agent", b"{}", True), "reject")
        await saver.file.transact(lambda c: c.execute("UPDATE runs SET owner = 'another'"))
        for run_id in ("r", "deleted"):
            recorder = Recorder(saver.file, run_id, lambda: None)
            recorder.add(TextDelta(number=1, text="late"))
            with pytest.raises(ThreadConflict, match="another process plays run"):
                await recorder.close()
            assert [event async for event in events_after(saver.file, run_id, 0)] == []
        await hold.end("done", lambda result: b"")
