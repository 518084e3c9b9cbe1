import pytest

from stretto.documents import Chunk, Document, Hit
from stretto.knowledge import KnowledgeBase, attribute
from stretto.knowledge.words import content, words
from stretto.testing.embedder import HashingEmbedder

TEXTS = [
    ("## Refunds\n\nRefunds take 5 working days. We send them to the card you used.", ("Returns", "Refunds")),
    ("You may return a product within 30 days of delivery. It must be unused.", ("Returns",)),
    ("| Bicycle | Day | Week |\n| --- | --- | --- |\n| City bike | 18 euros | 80 euros |\n"
     "| E-bike | 39 euros | 185 euros |", ("Prices",)),
]  # fmt: skip
SHOP = Document("shop.md", title="Shop")


def _hit(number, text, path):
    start = 1000 * number
    return Hit(SHOP, Chunk(f"c{number}", "shop.md", text, start, start + len(text), None, path), 0.5)


HITS = [_hit(number, *pair) for number, pair in enumerate(TEXTS)]


async def cited(answer, **options):
    return [(c.number, c.quote) for c in await attribute(answer, HITS, **options)]


async def test_each_sentence_gets_the_sentence_it_rests_on():
    answer = "You can return it within thirty days. I can help you with that! Refunds take 5 working days."
    citations = await attribute(answer, HITS)
    assert [(c.number, c.chunk, c.quote) for c in citations] == [
        (1, "c1", "You may return a product within 30 days of delivery."),
        (2, "c0", "Refunds take 5 working days."),
    ]
    assert [answer[slice(*c.span)] for c in citations] == [
        "You can return it within thirty days.",
        "Refunds take 5 working days.",
    ]
    for citation in citations:
        hit = next(hit for hit in HITS if hit.chunk.id == citation.chunk)
        start = citation.start - hit.chunk.start
        assert hit.chunk.text[start : start + len(citation.quote)] == citation.quote


async def test_the_same_chunk_keeps_its_number():
    answer = "Refunds take 5 working days. You may return a product within 30 days. It is unused."
    found = await cited(answer)
    assert [number for number, _ in found] == [1, 2, 2]


@pytest.mark.parametrize(
    "answer",
    [
        *[
            "I can help you with that.",
            "Hello! How can I help you?",
            "Yes.",
            "",
            "The capital of France is Paris.",
        ],
        *["Refunds take 7 working days.", "You may return a product within 45 days.", "Is it 30 days?"],
    ],
)
async def test_what_has_no_support_is_not_cited(answer):
    assert await cited(answer) == []


@pytest.mark.parametrize("answer", ["30 days", "Within 30 days.", "Five working days."])
async def test_a_short_answer_is_cited(answer):
    assert len(await cited(answer)) == 1


async def test_a_row_of_a_table_is_quoted():
    assert await cited("An e-bike costs 185 euros for a week.") == [(1, "| E-bike | 39 euros | 185 euros |")]


async def test_numbers_of_the_question_need_no_source():
    answer = "You may return order 10342 within 30 days of delivery."
    assert await cited(answer) == []
    assert len(await cited(answer, question="Can I return order 10342?")) == 1


async def test_a_models_own_mark_is_checked_and_keeps_its_number():
    assert await cited("You may return a product within 30 days [2].") == [(2, TEXTS[1][0].split(" It")[0])]
    assert await cited("Refunds take 5 days. [1]") == [(1, "Refunds take 5 working days.")]
    assert await cited("The moon is made of cheese [2].") == []
    assert await cited("Refunds take 9 days [1].") == []
    assert await cited("Refunds take 5 days [77].") == [(1, "Refunds take 5 working days.")]


async def test_an_embedder_may_take_part():
    assert await cited("Refunds take 5 working days.", embedder=HashingEmbedder()) == [
        (1, "Refunds take 5 working days.")
    ]


async def test_citations_of_a_search_resolve(tmp_path):
    rows = "\n".join(f"| Bike {n} | {n * 10 + 1} euros |" for n in range(80))
    text = f"# Prices\n\nAll prices hold from May.\n\n| Name | Price |\n| --- | --- |\n{rows}\n"
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(Document(id="prices", text=text))
        hits = await kb.search("price of bike 71", top_k=5)
        citations = await attribute("Bike 71 costs 711 euros.", hits)
        assert citations[0].quote == "| Bike 71 | 711 euros |"
        assert (await kb.resolve(citations[0])).document.id == "prices"


def test_words_meet_in_one_form():
    assert words("Refunds, refunded!") == ["refund", "refund"]
    assert words("1,000 and 1000 and 3.50 and 3,5 and thirty") == [
        "1000",
        "and",
        "1000",
        "and",
        "3.5",
        "and",
        "3.5",
        "and",
        "30",
    ]
    assert content("I can help you with the two bikes") == {"2", "bik"}


async def test_a_neighbour_of_a_hit_is_cited_as_itself_under_the_hits_number():
    first, second, third = HITS
    wide = Hit(first.document, first.chunk, 0.5, {}, (first.chunk, second.chunk))
    found = await attribute("Return a product within 30 days of delivery [1].", [wide, third])
    assert [(c.number, c.chunk, c.quote) for c in found] == [
        (1, "c1", "You may return a product within 30 days of delivery.")
    ]


async def test_a_citation_tells_page_version_and_region():
    where = {"region": [0.1, 0.2, 0.9, 0.4], "version": "v1"}
    chunk = Chunk("c", "d", TEXTS[0][0], 10, 10 + len(TEXTS[0][0]), 4, (), where)
    (citation,) = await attribute(
        "Refunds take 5 working days.", [Hit(Document("d", version="v1"), chunk, 1.0)]
    )
    assert (citation.page, citation.version, citation.region) == (4, "v1", (0.1, 0.2, 0.9, 0.4))
