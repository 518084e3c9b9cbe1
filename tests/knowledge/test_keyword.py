import pytest

from stretto.knowledge.keyword import KeywordIndex


@pytest.fixture
def index(tmp_path):
    opened = KeywordIndex(tmp_path / "keywords")
    opened.upsert(
        [("a", "Refunds take five working days"), ("b", "The warranty lasts two years"), ("c", "Größe 54")]
    )
    opened.commit()
    yield opened
    opened.close()
    opened.close()


def test_words_are_found_in_other_forms(index):
    assert [key for key, _ in index.query("refund", 5)] == ["a"]
    assert [key for key, _ in index.query("WARRANTIES", 5)] == ["b"]
    assert [key for key, _ in index.query("grosse", 5)] == ["c"]
    assert index.query("?!", 5) == []


def test_an_upsert_replaces_and_a_delete_removes(index):
    index.upsert([("a", "Something else")])
    index.delete(["b"])
    index.settle()
    assert index.count() == 2
    assert index.query("refund warranty", 5) == []


def test_scores_of_chosen_ids_equal_those_of_a_search(index):
    found = dict(index.query("refund warranty days", 5))
    scores = index.scores("refund warranty days", ["a", "b", "c"])
    assert {key: score for key, score in scores.items() if score} == pytest.approx(found)
    assert scores["c"] == 0


def test_what_was_not_committed_is_gone_after_a_close(tmp_path):
    first = KeywordIndex(tmp_path / "k")
    first.upsert([("a", "words")])
    first.close()
    second = KeywordIndex(tmp_path / "k")
    assert second.count() == 0
    second.close()


def test_a_damaged_index_opens_empty(tmp_path):
    first = KeywordIndex(tmp_path / "k")
    first.upsert([("a", "words")])
    first.settle()
    (tmp_path / "k" / "meta.json").write_text("{ damaged")
    assert KeywordIndex(tmp_path / "k").count() == 0
