"""A citation of an old answer can be opened after its document changed, until that is pruned or removed."""

import pytest

from stretto.documents import Document
from stretto.errors import KnowledgeError
from stretto.knowledge import KnowledgeBase, attribute
from stretto.knowledge.chunkers.passages import PassageSizes
from stretto.testing.embedder import HashingEmbedder

OLD = "# Returns\n\nRefunds take 5 working days."
NEW = "# Returns\n\nRefunds take 9 working days."


async def citation_of(kb, answer: str):
    return (await attribute(answer, await kb.search(answer, top_k=3)))[0]


async def test_a_citation_survives_a_change_and_a_reload_until_it_is_pruned(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(Document("a", OLD))
        old = await citation_of(kb, "Refunds take 5 working days.")
        await kb.add(Document("a", NEW))
        assert (await kb.search("refunds 5 working days"))[0].text != old.quote
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        found = await kb.resolve(old)
        assert (found.chunk.id, found.document.version) == (old.chunk, old.version)
        new = await citation_of(kb, "Refunds take 9 working days.")
        assert (await kb.resolve(new)).document.version == new.version != old.version
        assert await kb.prune(older_than=3600) == 0
        assert await kb.prune() == 1
        with pytest.raises(KnowledgeError, match="not in `kb` any more"):
            await kb.resolve(old)
        assert (await kb.resolve(new)).chunk.id == new.chunk


async def test_a_passage_that_only_moved_is_found_where_it_is_now(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(Document("a", OLD))
        old = await citation_of(kb, "Refunds take 5 working days.")
        await kb.add(Document("a", f"# First\n\n{'Something new. ' * 30}\n\n{OLD}"))
        found = await kb.resolve(old)
        assert found.chunk.start > old.start
        assert old.quote in found.chunk.text
        assert (await kb.status())["chunks"] == 2


async def test_a_file_that_is_gone_is_still_cited_but_not_found(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text(OLD)
    (folder / "b.md").write_text("# Other\n\nThe shop opens at nine.")
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder(), root=tmp_path) as kb:
        await kb.add(folder)
        old = await citation_of(kb, "Refunds take 5 working days.")
        (folder / "a.md").unlink()
        await kb.add(folder)
        assert all(hit.document.id != "a.md" for hit in await kb.search("refunds"))
        assert (await kb.resolve(old)).document.id == old.document


async def test_what_is_removed_by_hand_leaves_nothing_to_cite(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(Document("a", OLD))
        old = await citation_of(kb, "Refunds take 5 working days.")
        await kb.add(Document("a", NEW))
        await kb.remove("a")
        with pytest.raises(KnowledgeError, match="any more"):
            await kb.resolve(old)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "kb").glob("earlier*"))
    assert b"Refunds take 5 working days" not in kept


async def test_a_base_that_never_changed_has_no_file_for_it(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(Document("a", OLD))
        await kb.add(Document("a", OLD))
        assert await kb.prune() == 0
    assert not list((tmp_path / "kb").glob("earlier*"))


async def test_passages_cut_anew_leave_the_old_ones_to_their_citations(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(Document("a", OLD + "\n\n" + "More about other things. " * 40))
        old = await citation_of(kb, "Refunds take 5 working days.")
        report = await kb.rebuild(sizes=PassageSizes(target=20, most=40))
        assert report.chunks > 1
        assert (await kb.resolve(old)).chunk.id == old.chunk
