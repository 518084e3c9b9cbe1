"""A base goes into one file and comes out the same, without embedding; a bad file is refused."""

import json
import zipfile

import pytest

from stretto.documents import Document
from stretto.errors import EmbedderMismatch, KnowledgeError
from stretto.knowledge import KnowledgeBase
from stretto.testing.embedder import HashingEmbedder


@pytest.fixture
async def exported(tmp_path, docs):
    async with KnowledgeBase(tmp_path / "one", embedder=HashingEmbedder(), root=tmp_path) as kb:
        await kb.add(docs, Document("memo", "A memo about lasagne.", {"kind": "memo"}))
        report = await kb.export(tmp_path / "base.zip")
        hits = await kb.search("how long do refunds take")
        assert report == {"embedder": "testing:hashing-256", "dimensions": 256, "documents": 3, "chunks": 4}
        again = await kb.export(tmp_path / "again.zip")
        assert again == report
    assert (tmp_path / "base.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    return tmp_path / "base.zip", hits


async def test_what_comes_out_is_found_as_it_was_and_nothing_is_embedded(exported, tmp_path, docs):
    path, hits = exported
    embedder = HashingEmbedder()
    async with KnowledgeBase(tmp_path / "two", embedder=embedder, root=tmp_path) as kb:
        await kb.take_in(path)
        assert embedder.texts == []
        found = await kb.search("how long do refunds take")
        assert [(hit.chunk, hit.document) for hit in found] == [(hit.chunk, hit.document) for hit in hits]
        assert found[0].score == pytest.approx(hits[0].score)
        before = len(embedder.texts)
        report = await kb.add(docs)
        assert (len(report.unchanged), report.embedded, len(embedder.texts)) == (2, 0, before)
        assert (await kb.document("memo")).metadata == {"kind": "memo"}


async def test_documents_of_one_id_are_replaced_and_others_stay(exported, tmp_path):
    async with KnowledgeBase(tmp_path / "two", embedder=HashingEmbedder(), root=tmp_path) as kb:
        await kb.add(Document("memo", "An older memo about pizza."), Document("own", "Mine."))
        await kb.take_in(exported[0])
        assert "lasagne" in (await kb.document("memo")).text
        assert (await kb.search("pizza older", top_k=1))[0].document.id != "memo"
        assert (await kb.status())["documents"] == 4


async def test_vectors_of_another_embedder_are_refused(exported, tmp_path):
    async with KnowledgeBase(tmp_path / "two", embedder=HashingEmbedder(64), root=tmp_path) as kb:
        with pytest.raises(EmbedderMismatch, match="256 dimensions"):
            await kb.take_in(exported[0])


def _altered(path, target, name, change):
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for part in old.namelist():
            data = old.read(part)
            new.writestr(part, change(data) if part == name else data)
    return target


def _line(change):
    def altered(data: bytes) -> bytes:
        lines = [json.loads(line) for line in data.splitlines()]
        change(lines)
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    return altered


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("vectors.f32", lambda data: data[:-4]),
        ("vectors.f32", lambda data: b"\xff\xff\xff\x7f" + data[4:]),
        ("base.json", lambda data: b"{}"),
        ("base.json", lambda data: data.replace(b'"format":1', b'"format":9')),
        ("documents.jsonl", lambda data: b"no JSON\n"),
        ("documents.jsonl", _line(lambda rows: rows[0]["chunks"][0]["chunk"].update(id="x"))),
        ("documents.jsonl", _line(lambda rows: rows[0]["chunks"][0]["chunk"].update(document="other"))),
        ("documents.jsonl", _line(lambda rows: rows.append(rows[0]))),
    ],
)
async def test_a_damaged_file_is_refused_by_name(exported, tmp_path, name, change):
    path = _altered(exported[0], tmp_path / "bad.zip", name, change)
    async with KnowledgeBase(tmp_path / "two", embedder=HashingEmbedder(), root=tmp_path) as kb:
        with pytest.raises(KnowledgeError, match=r"bad\.zip"):
            await kb.take_in(path)
        assert await kb.search("anything") == []


async def test_what_is_no_such_file_is_refused(tmp_path):
    (tmp_path / "text.zip").write_text("hello")
    async with KnowledgeBase(tmp_path / "two", embedder=HashingEmbedder(), root=tmp_path) as kb:
        for name in ("text.zip", "missing.zip"):
            with pytest.raises(KnowledgeError, match=name):
                await kb.take_in(tmp_path / name)
        with pytest.raises(KnowledgeError, match="nothing"):
            await kb.export(tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()
