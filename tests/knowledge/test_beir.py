"""Collections in BEIR form come in, TREC runs go out; what is wrong in a file is told with its line."""

import json

import pytest

from stretto.documents import Chunk, Document, Hit
from stretto.errors import KnowledgeError
from stretto.knowledge.beir import (
    beir_documents,
    beir_queries,
    beir_relevant,
    by_document,
    trec_run,
    write_run,
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "qrels").mkdir()
    rows = [
        {"_id": "a", "title": "The_title", "text": "Some text", "metadata": {"year": 1999}},
        {"_id": 2, "text": ""},
        {"_id": 3, "title": "Only a title", "text": ""},
    ]
    (tmp_path / "corpus.jsonl").write_text("\ufeff" + "".join(json.dumps(row) + "\n\n" for row in rows))
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "what?"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\ta\t2\nq\t3\t0\n")
    return tmp_path


def test_a_collection_is_read(folder):
    assert beir_documents(folder) == [
        Document("a", "Some text", {"year": 1999}, "The title"),
        Document("3", "Only a title", {}, "Only a title"),
    ]
    assert beir_queries(folder) == {"q": "what?"}
    assert beir_relevant(folder) == {"q": {"a": 2}}


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("corpus.jsonl", '{"_id": "a"}\n{', "corpus.jsonl:2"),
        ("corpus.jsonl", "[1]", "corpus.jsonl:1"),
        ("corpus.jsonl", '{"text": "x"}', "_id"),
        ("corpus.jsonl", '{"_id": "a", "metadata": 5}', "metadata"),
        ("qrels/test.tsv", "h\nq\ta\tmuch", "test.tsv:2"),
    ],
)
def test_a_bad_line_is_named(folder, name, text, place):
    (folder / name).write_text(text)
    with pytest.raises(KnowledgeError, match=place):
        beir_relevant(folder) if "qrels" in name else beir_documents(folder)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(KnowledgeError, match=r"queries\.jsonl"):
        beir_queries(tmp_path)


def test_a_document_stands_in_a_run_where_its_best_passage_does(tmp_path):
    hits = [
        Hit(Document(name), Chunk(f"c{n}", name, ""), 1 - n / 10)
        for n, name in enumerate(["a b", "c", "a b"])
    ]
    run = {"q": by_document(hits)}
    assert trec_run(run, "my run") == "q Q0 a_b 1 1.000000 my_run\nq Q0 c 2 0.900000 my_run\n"
    write_run(tmp_path / "run.trec", run)
    assert (tmp_path / "run.trec").read_text().endswith("stretto\n")
    with pytest.raises(KnowledgeError, match="cannot be written"):
        write_run(tmp_path / "no" / "run.trec", run)
