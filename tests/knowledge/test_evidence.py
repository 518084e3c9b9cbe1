"""The sentences that a question is about are found by meaning, words and the heading above them."""

from stretto.documents import Chunk, Document, Hit
from stretto.knowledge import answerable, nearest_quotes
from stretto.testing import HashingEmbedder


def hit(name: str, text: str, *headings: str, start: int = 0, repeated: int = 0) -> Hit:
    chunk = Chunk(
        name,
        name,
        text,
        start,
        start + len(text) - repeated,
        headings=headings,
        metadata={"repeated": repeated},
    )
    return Hit(Document(name, title=name.title()), chunk, 0.5)


async def test_the_heading_tells_which_of_two_like_sentences_is_meant() -> None:
    hits = [
        hit("rental", "It costs 8 euros.", "Loan bikes"),
        hit("courses", "It costs 35 euros.", "Wheel course"),
    ]
    found = await nearest_quotes("price of the wheel course", hits, HashingEmbedder(), least=0.1, most=1)
    assert [quote.quote for quote in found] == ["It costs 35 euros."]


async def test_neighbours_are_one_quote_and_its_offsets_are_those_of_the_document() -> None:
    text = "Pumps are tall. We keep videos inside. We keep videos outside. Bells ring."
    found = await nearest_quotes(
        "for how many hours do we keep videos",
        [hit("privacy", text, start=100)],
        HashingEmbedder(),
        least=0.1,
    )
    assert [quote.quote for quote in found] == ["We keep videos inside. We keep videos outside."]
    assert text[found[0].start - 100 : found[0].end - 100] == found[0].quote
    assert found[0].number == 1


async def test_a_repeated_header_does_not_move_the_offsets_and_is_never_quoted() -> None:
    head = "| Job | Price |\n|---|---|\n"
    row = "| Bell fitted | 6 euros |"
    found = await nearest_quotes(
        "price of a job: bell fitted",
        [hit("prices", head + row, start=400, repeated=len(head))],
        HashingEmbedder(),
        least=0.1,
    )
    assert [(quote.quote, quote.start, quote.end) for quote in found] == [(row, 400, 400 + len(row))]


async def test_what_is_not_near_enough_is_not_found() -> None:
    hits = [hit("privacy", "We keep videos for 72 hours.")]
    assert await nearest_quotes("lasagne for six", hits, HashingEmbedder(), least=0.5) == []
    assert await nearest_quotes("lasagne for six", [], HashingEmbedder()) == []


async def test_a_sentence_that_is_worth_much_less_is_left_out() -> None:
    hits = [hit("privacy", "We keep videos for 72 hours."), hit("pumps", "Pumps are tall.")]
    found = await nearest_quotes("we keep videos for how many hours", hits, HashingEmbedder(), least=0.1)
    assert [quote.document for quote in found] == ["privacy"]


async def test_another_document_speaks_beside_the_nearest_only_where_it_may() -> None:
    hits = [hit("privacy", "We keep videos inside."), hit("shop", "We keep videos outside.")]
    embedder = HashingEmbedder()
    alone = await nearest_quotes("do we keep videos", hits, embedder, least=0.1)
    both = await nearest_quotes("do we keep videos", hits, embedder, least=0.1, among={"privacy", "shop"})
    assert len(alone) == 1
    assert [quote.document for quote in both] == ["privacy", "shop"]


def test_a_question_that_the_hits_speak_of_has_a_higher_value_than_one_they_do_not() -> None:
    hits = [hit("privacy", "We keep videos for 72 hours."), hit("pumps", "Pumps are tall and red.")]
    assert answerable("how long do we keep videos", hits) > answerable("how long do we keep lions", hits)
    assert answerable("who won the cup", hits) < 0.6
    assert answerable("how long do we keep videos", []) == 0.0
