"""A mark or a quotation is shown only once it was checked; an answer without support says so."""

import random

import pytest

from stretto.context import Run, RunContext
from stretto.documents import Chunk, Document, Hit
from stretto.events import Cited, Event, Retracted, TextDelta
from stretto.messages import Message
from stretto.models.protocol import Reply, RetractPiece, TextPiece
from stretto.nodes import Citing, llm
from stretto.nodes.cited import CheckedModel
from stretto.testing import ScriptedModel
from stretto.usage import Usage

TEXTS = [
    "Refunds take 5 working days. They go to the card that was used.",
    "You may return a product within 30 days of delivery. It must be unused.",
    "The shop opens at 9 in the morning and closes at 18.",
]
HITS = [
    Hit(Document(f"d{n}", title="Shop"), Chunk(f"c{n}", f"d{n}", text, 0, len(text)), 0.5, {"dense": 0.6})
    for n, text in enumerate(TEXTS)
]
QUESTION = "How long do refunds take?"


async def answered(said: str, citing: Citing | bool = True, *, question: str = QUESTION, hits=HITS, **more):
    """The node's update and its events."""
    events: list[Event] = []
    ctx = RunContext(Run(sink=events.append), node="answer")
    model = ScriptedModel(said)
    state = {"messages": [Message.user(question)], "question": question, "hits": list(hits), **more}
    update = await llm(model, cite=citing)(state, ctx)
    return update, events, model


def shown(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Refunds take 5 working days [1].", "Refunds take 5 working days [1]."),
        ("Refunds take 5 working days. [1]", "Refunds take 5 working days. [1]"),
        ("Refunds take 5 working days [7].", "Refunds take 5 working days."),
        ("Refunds take 5 working days [3].", "Refunds take 5 working days."),
        ("Refunds take 5 working days [1, 3].", "Refunds take 5 working days [1]."),
        ("Refunds take 8 working days [1].", "Refunds take 8 working days."),
        ("[1] Refunds take 5 working days.", " Refunds take 5 working days."),
        ("Take list[0] and [x] and [", "Take list[0] and [x] and ["),
        ("```\nx = row[2]\n```", "```\nx = row[2]\n```"),
        ("See [here](http://a.example/) or [2024-05].", "See [here](http://a.example/) or [2024-05]."),
    ],
)
async def test_a_mark_stays_where_its_passage_says_so(said, kept):
    update, events, _ = await answered(said)
    assert update["output"] == update["messages"][-1].text == shown(events) == kept.lstrip() or kept == shown(
        events
    )
    assert not any(isinstance(event, Retracted) for event in events)


async def test_by_the_other_policy_a_false_mark_is_told_to_be_unchecked():
    update, _, _ = await answered("Refunds take 5 working days [1, 7].", Citing(policy="mark"))
    assert update["output"] == "Refunds take 5 working days [1, 7?]."


@pytest.mark.parametrize(
    ("said", "kept", "marked"),
    [
        ('It says "They go to the card that was used".', None, None),
        ('It says "They go to another card that you like".', "It says They go to another card that you like.",
         'It says "They go to another card that you like" [?].'),
        ("It says \u201cThey may go to the card that was used\u201d.", 
         "It says They may go to the card that was used.",
         "It says \u201cThey may go to the card that was used\u201d [?]."),
        ('A "smart" shop, 5" wide and 6" long.', None, None),
        ('You ask "How long do refunds take".', None, None),
        ('It begins "and never ends', None, None),
    ],
)  # fmt: skip
async def test_a_quotation_stays_one_where_a_passage_says_it_word_for_word(said, kept, marked):
    update, events, _ = await answered(said)
    assert update["output"] == shown(events) == (kept or said)
    update, _, _ = await answered(said, Citing(policy="mark"))
    assert update["output"] == (marked or said)


async def test_a_hundred_invented_marks_never_reach_the_stream():
    chance = random.Random(3)
    for _ in range(100):
        number = chance.choice([*range(4, 100), 2, 3])
        update, events, _ = await answered(
            f"Refunds take 5 working days [{number}]. They go to the card [1]."
        )
        assert f"[{number}]" not in shown(events)
        assert "[1]" in update["output"]
        assert {cited.citation.chunk for cited in events if isinstance(cited, Cited)} == {"c0"}


