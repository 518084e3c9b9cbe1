"""A base is mirrored, checked, mended and built anew, and searches go on meanwhile."""

import asyncio
import subprocess
import sys

import pytest

from stretto import Document
from stretto.errors import EmbedderMismatch, KnowledgeError, MediaNotFound
from stretto.knowledge import KnowledgeBase
from stretto.knowledge.chunkers.passages import PassageSizes
from stretto.knowledge.opened import acquire, release
from stretto.testing.embedder import HashingEmbedder


@pytest.fixture
def opened(kb):
    kept = acquire(kb.folder)
    yield kept
    release(kept)


async def test_sync_makes_the_base_hold_what_the_folder_holds(kb, docs):
    (docs / "extra.md").write_text("# Extra\n\nExtra words.\n")
    await kb.add(docs / "extra.md")
    outside = Document(id="outside", text="From a program.")
    await kb.add(outside, docs)
    (docs / "extra.md").unlink()
    (docs / "returns.md").rename(docs / "back.md")
    planned = await kb.sync(docs, dry_run=True)
    report = await kb.sync(docs)
    assert sorted(report.removed) == sorted(planned.removed) == ["extra.md", "returns.md"]
    assert report.added == ["back.md"]
    assert [each.id for each in await kb.documents()] == ["back.md", "outside", "shop/warranty.md"]


async def test_sync_of_a_folder_that_is_not_there_changes_nothing(kb, docs, tmp_path):
    await kb.sync(docs)
    docs.rename(tmp_path / "gone")
    with pytest.raises(MediaNotFound, match="nothing was changed"):
        await kb.sync(docs)
    assert (await kb.status())["documents"] == 2


async def test_a_whole_base_is_found_to_be_whole(kb, docs, embedder):
    await kb.add(docs, Document(id="twin", text="Refunds take 5 working days."))
    embedded = len(embedder.texts)
    report = await kb.verify()
    assert report.ok and report.chunks == 4 and len(embedder.texts) == embedded
    assert report.as_dict()["ok"] is True


@pytest.mark.parametrize("lost", ["vectors", "words", "both", "surplus"])
async def test_what_an_index_lost_is_told_and_mended_from_the_kept_texts(kb, opened, lost):
    await kb.add(Document(id=f"d{n}", text=f"Document {n} speaks of topic{n}.") for n in range(20))
    ids = [chunk.id for chunk, _ in opened.manifest.all_chunks()][:3]
    if lost in ("vectors", "both"):
        opened.vectors.delete(ids)
    if lost in ("words", "both"):
        opened.keywords.delete(ids)
        opened.settle()
    if lost == "surplus":
        opened.vectors.upsert(["x" * 32], opened.vectors.vectors(ids[:1])[ids[0]].reshape(1, -1))
    report = await kb.verify()
    assert not report.ok and not report.repaired
    assert len(report.without_vector) == (3 if lost in ("vectors", "both") else 0)
    assert len(report.without_words) == (3 if lost in ("words", "both") else 0)
    assert report.surplus == (1 if lost == "surplus" else 0)
    mended = await kb.verify(repair=True)
    assert mended.ok and mended.rebuilt == (lost == "surplus")
    assert mended.embedded == (3 if lost in ("vectors", "both") else 0)
    assert (await kb.verify()).ok and opened.vectors.count() == opened.keywords.count() == 20
    for number in range(20):
        hit = (await kb.search(f"topic{number}"))[0]
        assert hit.document.id == f"d{number}" and hit.scores["dense"] > 0 and hit.scores["keyword"] > 0


