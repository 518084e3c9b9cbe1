import asyncio
import stat
import subprocess
import sys

import pytest

from stretto import Document
from stretto.errors import ConfigError, EmbedderMismatch, KnowledgeError, ModelNotFound
from stretto.knowledge import KnowledgeBase
from stretto.knowledge.lock import FileLock
from stretto.results import Citation
from stretto.testing.embedder import HashingEmbedder


async def test_a_folder_is_added_and_its_passages_are_found(kb, docs):
    report = await kb.add(docs)
    assert report.added == ["returns.md", "shop/warranty.md"]
    assert report.skipped == ["docs/shop/notes.xyz"] and report.failed == []
    hits = await kb.search("how long do refunds take", top_k=2)
    assert hits[0].document.id == "returns.md"
    assert hits[0].chunk.headings == ("Returns", "Refunds")
    assert "5 working days" in hits[0].text
    assert set(hits[0].scores) == {"dense", "keyword"}
    assert all(0 <= hit.score <= 1 for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


async def test_a_second_add_of_the_same_folder_embeds_and_writes_nothing(kb, docs, embedder):
    await kb.add(docs)
    before = len(embedder.texts)
    report = await kb.add(docs)
    assert report.unchanged == ["returns.md", "shop/warranty.md"] and report.added == []
    assert len(embedder.texts) == before and report.embedded == 0


async def test_an_edited_paragraph_embeds_only_its_chunk(kb, tmp_path, embedder):
    file = tmp_path / "long.md"
    paragraphs = [
        f"Paragraph {n} speaks of topic{n}. " + f"Word{n} stands here again. " * 25 for n in range(20)
    ]
    file.write_text("\n\n".join(paragraphs))
    await kb.add(file)
    chunks = (await kb.status())["chunks"]
    before = len(embedder.texts)
    paragraphs[7] = paragraphs[7].replace("topic7", "parental leave")
    file.write_text("\n\n".join(paragraphs))
    report = await kb.add(file)
    assert report.changed == ["long.md"]
    assert len(embedder.texts) - before == 1
    assert (await kb.status())["chunks"] == chunks
    assert "parental leave" in (await kb.search("parental leave", top_k=1))[0].text
    assert all("topic7." not in hit.text for hit in await kb.search("topic7", top_k=30))


async def test_a_paragraph_put_in_front_changes_few_chunks_and_moves_the_offsets_of_the_others(
    kb, tmp_path, embedder
):
    file = tmp_path / "long.md"
    paragraphs = [f"Paragraph {n} speaks of topic{n} and of word{n * 7}. " * (1 + n % 5) for n in range(200)]
    file.write_text("\n\n".join(paragraphs))
    await kb.add(file)
    before = len(embedder.texts)
    file.write_text("\n\n".join(["A new beginning stands here. " * 5, *paragraphs]))
    await kb.add(file)
    assert 1 <= len(embedder.texts) - before <= 5
    hit = (await kb.search("topic150", top_k=1))[0]
    document = await kb.document("long.md")
    assert document.text[hit.chunk.start : hit.chunk.end] == hit.chunk.text


async def test_a_new_title_embeds_the_chunks_anew(kb, embedder):
    await kb.add(Document(id="a", text="The warranty lasts two years.", title="Old"))
    await kb.add(Document(id="a", text="The warranty lasts two years.", title="New"))
    assert embedder.texts[-1].startswith("New") and (await kb.status())["chunks"] == 1


async def test_a_deleted_file_vanishes_when_its_folder_is_added_again(kb, docs):
    await kb.add(docs)
    (docs / "shop" / "warranty.md").unlink()
    report = await kb.add(docs)
    assert report.removed == ["shop/warranty.md"]
    assert all(hit.document.id == "returns.md" for hit in await kb.search("warranty lasts two years"))
    assert (await kb.status())["documents"] == 1


async def test_a_single_file_that_is_gone_is_not_removed_by_a_folder(kb, docs, tmp_path):
    single = tmp_path / "single.md"
    single.write_text("# Single\n\nAdded by itself.")
    await kb.add(single)
    single.unlink()
    report = await kb.add(docs)
    assert report.removed == [] and (await kb.document("single.md")).title == "Single"


async def test_a_glob_brings_its_files_and_takes_gone_ones_away(kb, docs):
    pattern = f"{docs}/**/*.md"
    assert (await kb.add(pattern)).added == ["returns.md", "shop/warranty.md"]
    (docs / "returns.md").unlink()
    assert (await kb.add([pattern])).removed == ["returns.md"]


async def test_what_is_not_there_is_reported_and_the_rest_goes_on(kb, docs):
    report = await kb.add("no/such/file.md", docs / "*.nothing", docs)
    assert [(source, type(error).__name__) for source, error in report.failed] == [
        ("no/such/file.md", "MediaNotFound"),
        (str(docs / "*.nothing"), "MediaNotFound"),
    ]
    assert len(report.added) == 2 and report.as_dict()["failed"][0]["error"] == "MediaNotFound"


async def test_two_files_of_one_name_get_two_ids_that_stay(kb, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "readme.md").write_text(f"# {name}\n\nThis is {name}.")
    first = await kb.add(tmp_path / "one", tmp_path / "two")
    assert first.added == ["readme.md", "two/readme.md"]
    second = await kb.add(tmp_path / "two", tmp_path / "one")
    assert sorted(second.unchanged) == ["readme.md", "two/readme.md"]


async def test_progress_is_told_and_nothing_is_printed(kb, docs, capsys):
    told = []
    await kb.add(docs, progress=lambda done, total, what: told.append((done, total)))
    assert told[0] == (0, 2) and told[-1] == (2, 2)
    assert capsys.readouterr() == ("", "")


async def test_where_keeps_only_what_fits(kb):
    await kb.add(
        [
            Document(id=f"d{n}", text=f"The same words, number {n}.", metadata={"even": n % 2 == 0})
            for n in range(300)
        ]
    )
    hits = await kb.search("the same words", top_k=5, where={"document": "d257"})
    assert [hit.document.id for hit in hits] == ["d257"]
    hits = await kb.search("the same words", top_k=20, where={"even": True})
    assert len(hits) == 20 and all(hit.document.metadata["even"] for hit in hits)
    assert await kb.search("the same words", where={"missing": 1}) == []


async def test_a_question_holds_no_syntax(kb, docs):
    await kb.add(docs)
    for question in (
        'id:"x" AND (refunds',
        "*",
        "refunds~2 [a TO z]",
        "\\",
        "-refunds +take",
        "'; DROP TABLE chunks;",
    ):
        assert isinstance(await kb.search(question), list)
    assert await kb.search("   ") == []
    with pytest.raises(ConfigError, match="top_k"):
        await kb.search("x", top_k=0)


async def test_an_empty_knowledge_base_finds_nothing(kb):
    assert await kb.search("anything") == []
    assert (await kb.status())["documents"] == 0


async def test_remove_takes_an_id_a_path_or_a_folder(kb, docs):
    await kb.add(docs)
    assert await kb.remove("returns.md") == ["returns.md"]
    assert await kb.search("refunds", where={"document": "returns.md"}) == []
    with pytest.raises(KnowledgeError, match="nothing from"):
        await kb.remove("returns.md")
    await kb.add(docs)
    assert sorted(await kb.remove(docs)) == ["returns.md", "shop/warranty.md"]
    assert (await kb.status())["chunks"] == 0


async def test_a_document_comes_back_with_its_text_and_hits_carry_none(kb, docs):
    await kb.add(docs)
    assert "30 days" in (await kb.document("returns.md")).text
    assert (await kb.search("refunds"))[0].document.text == ""
    assert [document.id for document in await kb.documents()] == ["returns.md", "shop/warranty.md"]
    with pytest.raises(KnowledgeError, match="no document `nope`"):
        await kb.document("nope")


async def test_another_embedder_is_refused(tmp_path):
    async with KnowledgeBase("k", embedder=HashingEmbedder(64), root=tmp_path) as first:
        await first.add(Document(id="a", text="some text"))
    async with KnowledgeBase("k", embedder=HashingEmbedder(128), root=tmp_path) as second:
        with pytest.raises(EmbedderMismatch, match="testing:hashing-64"):
            await second.search("text")
        with pytest.raises(EmbedderMismatch):
            await second.add(Document(id="b", text="other text"))
    async with KnowledgeBase(
        "k", embedder=HashingEmbedder(32, name="testing:hashing-64"), root=tmp_path
    ) as third:
        with pytest.raises(EmbedderMismatch, match="32"):
            await third.search("text")


async def test_a_missing_model_is_named_and_never_pulled(tmp_path, monkeypatch):
    monkeypatch.setenv("STRETTO_CACHE", str(tmp_path / "empty"))
    async with KnowledgeBase("k", root=tmp_path) as kb:
        with pytest.raises(ModelNotFound, match="stretto models pull minilm"):
            await kb.add(Document(id="a", text="some text"))
    assert not (tmp_path / "empty").exists() or not list((tmp_path / "empty").rglob("*.onnx"))


async def test_two_objects_in_one_process_share_one_store(tmp_path, docs, embedder):
    first = KnowledgeBase("shared", embedder=embedder, root=tmp_path)
    second = KnowledgeBase(tmp_path / ".stretto" / "knowledge" / "shared", embedder=embedder)
    await asyncio.gather(first.add(docs), second.add(docs))
    await first.close()
    assert (await second.search("refunds"))[0].document.id == "returns.md"
    await second.close()
    await second.close()
    lock = FileLock(tmp_path / ".stretto" / "knowledge" / "shared" / "owner.lock")
    assert lock.take()  # the last one gave it free
    lock.release()


LAZY = """
import sys
from stretto import KnowledgeBase
KnowledgeBase("x", root=sys.argv[1])
heavy = {"chromadb", "numpy", "tantivy", "onnxruntime", "PIL", "aiohttp"}
print(sorted(heavy & set(sys.modules)))
"""


def test_the_import_loads_nothing_heavy(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LAZY, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []  # opening wrote nothing


async def test_a_citation_resolves_only_to_what_the_text_says(kb, docs):
    await kb.add(docs)
    hit = (await kb.search("refunds"))[0]
    quote = "Refunds take 5 working days."
    start = (await kb.document("returns.md")).text.index(quote)
    good = Citation(1, "returns.md", hit.chunk.id, quote, start=start, end=start + len(quote))
    assert (await kb.resolve(good)).chunk == hit.chunk
    for wrong in (
        Citation(1, "returns.md", hit.chunk.id, "Refunds take 7 working days."),
        Citation(1, "returns.md", "0" * 32, quote),
        Citation(1, "shop/warranty.md", hit.chunk.id, quote),
        Citation(1, "returns.md", hit.chunk.id, quote, start=start + 1, end=start + 1 + len(quote)),
        Citation(1, "returns.md", hit.chunk.id, ""),
    ):
        with pytest.raises(KnowledgeError):
            await kb.resolve(wrong)


@pytest.mark.parametrize("name", ["", "a b", "x" * 80, "a:b"])
def test_a_bad_name_is_refused(name):
    with pytest.raises(ConfigError, match="cannot name"):
        KnowledgeBase(name)


@pytest.mark.skipif(sys.platform == "win32", reason="a mode of POSIX")
async def test_documents_are_for_the_owner_of_the_folder_only(tmp_path, docs, embedder):
    folder = tmp_path / "kept" / "handbook"
    async with KnowledgeBase(folder, embedder=embedder) as base:
        await base.add(docs)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (folder.parent, folder)] == [0o700, 0o700]
    assert stat.S_IMODE((folder / "manifest.sqlite").stat().st_mode) == 0o600
