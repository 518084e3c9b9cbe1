"""What a search can be asked for beside its words."""

import pytest

from stretto.documents import Document
from stretto.errors import ConfigError
from stretto.knowledge import KnowledgeBase
from stretto.testing.embedder import HashingEmbedder

GUIDE = """# Guide

Welcome to the guide of our bicycles, which names what every rider has to know before a tour.

## Brakes

Check the brakes before each ride: pull both levers and push the bicycle forward a little.

Worn brake pads are changed in our workshop while you wait, for a price that hangs at the door.

## Lights

The lights are charged at any port in four hours and last for twelve hours of riding at night.
"""


@pytest.fixture
async def guide(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(Document("guide.md", GUIDE))
        yield kb


async def test_neighbours_come_with_a_hit(guide):
    (hit,) = await guide.search("worn brake pads", top_k=1, expand=1)
    texts = [chunk.text for chunk in hit.around]
    assert hit.chunk in hit.around
    assert len(texts) == 3
    assert [chunk.start for chunk in hit.around] == sorted(chunk.start for chunk in hit.around)


async def test_a_section_comes_with_a_hit_and_ends_at_its_heading(guide):
    (hit,) = await guide.search("worn brake pads", top_k=1, expand="section")
    assert {chunk.headings for chunk in hit.around} == {hit.chunk.headings}
    assert not any("lights" in chunk.text for chunk in hit.around)


async def test_neighbours_that_a_filter_leaves_out_do_not_come(guide):
    where = {"headings": "Brakes"}
    (hit,) = await guide.search("worn brake pads", top_k=1, expand=5, where=where)
    assert all("Brakes" in chunk.headings for chunk in hit.around)


async def test_nothing_stands_around_a_hit_unless_it_is_asked_for(guide):
    assert (await guide.search("brakes", top_k=1))[0].around == ()


async def test_diversity_puts_another_passage_before_a_near_copy(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(
            Document("a", "Refunds take five working days after we have the parcel."),
            Document("b", "Refunds take five working days after we have the parcel back."),
            Document("c", "Refunds of gift cards go to the card."),
        )
        plain = [hit.document.id for hit in await kb.search("refunds take five working days", top_k=2)]
        wide = [
            hit.document.id
            for hit in await kb.search("refunds take five working days", top_k=2, diversity=0.7)
        ]
    assert sorted(plain) == ["a", "b"]
    assert wide[0] == plain[0] and wide[1] == "c"


async def test_feedback_finds_what_shares_words_with_the_best_hit_only(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(
            Document("best", "Parental leave: mothers and fathers rest at home with a newborn child."),
            Document("other", "Mothers and fathers rest at home, newborn child."),
            *(Document(f"n{number}", f"Bicycle part number {number} in stock.") for number in range(30)),
        )
        plain = {hit.document.id: hit.scores["dense"] for hit in await kb.search("parental leave", top_k=40)}
        more = await kb.search("parental leave", top_k=40, feedback=1)
    lent = {hit.document.id: hit.scores["dense"] for hit in more}
    assert more[0].document.id == "best"
    assert lent["other"] > plain["other"] + 0.1


async def test_alpha_is_the_share_of_the_meaning(guide):
    words = await guide.search("brakes lights", alpha=0.0)
    assert words[0].scores["keyword"] == max(hit.scores["keyword"] for hit in words)
    meaning = await guide.search("brakes lights", alpha=1.0)
    assert meaning[0].scores["dense"] == max(hit.scores["dense"] for hit in meaning)


async def test_a_reranker_sees_twice_as_many_and_has_the_last_word(guide):
    seen: list[int] = []

    async def backwards(query, hits):
        seen.append(len(hits))
        return list(reversed(hits))

    hits = await guide.search("brakes", top_k=2, rerank=backwards)
    plain = await guide.search("brakes", top_k=4)
    assert seen == [len(plain)]
    assert [hit.chunk.id for hit in hits] == [hit.chunk.id for hit in reversed(plain)][:2]


async def test_a_question_that_was_asked_before_is_not_embedded_again(tmp_path):
    embedder = HashingEmbedder()
    async with KnowledgeBase(tmp_path / "kb", embedder=embedder) as kb:
        await kb.add(Document("a", "One text."))
        await kb.search("which text")
        before = len(embedder.texts)
        await kb.search("which text", top_k=3)
        assert len(embedder.texts) == before


class English(HashingEmbedder):
    """Says that it reads English."""

    languages = ("en",)


async def test_words_that_the_embedder_cannot_read_leave_the_score_to_the_keyword_leg(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=English()) as kb:
        await kb.add(
            Document("ru", "Библиотека закрыта по понедельникам."),
            Document("el", "η βιβλιοθήκη είναι κλειστή."),
        )
        (hit, other) = await kb.search("библиотека закрыта")
    assert hit.document.id == "ru"
    assert hit.score == pytest.approx(1.0)
    assert other.score < 0.11


@pytest.mark.parametrize(
    "setting",
    [{"alpha": 2}, {"feedback": -1}, {"diversity": 1.5}, {"expand": "page"}, {"expand": -1}, {"top_k": 0}],
)
async def test_a_setting_that_cannot_be_is_refused_by_name(guide, setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        await guide.search("brakes", **setting)
