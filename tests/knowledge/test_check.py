"""No citation is believed because somebody wrote it: source, quote, numbers, names, meaning are checked."""

import random

import msgspec
import pytest

from stretto.documents import Chunk, Document, Hit
from stretto.knowledge import KnowledgeBase, attribute, check_citation
from stretto.knowledge.check import names, verbatim
from stretto.results import Citation
from stretto.testing.embedder import HashingEmbedder

TEXT = "Refunds take 5 working days. Anna Meier sends them \u201cto the card\u201d you used\u2014not another."
HIT = Hit(Document("a.md", title="Shop"), Chunk("c1", "a.md", TEXT, 100, 100 + len(TEXT)), 1.0)


def citation(**fields) -> Citation:
    given = {"number": 1, "document": "a.md", "chunk": "c1", "quote": "Refunds take 5 working days."}
    return Citation(**(given | fields))


async def faults(answer: str = "", question: str = "", entails=None, **fields) -> tuple[str, ...]:
    told = citation(span=(0, len(answer)), **fields)
    checked = await check_citation(told, [HIT], answer=answer, question=question, entails=entails)
    assert checked.holds is not bool(checked.faults)
    return checked.faults


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, ()),
        ({"quote": "Anna Meier sends them  \"to the card\"\nyou used - not"}, ("altered_quote",)),
        ({"quote": "sends them \"to the card\" you used-not another"}, ()),
        ({"chunk": "c2"}, ("unknown_source",)),
        ({"document": "b.md"}, ("unknown_source",)),
        ({"version": "old"}, ("unknown_source",)),
        ({"quote": ""}, ("altered_quote",)),
        ({"quote": "..."}, ("altered_quote",)),
        ({"start": 100, "end": 128}, ()),
        ({"start": 101, "end": 129}, ("altered_quote",)),
        ({"start": 5, "end": 33}, ("altered_quote",)),
    ],
)  # fmt: skip
async def test_source_and_quote_have_to_be_there(fields, wrong):
    assert await faults(**fields) == wrong


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ("It takes five days.", ()),
        ("It takes 7 days.", ("missing_number",)),
        ("It is sent by Anna Meier.", ()),
        ("It is sent by Otto Meier.", ("missing_name",)),
        ("It is sent by Otto in 9 days.", ("missing_number", "missing_name")),
        ("Otto sends it.", ()),  # the first word of a sentence is written large in any case
    ],
)
async def test_numbers_and_names_of_the_claim_have_to_stand_there(answer, wrong):
    assert await faults(answer) == wrong


async def test_what_the_question_says_needs_no_source():
    assert await faults("For order 77 of Otto it is 5 days.", "When does Otto get money for order 77?") == ()


async def test_a_function_may_say_that_the_claim_does_not_follow():
    async def never(source: str, claim: str) -> bool:
        return False

    assert await faults("It takes 5 days.", entails=never) == ("not_entailed",)
    assert await faults("It takes 6 days.", entails=never) == ("missing_number",)


def test_names_are_not_looked_for_where_every_noun_is_written_large():
    source = "Die Erstattung der Ware dauert f\u00fcnf Tage, wenn das Paket im Lager der Firma ist."
    assert names("Nach der Lieferung dauert es eine Woche.", source) == set()


def test_a_quote_is_verbatim_whatever_its_marks_and_spaces():
    assert verbatim('"to  the\u00a0card" you', TEXT)
    assert verbatim("5 work\u00ading days", TEXT)
    assert not verbatim("5 days", TEXT)
    assert not verbatim("refunds take", TEXT)


SENTENCES = [
    f"The {kind} bicycle number {number} costs {17 * number + 3} euros a week and weighs {number + 9} kilos."
    for number, kind in enumerate(["red", "green", "blue", "grey", "black"] * 20)
]


@pytest.fixture
async def found(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as kb:
        await kb.add(*(Document(f"bike-{n}", text) for n, text in enumerate(SENTENCES)))
        yield kb, await kb.search("what does a bicycle cost a week", top_k=100)


async def real_citations(hits) -> list[Citation]:
    return [(await attribute(hit.text, [hit]))[0] for hit in hits]


async def test_every_real_citation_holds_and_resolves(found):
    kb, hits = found
    for hit, told in zip(hits, await real_citations(hits), strict=True):
        assert (await check_citation(told, hits, answer=hit.text)).holds
        assert (await kb.resolve(told)).chunk.id == hit.chunk.id


async def test_a_hundred_invented_ids_are_caught(found):
    _, hits = found
    chance = random.Random(5)
    caught = 0
    for told in await real_citations(hits):
        other = "".join(chance.choice("0123456789abcdef") for _ in told.chunk)
        changes = chance.choice(
            [{"chunk": other}, {"document": told.document + "0"}, {"chunk": other, "document": "x"}]
        )
        invented = msgspec.structs.replace(told, **changes)
        caught += (await check_citation(invented, hits)).faults == ("unknown_source",)
    assert caught == len(hits) == 100


async def test_a_hundred_altered_quotes_are_caught(found):
    _, hits = found
    chance = random.Random(6)
    caught = 0
    for told in await real_citations(hits):
        words = told.quote.split()
        at = chance.randrange(len(words))
        changed = chance.choice(
            [
                [*words[:at], "not", *words[at:]],
                [*words[:at], *words[at + 1 :]] if 0 < at < len(words) - 1 else [*words, "always"],
                [*words[:at], words[at] + "s", *words[at + 1 :]],
                [*words[:2], *reversed(words[2:])],
            ]
        )
        altered = msgspec.structs.replace(told, quote=" ".join(changed), start=0, end=0)
        caught += (await check_citation(altered, hits)).faults == ("altered_quote",)
    assert caught == len(hits) == 100
