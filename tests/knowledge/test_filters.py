"""The filter language, by itself and in both legs of a search."""

import pytest

from stretto.documents import Chunk, Document
from stretto.errors import ConfigError
from stretto.knowledge import KnowledgeBase
from stretto.knowledge.filters import Filter
from stretto.testing.embedder import HashingEmbedder

DOCUMENT = Document(
    "a.md", metadata={"year": 2021, "team": "sales", "tags": ["x", "y"], "draft": False}, title="A"
)
CHUNK = Chunk("c", "a.md", "text", page=3, headings=("Top", "Deep"), metadata={"sheet": "May"})


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({}, True),
        ({"document": "a.md"}, True),
        ({"document": "b.md"}, False),
        ({"year": 2021, "team": "care"}, False),
        ({"year": {"$eq": 2021}}, True),
        ({"year": {"$ne": 2021}}, False),
        ({"missing": {"$ne": 1}}, True),
        ({"missing": None}, True),
        ({"team": {"$in": ["care", "sales"]}}, True),
        ({"team": {"$nin": ["care", "sales"]}}, False),
        ({"tags": "y"}, True),
        ({"tags": {"$in": ["z", "x"]}}, True),
        ({"tags": ["x", "y"]}, True),
        ({"year": {"$gte": 2021, "$lt": 2022}}, True),
        ({"year": {"$gt": 2021}}, False),
        ({"year": {"$lte": 2020.5}}, False),
        ({"team": {"$gt": "care"}}, True),
        ({"team": {"$gt": 5}}, False),
        ({"missing": {"$lt": 5}}, False),
        ({"draft": 0}, False),
        ({"draft": False}, True),
        ({"page": {"$gte": 3}}, True),
        ({"headings": "Deep"}, True),
        ({"sheet": "May"}, True),
        ({"title": "A"}, True),
        ({"$or": [{"year": 1999}, {"team": "sales"}]}, True),
        ({"$and": [{"year": 2021}, {"team": "care"}]}, False),
        ({"$not": {"team": "care"}}, True),
        ({"$not": {"$or": [{"year": 2021}, {"team": "care"}]}}, False),
    ],
)
def test_a_passage_fits_or_does_not(where, holds):
    assert Filter(where).fits(CHUNK, DOCUMENT) is holds


@pytest.mark.parametrize(
    "where",
    [
        {"$near": 1},
        {"year": {"$like": 1}},
        {"$or": []},
        {"$and": {"year": 1}},
        {"$not": 5},
        {"team": {"$in": "sales"}},
        {"year": {"$gt": None}},
        {"year": {"$gt": True}},
        {1: 2},
    ],
)
def test_what_is_no_filter_is_refused_by_name(where):
    with pytest.raises(ConfigError, match=r"where"):
        Filter(where)


def test_a_comparison_without_its_sign_is_told_how_it_is_written():
    with pytest.raises(ConfigError, match=r"write `\$gte`"):
        Filter({"year": {"gte": 2020}})
    assert Filter({"year": {"from": 2020}}).fits(CHUNK, DOCUMENT) is False


def test_a_filter_without_an_end_is_refused():
    where: dict = {"a": 1}
    for _ in range(50):
        where = {"$not": where}
    with pytest.raises(ConfigError, match="nested"):
        Filter(where)


def test_only_keys_of_documents_let_whole_documents_be_judged():
    assert Filter({"team": "sales", "document": "a"}).on_documents
    assert not Filter({"$not": {"page": 3}}).on_documents


FILTERS = [
    ({"even": True}, lambda n: n % 2 == 0),
    ({"group": 5}, lambda n: n % 60 == 5),
    ({"n": {"$gte": 100, "$lt": 103}}, lambda n: 100 <= n < 103),
    ({"$not": {"group": {"$in": list(range(50))}}}, lambda n: n % 60 >= 50),
    ({"page": None, "group": {"$lt": 2}}, lambda n: n % 60 < 2),
]


async def test_both_legs_find_the_same_passages_as_a_comparison_of_all(tmp_path, monkeypatch):
    monkeypatch.setattr("stretto.knowledge.allowed.FEW", 100)  # so that the half is not compared one by one
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(
            *(
                Document(
                    f"d{number}",
                    f"The word{number % 7} and topic{number} of number {number}.",
                    {"n": number, "even": number % 2 == 0, "group": number % 60},
                )
                for number in range(1200)
            )
        )
        everything = await kb.search("word3 topic743", top_k=1200)
        for where, fits in FILTERS:
            best = [hit for hit in everything if fits(hit.document.metadata["n"])]
            scores = {hit.chunk.id: hit.scores for hit in best}
            hits = await kb.search("word3 topic743", top_k=10, where=where)
            assert len(hits) == min(10, len(best))
            assert {hit.chunk.id for hit in hits} <= set(scores)
            for hit in hits:
                assert hit.scores == pytest.approx(scores[hit.chunk.id], abs=1e-4)


async def test_a_filter_sees_what_was_added_and_removed_meanwhile(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(Document("a", "The first text.", {"kind": "x"}))
        assert len(await kb.search("text", where={"kind": "x"})) == 1
        await kb.add(Document("b", "The second text.", {"kind": "x"}))
        assert len(await kb.search("text", where={"kind": "x"})) == 2
        await kb.remove("a")
        assert [hit.document.id for hit in await kb.search("text", where={"kind": "x"})] == ["b"]
        assert await kb.search("text", where={"kind": "y"}) == []