async def test_a_hundred_altered_quotations_never_reach_the_stream_as_such():
    chance = random.Random(4)
    words = ["They", "go", "to", "the", "card", "that", "was", "used"]
    for _ in range(100):
        at = chance.randrange(len(words))
        altered = " ".join([*words[:at], chance.choice(["never", "always", "red"]), *words[at + 1 :]])
        _, events, _ = await answered(f'The rule is "{altered}" here.')
        assert f'"{altered}"' not in shown(events)


async def test_every_citation_was_retrieved_in_this_turn_and_comes_after_its_sentence():
    update, events, _ = await answered("Refunds take 5 working days [1]. Return it within 30 days [2].")
    told = [event.citation for event in events if isinstance(event, Cited)]
    assert told == update["citations"]
    assert [(citation.number, citation.chunk) for citation in told] == [(1, "c0"), (2, "c1")]
    assert [update["output"][slice(*citation.span)] for citation in told] == [
        "Refunds take 5 working days [1].",
        "Return it within 30 days [2].",
    ]


async def test_a_function_that_sees_no_support_leaves_no_citation():
    async def never(source: str, claim: str) -> bool:
        return False

    update, _, _ = await answered("Refunds take 5 working days [1].", Citing(entails=never))
    assert update["citations"] == []
    assert update["output"] == "Refunds take 5 working days."


async def test_no_model_is_asked_where_no_passage_speaks_of_the_question():
    citing = Citing(abstain=0.9)
    far = [Hit(hit.document, hit.chunk, 0.1, {"dense": 0.1}) for hit in HITS]
    update, events, model = await answered("never said", citing, question="Who won the cup?", hits=far)
    assert update["output"] == shown(events) == citing.abstention
    assert model.requests == []
    update, _, model = await answered("Refunds take 5 working days.", citing)
    assert update["output"] == "Refunds take 5 working days."


async def test_an_answer_that_no_passage_supports_is_taken_back_or_marked():
    said = "They are paid in golden coins by the captain."
    update, events, _ = await answered(said, Citing(abstain=0.5))
    assert update["output"] == update["messages"][-1].text == Citing().abstention
    assert any(isinstance(event, Retracted) and event.length == len(said) for event in events)
    update, events, _ = await answered(said, Citing(abstain=0.5, policy="mark"))
    assert update["output"] == shown(events) == f"{said}\n\n({Citing().abstention})"
    update, _, _ = await answered(said)
    assert update["output"] == said


class Pieces:
    """A model that streams given pieces."""

    name, capabilities = "test:pieces", ScriptedModel().capabilities

    def __init__(self, pieces, text):
        self.pieces, self.text = pieces, text

    async def stream(self, messages, *, tools=(), schema=None, settings=None):
        for piece in self.pieces:
            yield piece
        yield Reply(Message.assistant(self.text), Usage())

    async def close(self) -> None:
        pass


async def played(pieces, text: str) -> tuple[str, str]:
    """What was shown in the end, and the reply's text."""
    seen, reply = "", ""
    async for piece in CheckedModel(Pieces(pieces, text), HITS, QUESTION, Citing()).stream([]):
        if isinstance(piece, TextPiece):
            seen += piece.text
        elif isinstance(piece, RetractPiece):
            seen = seen[: len(seen) - piece.length]
        elif isinstance(piece, Reply):
            reply = piece.message.text
    return seen, reply


async def test_however_the_text_is_cut_the_same_is_shown():
    text = 'Refunds take 5 working days [1]. Or 9 [4]. "They go to a card that you like" [2].'
    whole = await played([TextPiece(text)], text)
    for size in (1, 2, 3, 7):
        parts = [TextPiece(text[at : at + size]) for at in range(0, len(text), size)]
        assert await played(parts, text) == whole
    assert whole[0] == whole[1] == "Refunds take 5 working days [1]. Or 9. They go to a card that you like."


async def test_what_the_model_takes_back_is_taken_back_as_it_was_shown():
    first, second = "Refunds take 9 days [1] and", "Refunds take 5 working days [1]."
    pieces = [TextPiece(first), RetractPiece(len(first)), TextPiece(second)]
    assert await played(pieces, second) == (second, second)
    pieces = [TextPiece("Refunds take 5 working days [7"), RetractPiece(2), TextPiece("[1].")]
    assert await played(pieces, second) == (second, second)
