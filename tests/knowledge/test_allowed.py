"""What access lists and filters leave is worked out once for a state, and its memory is bounded."""

from pathlib import Path

import pytest

from stretto import Document
from stretto.knowledge import KnowledgeBase
from stretto.knowledge.allowed import _Remembered
from stretto.knowledge.opened import acquire, release
from stretto.knowledge.owner.shared import SharedVectors
from stretto.testing.embedder import HashingEmbedder


async def test_after_a_write_only_the_vectors_of_what_is_new_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add([Document(f"d{n}", f"The merger, part {n}.") for n in range(30)], access=["staff"])
        await kb.search("merger", groups=["staff", "x"])
        await kb.add(Document("open", "For all."))
        assert len(await kb.search("merger", 50, groups=["staff"])) == 31
        await kb.add(Document("shut", "The merger, for others."), access=["board"])
        await kb.search("merger", groups=["staff"])
        asked: list[str] = []
        read = SharedVectors.vectors
        monkeypatch.setattr(SharedVectors, "vectors", lambda self, ids: asked.extend(ids) or read(self, ids))
        (new, *_) = (await kb.add(Document("new", "The merger is near."), access=["staff"])).added
        asked.clear()
        hits = await kb.search("The merger is near.", groups=["staff"])
        assert hits[0].document.id == new and asked == [hits[0].chunk.id]


async def test_what_is_remembered_of_many_groups_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stretto.knowledge.allowed._VECTORS", 25)
    monkeypatch.setattr("stretto.knowledge.allowed._IDS", 60)
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        for group in "abcdefgh":
            await kb.add(
                [Document(f"{group}{n}", f"Topic {n} of {group}.") for n in range(10)], access=[group]
            )
        opened = acquire(kb.folder)
        for _ in range(2):
            for group in "abcdefgh":
                hits = await kb.search("topic", 50, groups=[group])
                assert {hit.document.id[0] for hit in hits} == {group} and len(hits) == 10
                known = opened.kept_for("allowed", _Remembered).known.values()
                assert sum(one.kept for _, one in known) <= 25
                assert sum(len(one.ids) for _, one in known) <= 60
        release(opened)
