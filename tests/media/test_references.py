"""MediaReferences: counting, quota, sweeps, and kills at every step."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto._internal.sqlite_file import SqliteFile
from stretto.errors import MediaError, MediaNotFound, MediaQuotaExceeded
from stretto.media.ready import Ready, ReadyPictures
from stretto.media.references import DAY, Held, MediaReferences, Swept
from stretto.media.sqlite import SqliteStore
from stretto.media.store import DirectoryStore, reference_of
from stretto.media.thread_media import ThreadMedia
from stretto.threads.tables import prepare

TURN = """
import asyncio, os, signal, sys
from pathlib import Path
from stretto._internal.faults import listen
from stretto._internal.sqlite_file import SqliteFile
from stretto.errors import MediaError
from stretto.media.ready import ReadyPictures
from stretto.media.references import MediaReferences
from stretto.media.store import DirectoryStore
from stretto.media.thread_media import ThreadMedia
from stretto.threads.tables import prepare

folder, point = Path(sys.argv[1]), sys.argv[2]

def kill(at):
    if at == point:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    database = SqliteFile(folder / "t.sqlite", prepare=prepare, refusal=MediaError)
    store, references = DirectoryStore(folder / "media"), MediaReferences(database)
    old = ThreadMedia(lambda: store, ready=ReadyPictures(), references=references, thread_id="old")
    await old.put(b"of a thread that goes", "text/plain")
    turn = ThreadMedia(lambda: store, ready=ReadyPictures(), references=references, thread_id="t")
    listen(kill)
    print(await turn.put(b"what the turn keeps", "text/plain"), flush=True)
    free = await references.release("old")
    await references.sweep(store, older_than=-60, among=free)

asyncio.run(main())
"""
POINTS = [
    *("media.write.before", "media.write.after", "media.rename.before", "media.rename.after"),
    *("reference.before", "reference.after", "reference.release.before", "reference.release.after"),
    *("sweep.before", "media.delete.before", "media.delete.after", "sweep.after"),
]


class Clock:
    """The time of day, moved by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteFile]:
    file = SqliteFile(tmp_path / "threads.sqlite", prepare=prepare, refusal=MediaError)
    yield file
    file.close()


@pytest.fixture
def references(database: SqliteFile, clock: Clock) -> MediaReferences:
    return MediaReferences(database, clock=clock)


def held(data: bytes, kind: str = "text/plain") -> Held:
    return Held(reference_of(data), len(data), kind)


async def kept(store: DirectoryStore) -> set[str]:
    return {each.reference async for each in store.kept()}


async def test_a_thread_holds_each_content_once_however_often_it_is_said(references: MediaReferences):
    for _ in range(3):
        await references.hold("t", "ann", [held(b"one"), held(b"two", "image/png")])
    assert sorted(one.kind for one in await references.held("t")) == ["image/png", "text/plain"]
    assert await references.used("ann") == 6


async def test_what_threads_share_counts_once_and_is_free_when_the_last_lets_go(references: MediaReferences):
    await references.hold("a", "ann", [held(b"shared"), held(b"own")])
    await references.hold("b", "ann", [held(b"shared")])
    assert await references.used("ann") == len(b"shared") + len(b"own")
    assert [one.reference for one in await references.release("a")] == [reference_of(b"own")]
    assert await references.release("a") == []
    assert await references.release("b") == [held(b"shared")]
    assert await references.used("ann") == 0


async def test_a_fork_holds_what_its_thread_held(references: MediaReferences):
    await references.hold("a", "ann", [held(b"one"), held(b"two")])
    await references.copy("a", "b")
    await references.copy("a", "b")
    assert await references.release("a") == []
    assert len(await references.held("b")) == 2


async def test_more_than_a_statement_takes_is_looked_up(references: MediaReferences):
    all_ = [held(b"%d" % number) for number in range(1300)]
    await references.hold("t", "ann", all_[::2])
    free = await references.unheld([one.reference for one in all_])
    assert free == [one.reference for one in all_[1::2]]


async def test_a_sweep_drops_what_nobody_holds_once_it_is_old_enough(
    references: MediaReferences, store: DirectoryStore, clock: Clock
):
    wanted, left = await store.put(b"wanted", ""), await store.put(b"left", "")
    await references.hold("t", "ann", [held(b"wanted")])
    assert await references.sweep(store) == Swept(), "a turn may just be about to hold it"
    clock.ahead = DAY + 60
    assert await references.sweep(store) == Swept(1, 4)
    assert await references.sweep(store) == Swept()
    assert await kept(store) == {wanted}
    with pytest.raises(MediaNotFound):
        await store.read(left)


async def test_a_turn_that_puts_again_what_a_sweep_is_about_to_drop_keeps_it(
    references: MediaReferences, clock: Clock, tmp_path: Path
):
    class Overtaken(SqliteStore):
        async def delete(self, reference: str, *, before: float = inf) -> bool:
            await self.put(b"again", "")  # the sweep has found that nobody holds it
            return await super().delete(reference, before=before)

    times = Clock()
    store = Overtaken(tmp_path / "m.sqlite", clock=times)
    reference = await store.put(b"again", "")
    clock.ahead = times.ahead = 2 * DAY
    assert await references.sweep(store) == Swept()
    assert await store.read(reference) == b"again"


