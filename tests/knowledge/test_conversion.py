import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stretto.errors import DamagedMedia, MediaNotFound, MediaTooLarge, MissingExtra
from stretto.knowledge import KnowledgeBase
from stretto.knowledge.conversion import Conversion, _error
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.frames import Failed, Read
from stretto.knowledge.loaders.worker import bound_time
from stretto.testing.embedder import HashingEmbedder
from stretto.testing.office_files import docx


def order(data=b"<h1>Title</h1><p>Words.", name="a.html", limits=None, **given):
    return Read(name, given.pop("media_type", None), limits or IngestLimits(), data=data, **given)


async def test_one_process_reads_one_document_after_the_other():
    async with Conversion(IngestLimits()) as conversion:
        first = await conversion.read(order())
        pid = conversion.pid
        second = await conversion.read(order(docx([(1, "One"), "Words."]), "a.docx"))
        assert conversion.pid == pid != os.getpid()
    assert first.loaded.text == "# Title\n\nWords." and len(first.version) == 64
    assert second.loaded.headings[0].text == "One"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_short_plain_text_needs_no_process():
    async with Conversion(IngestLimits()) as conversion:
        read = await conversion.read(order(b"words", "a.txt", media_type="text/plain"))
        assert read.loaded.text == "words" and conversion.pid is None


async def test_an_error_keeps_its_class_and_its_sentence():
    async with Conversion(IngestLimits()) as conversion:
        with pytest.raises(DamagedMedia, match=r"`a\.html` is empty"):
            await conversion.read(order(b""))
        pid = conversion.pid
        with pytest.raises(MediaNotFound):
            await conversion.read(order(b"", path="/no/such/file.html"))
        assert conversion.pid == pid
    missing = _error(Failed("MissingExtra", 'it needs a package. Type: pip install "stretto[documents]"'))
    assert type(missing) is MissingExtra and missing.extra == "documents"
    assert type(_error(Failed("Surprise", "x"))) is DamagedMedia


@pytest.mark.slow
async def test_a_document_over_its_time_is_killed_and_the_next_one_read():
    limits = IngestLimits(seconds=1.0)
    async with Conversion(limits) as conversion:
        await conversion.read(order(limits=limits))
        pid = conversion.pid
        # The frame promises more bytes than are sent: the process waits, as a parser without an end would.
        conversion._child.stdin.write((1_000_000).to_bytes(8, "big"))
        with pytest.raises(MediaTooLarge, match="longer than 1 seconds"):
            await conversion.read(order(limits=limits))
        assert (await conversion.read(order(limits=limits))).loaded.title == "Title"
        assert conversion.pid != pid


@pytest.mark.skipif(sys.platform != "linux", reason="the address space is bounded there")
async def test_a_document_over_its_memory_is_refused_and_the_parent_lives():
    limits = IngestLimits(memory=400_000_000, characters=500_000_000)
    async with Conversion(limits) as conversion:
        with pytest.raises(MediaTooLarge, match="memory"):
            await conversion.read(order(b"[" + b'"x",' * 15_000_000 + b"1]", "a.json", limits))
        assert (await conversion.read(order(limits=limits))).loaded.title == "Title"


ORPHAN = """
import asyncio, os, sys
from stretto.knowledge.conversion import Conversion
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.frames import Read

async def main():
    conversion = Conversion(IngestLimits())
    await conversion.read(Read("a.html", None, IngestLimits(), data=b"<p>Words."))
    print(conversion.pid, flush=True)
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""


async def test_the_process_ends_with_its_parent():
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", ORPHAN, stdout=subprocess.PIPE)
    out, _ = await killed.communicate()  # ends when nobody holds the pipe any more, the child included
    assert killed.returncode == -9
    async with asyncio.timeout(20):
        while Path(f"/proc/{int(out)}").exists() and "Z" not in _state(int(out)):
            await asyncio.sleep(0.01)


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="there is no alarm")
async def test_a_process_whose_parent_is_gone_ends_at_its_limit_by_itself(monkeypatch):
    asked = []
    monkeypatch.setattr(signal, "alarm", asked.append)
    bound_time(1.5)
    bound_time(0)
    assert asked == [7, 0]


async def test_a_document_that_kills_its_process_is_set_aside():
    async with Conversion(IngestLimits()) as conversion:
        await conversion.read(order())
        os.kill(conversion.pid, 9)
        with pytest.raises(DamagedMedia, match="died"):
            await conversion.read(order())
        assert (await conversion.read(order())).loaded.title == "Title"


async def test_a_cancelled_reading_leaves_no_process():
    async with Conversion(IngestLimits()) as conversion:
        await conversion.read(order())
        pid = conversion.pid
        conversion._child.stdin.write((1_000_000).to_bytes(8, "big"))
        work = asyncio.create_task(conversion.read(order()))
        await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert conversion.pid is None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_nothing_is_imported_from_the_folder_we_stand_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "selectolax.py").write_text("raise SystemExit")
    (tmp_path / "msgspec.py").write_text("raise SystemExit")
    async with Conversion(IngestLimits()) as conversion:
        assert (await conversion.read(order())).loaded.title == "Title"


async def test_what_fails_is_set_aside_and_warnings_are_told(tmp_path):
    whole = docx([f"Paragraph {n} speaks of topic{n}." for n in range(200)])
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "cut.docx").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "docs" / "bad.docx").write_bytes(b"broken")
    (tmp_path / "docs" / "good.html").write_text("<p>Good words.")
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        report = await kb.add(tmp_path / "docs")
        assert sorted(report.added) == ["cut.docx", "good.html"]
        assert [source for source, _ in report.failed] == ["docs/bad.docx"]
        assert {key for key, _ in report.warnings} == {"cut.docx"}
        hit = (await kb.search("topic3", top_k=1))[0]
        assert hit.document.metadata["warnings"] and hit.chunk.taint == "file"
        assert hit.chunk.version == hit.document.version