async def test_a_rebuild_takes_another_embedder_and_the_old_one_is_refused(kb, opened, docs):
    await kb.add(docs, access=["staff"])
    await kb.add(Document(id="a", text="It speaks of acme."), tenant="acme")
    other = HashingEmbedder(64)
    report = await kb.rebuild(embedder=other)
    assert (report.chunks, report.embedded, report.embedder) == (4, 4, other.name)
    assert (await kb.search("refunds", groups=["staff"]))[0].document.id == "returns.md"
    assert await kb.search("refunds") == []
    assert (await kb.search("acme", tenant="acme"))[0].document.id == "a"
    assert opened.vectors.vectors([chunk.id for chunk, _ in opened.manifest.all_chunks()])
    assert sorted(each.name for each in kb.folder.glob("vectors*")) == ["vectors-1"]
    old = KnowledgeBase(kb.folder, embedder=HashingEmbedder())
    with pytest.raises(EmbedderMismatch, match="kb rebuild --embedder"):
        await old.search("refunds")
    await old.close()
    assert len((await kb.add(docs)).unchanged) == 2 and (await kb.verify()).ok


async def test_a_rebuild_cuts_other_passages_from_the_kept_texts_and_later_adds_do_so_too(kb, docs, embedder):
    text = "\n\n".join(f"Paragraph {n} speaks of topic{n} at length, as texts do." for n in range(40))
    (docs / "long.md").write_text(text)
    await kb.add(docs)
    before = (await kb.status())["chunks"]
    report = await kb.rebuild(sizes=PassageSizes(small=40, enough=60, target=100, most=200))
    assert report.chunks > 2 * before
    hit = (await kb.search("topic31", top_k=1))[0]
    assert "topic31" in hit.text and len(hit.text) <= 200
    assert (await kb.document("long.md")).text[hit.chunk.start : hit.chunk.end] == hit.text
    (docs / "long.md").write_text(text + "\n\nOne more speaks of lateness.")
    embedded = len(embedder.texts)
    assert (await kb.add(docs)).changed == ["long.md"]
    assert len(embedder.texts) - embedded <= 3 and (await kb.verify()).ok


async def test_a_rebuild_that_changes_nothing_embeds_nothing(kb, docs):
    await kb.add(docs)
    assert (await kb.rebuild()).embedded == 0
    assert (await kb.verify()).ok and (await kb.search("refunds"))[0].document.id == "returns.md"


async def test_searches_go_on_while_the_indexes_are_built_and_switched(kb):
    await kb.add(Document(id=f"d{n}", text=f"Document {n} speaks of topic{n}.") for n in range(600))
    work = asyncio.create_task(kb.rebuild(embedder=HashingEmbedder(64)))
    searches = 0
    while not work.done():
        hits = await kb.search("topic7 speaks", top_k=3)
        assert hits[0].document.id == "d7" and len(hits) == 3
        searches += 1
    await work
    assert searches > 2 and (await kb.search("topic7"))[0].document.id == "d7"


DIES = """
import asyncio, os, sys
from stretto.knowledge import KnowledgeBase, manifest
from stretto.testing.embedder import HashingEmbedder

def dying(self, *args):
    os.kill(os.getpid(), 9)

async def main():
    async with KnowledgeBase(sys.argv[1], embedder=HashingEmbedder()) as kb:
        setattr(manifest.Manifest, sys.argv[2], dying)
        await kb.rebuild(embedder=HashingEmbedder(64))

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("place", ["put_next", "show_next"])
async def test_a_rebuild_that_is_killed_leaves_the_base_as_it_was(tmp_path, place):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(Document(id="a", text="It speaks of a warranty."))
    command = [sys.executable, "-c", DIES, str(tmp_path / "kb"), place]
    done = await asyncio.to_thread(subprocess.run, command, timeout=60)
    assert done.returncode == -9
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        assert (await kb.search("warranty"))[0].document.id == "a" and (await kb.verify()).ok
        await kb.rebuild(embedder=HashingEmbedder(64))
        assert (await kb.search("warranty"))[0].document.id == "a" and (await kb.verify()).ok


async def test_an_unfinished_index_is_never_shown(kb, opened, monkeypatch):
    await kb.add(Document(id="a", text="It speaks of a warranty."))
    vectors, keywords = opened.generation(1)
    monkeypatch.setattr(type(keywords), "upsert", lambda self, rows: None)
    with pytest.raises(KnowledgeError, match="nothing was changed"):
        await kb.rebuild(embedder=HashingEmbedder(64))
    assert vectors.count() == 1 and (await kb.search("warranty"))[0].document.id == "a"