async def test_a_deleted_threads_media_go_at_once_when_asked(
    references: MediaReferences, store: DirectoryStore, clock: Clock
):
    await store.put(b"mine", "")
    await store.put(b"of a turn that plays", "")
    await references.hold("t", "ann", [held(b"mine")])
    clock.ahead = 61
    free = await references.release("t")
    assert await references.sweep(store, older_than=60, among=free) == Swept(1, 4)
    assert await kept(store) == {reference_of(b"of a turn that plays")}


async def test_what_is_swept_is_forgotten_in_memory_too(database: SqliteFile, store: DirectoryStore):
    ready = ReadyPictures()
    references = MediaReferences(database, ready=ready)
    reference = await store.put(b"picture", "")
    ready.keep(reference, (1, 0, 0), Ready("data:,x", "image/png", 1, 1, False))
    assert await references.sweep(store, older_than=-60) == Swept(1, 7)
    assert ready.find(reference, (1, 0, 0)) is None


async def test_a_quota_is_told_before_bytes_are_written(
    database: SqliteFile, store: DirectoryStore, tmp_path: Path
):
    references = MediaReferences(database, quota={"ann": 10})
    ann = ThreadMedia(
        lambda: store, ready=ReadyPictures(), references=references, thread_id="a", tenant="ann"
    )
    await ann.put(b"12345678", "")
    await ann.put(b"12345678", "")
    with pytest.raises(MediaQuotaExceeded, match=r"`ann` keeps 8 bytes.*3 more.*limit of 10") as caught:
        await ann.put(b"abc", "")
    assert (caught.value.used, caught.value.asked, caught.value.limit) == (8, 3, 10)
    assert not await store.has(reference_of(b"abc"))
    await ann.put(b"ab", "")
    other = ThreadMedia(
        lambda: store, ready=ReadyPictures(), references=references, thread_id="b", tenant="bob"
    )
    await other.put(b"as much as he likes", "")
    await references.release("a")
    await ann.put(b"abc", "")


async def test_puts_at_once_never_pass_the_quota(database: SqliteFile, store: DirectoryStore):
    references = MediaReferences(database, quota=30)

    async def put(number: int) -> bool:
        turn = ThreadMedia(lambda: store, ready=ReadyPictures(), references=references, thread_id=str(number))
        try:
            await turn.put(b"%010d" % number, "")
        except MediaQuotaExceeded:
            return False
        return True

    assert sum(await asyncio.gather(*(put(number) for number in range(12)))) == 3
    assert await references.used("default") == 30


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_at_any_step_leaves_no_reference_to_nothing(
    point: str, database: SqliteFile, tmp_path: Path
):
    (tmp_path / "killed").mkdir()
    child = subprocess.run(
        [sys.executable, "-c", TURN, str(tmp_path / "killed"), point],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert child.returncode == -9, child.stderr
    again = SqliteFile(tmp_path / "killed" / "t.sqlite", prepare=prepare, refusal=MediaError)
    store, references = DirectoryStore(tmp_path / "killed" / "media"), MediaReferences(again)
    for thread in ("old", "t"):
        for one in await references.held(thread):
            assert len(await store.read(one.reference)) == one.bytes
    if child.stdout:  # the turn was told that it is kept
        assert child.stdout.strip() in [one.reference for one in await references.held("t")]
    await references.release("old")
    await references.sweep(store, older_than=-60)
    assert await kept(store) == {one.reference for one in await references.held("t")}
    again.close()


@given(st.lists(st.tuples(st.sampled_from("hrcsp"), st.integers(0, 3), st.integers(0, 5)), max_size=25))
@settings(max_examples=40, deadline=None)
def test_whatever_threads_do_nothing_that_is_held_is_dropped(steps: list[tuple[str, int, int]]):
    async def play() -> None:
        with TemporaryDirectory() as folder:
            database = SqliteFile(Path(folder) / "t.sqlite", prepare=prepare, refusal=MediaError)
            store, references = DirectoryStore(Path(folder) / "media"), MediaReferences(database)
            holds: dict[str, set[str]] = {}
            for what, thread, number in steps:
                data = b"%d" % number
                mine = holds.setdefault(str(thread), set())
                if what == "h":
                    turn = ThreadMedia(
                        lambda: store, ready=ReadyPictures(), references=references, thread_id=str(thread)
                    )
                    mine.add(await turn.put(data, ""))
                elif what == "r":
                    await references.release(str(thread))
                    mine.clear()
                elif what == "c":
                    await references.copy(str(thread), str(number))
                    holds.setdefault(str(number), set()).update(mine)
                elif what == "s":
                    await references.sweep(store, older_than=-60)
                    assert await kept(store) == set().union(*holds.values())
                else:
                    await store.put(data, "")
            for thread, wanted in holds.items():
                assert {one.reference for one in await references.held(str(thread))} == wanted
                for reference in wanted:
                    await store.read(reference)
            database.close()

    asyncio.run(play())
