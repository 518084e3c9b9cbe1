"""A process that dies between any two writes leaves a consistent store, and the next add repairs it."""

import asyncio
import shutil
import subprocess
import sys

import pytest

from stretto import Document
from stretto.knowledge import KnowledgeBase
from stretto.knowledge.opened import acquire, release
from stretto.testing.embedder import HashingEmbedder

DIES = """
import asyncio, os, sys
from stretto import Document
from stretto.knowledge import KnowledgeBase
from stretto.knowledge import keyword, manifest
from stretto.knowledge.stores import chroma
from stretto.testing.embedder import HashingEmbedder

owner, name, when = {
    "expect": (manifest.Manifest, "expect", "after"),
    "vectors": (chroma.ChromaStore, "upsert", "after"),
    "keywords": (keyword.KeywordIndex, "commit", "before"),
    "manifest": (manifest.Manifest, "put", "before"),
    "cleaning": (manifest.Manifest, "put", "after"),
    "deleting": (chroma.ChromaStore, "delete", "after"),
}[sys.argv[2]]
real = getattr(owner, name)

def dying(self, *args, **kwargs):
    if when == "after":
        real(self, *args, **kwargs)
    os.kill(os.getpid(), 9)

async def main():
    async with KnowledgeBase(sys.argv[1], embedder=HashingEmbedder()) as kb:
        setattr(owner, name, dying)
        newer = Document(id="a", text="The newer text speaks of parental leave.")
        await kb.add(newer, Document(id="b", text="A second."))

asyncio.run(main())
"""


@pytest.mark.parametrize("place", ["expect", "vectors", "keywords", "manifest", "cleaning", "deleting"])
async def test_a_kill_leaves_either_the_old_or_the_new_text_and_the_next_add_repairs(tmp_path, place):
    folder = tmp_path / "kb"
    async with KnowledgeBase(folder, embedder=HashingEmbedder()) as kb:
        await kb.add(Document(id="a", text="The older text speaks of a warranty."))
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", DIES, str(folder), place], timeout=60
    )
    assert done.returncode == -9
    newer = place in ("cleaning", "deleting")
    async with KnowledgeBase(folder, embedder=HashingEmbedder()) as kb:
        for question in ("warranty", "parental leave"):
            texts = {hit.document.id: hit.text for hit in await kb.search(question)}
            assert ("parental" in texts["a"]) == newer and ("b" in texts) == newer
        report = await kb.add(
            Document(id="a", text="The newer text speaks of parental leave."),
            Document(id="b", text="A second."),
        )
        assert report.failed == []
        opened = acquire(folder)
        assert opened.manifest.leftovers() == []
        assert opened.vectors.count() == opened.keywords.count() == (await kb.status())["chunks"] == 2
        release(opened)
        assert "parental" in (await kb.search("parental leave"))[0].text


@pytest.mark.parametrize("lost", ["vectors", "keywords"])
async def test_an_index_that_was_deleted_is_built_anew_by_the_next_add(tmp_path, lost):
    folder, embedder = tmp_path / "kb", HashingEmbedder()
    documents = [Document(id=f"d{n}", text=f"Document {n} speaks of topic{n}.") for n in range(20)]
    async with KnowledgeBase(folder, embedder=embedder) as kb:
        await kb.add(documents)
    shutil.rmtree(folder / lost)
    async with KnowledgeBase(folder, embedder=embedder) as kb:
        report = await kb.add(documents)
        assert len(report.unchanged) == 20
        hit = (await kb.search("topic7", top_k=1))[0]
        assert hit.document.id == "d7" and hit.scores["dense"] > 0.1 and hit.scores["keyword"] > 0


async def test_a_search_beside_an_add_sees_whole_documents(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        text = "\n\n".join(f"## Part {n}\n\nThis version0 speaks of topic{n}." for n in range(40))
        await kb.add(Document(id="a", text=text))
        work = asyncio.create_task(kb.add(Document(id="a", text=text.replace("version0", "version1"))))
        while not work.done():
            hits = await kb.search("version0 version1 speaks of topic", top_k=100)
            assert len({hit.text.split("This ")[1][:8] for hit in hits}) == 1
            assert len(hits) == 40
        await work
        assert all("version1" in hit.text for hit in await kb.search("version", top_k=100))


async def test_a_write_between_the_reads_of_a_search_begins_it_again(tmp_path, monkeypatch):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(Document(id="a", text="This version0 speaks."))
        opened = acquire(tmp_path / "kb")
        newer = [Document(id="a", text="This version1 speaks.")]
        real = opened.manifest.present

        def writes_first(keys, *lists):
            if newer:
                asyncio.run(kb.add(newer.pop()))
            return real(keys, *lists)

        monkeypatch.setattr(opened.manifest, "present", writes_first)
        assert [hit.text for hit in await kb.search("version speaks")] == ["This version1 speaks."]
        release(opened)


async def test_a_cancelled_add_leaves_the_store_free_for_the_next(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        documents = [Document(id=f"d{n}", text=f"Document {n}.") for n in range(400)]
        started = asyncio.Event()
        work = asyncio.create_task(kb.add(documents, progress=lambda done, *_: done > 260 and started.set()))
        await started.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        report = await kb.add(documents)
        assert len(report.added) + len(report.unchanged) == 400 and len(report.unchanged) >= 256


STOPS = """
import asyncio, os, sys
from stretto.knowledge import KnowledgeBase
from stretto.testing.embedder import HashingEmbedder

def tell(done, total, what):
    if done == int(sys.argv[3]) and not what.startswith(sys.argv[4]):
        os.kill(os.getpid(), 9)

async def main():
    async with KnowledgeBase(sys.argv[1], embedder=HashingEmbedder()) as kb:
        await kb.add(sys.argv[2], progress=tell)

asyncio.run(main())
"""


async def test_an_ingest_killed_anywhere_is_continued_to_the_same_store(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number:03}.html").write_text(f"<h1>Part {number}</h1><p>It speaks of topic{number}.")

    async def store(place):
        async with KnowledgeBase(place, embedder=HashingEmbedder()) as kb:
            report = await kb.add(folder)
            opened = acquire(place)
            rows = {chunk.id: chunk for chunk, _ in opened.manifest.all_chunks()}
            assert len(rows) == opened.vectors.count() == opened.keywords.count() == 300
            release(opened)
            for number in (7, 290):
                (hit,) = await kb.search(f"topic{number}", top_k=1)
                assert hit.document.id == f"{number:03}.html"
        return report, rows

    _, undisturbed = await store(tmp_path / "whole")
    for place, at, unless in (("early", 100, "x"), ("embedding", 256, "256"), ("late", 280, "x")):
        command = [sys.executable, "-c", STOPS, str(tmp_path / place), str(folder), str(at), unless]
        done = await asyncio.to_thread(subprocess.run, command, timeout=60)
        assert done.returncode == -9
        report, rows = await store(tmp_path / place)
        assert rows == undisturbed
        assert len(report.unchanged) == (256 if place == "late" else 0)
