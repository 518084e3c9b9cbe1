"""Quotes stand below an answer that does not say them, or instead of one that nothing supports."""

from stretto.context import Run, RunContext
from stretto.documents import Chunk, Document, Hit, Look
from stretto.events import Event, Retracted, TextDelta
from stretto.messages import Message, Text, ToolResult
from stretto.nodes import quote
from stretto.results import Citation
from stretto.testing import HashingEmbedder

TEXT = "Bells are loud. We keep the videos from the door for 72 hours. Then they are deleted. Pumps are tall."
HIT = Hit(Document("privacy.md", title="Privacy"), Chunk("c", "privacy.md", TEXT, 0, len(TEXT)), 0.9)
QUESTION = "for how many hours do you keep the videos from the door"
KEPT = "We keep the videos from the door for 72 hours."
CITED = Citation(1, "privacy.md", "c", "Bells are loud.", span=(0, 9))


def state(answer: str = "For ever 👋🏽.", **more) -> dict:
    last = Message("assistant", answer, id="a")
    return {"messages": [last], "question": QUESTION, "hits": [HIT], "output": answer, **more}


def shown(events: list[Event], before: str) -> str:
    for event in events:
        if isinstance(event, Retracted):
            before = before[: len(before) - event.length]
        elif isinstance(event, TextDelta):
            before += event.text
    return before


async def test_a_made_up_answer_is_taken_back_exactly_and_the_source_speaks() -> None:
    events: list[Event] = []
    update = await quote(HashingEmbedder())(state(), RunContext(Run(sink=events.append)))
    assert update["output"].startswith(f"Privacy: “{KEPT}")
    (citation, *_) = update["citations"]
    assert TEXT[citation.start : citation.end] == citation.quote
    assert shown(events, "For ever 👋🏽.") == update["output"]
    assert update["messages"][0].id == "a"
    assert update["messages"][0].text == update["output"]


async def test_below_an_answer_stands_the_sentence_that_it_leaves_out() -> None:
    events: list[Event] = []
    run = RunContext(Run(sink=events.append))
    update = await quote(HashingEmbedder(), most=1)(state("They are kept.", citations=[CITED]), run)
    assert update["output"] == f"They are kept.\n\nPrivacy: “{KEPT}”"
    first, added = update["citations"]
    assert first == CITED
    assert added.number == CITED.number  # the same passage keeps its mark
    assert update["output"][slice(*added.span)] == f"Privacy: “{KEPT}”"
    assert shown(events, "They are kept.") == update["output"]
    assert not any(isinstance(event, Retracted) for event in events)


async def test_an_answer_that_says_what_the_sentence_says_is_left_alone() -> None:
    answer = "We keep the videos from the door for 72 hours."
    assert await quote(HashingEmbedder(), most=1)(state(answer, citations=[CITED]), RunContext()) == {}


async def test_what_is_found_nowhere_or_not_near_is_left_alone() -> None:
    assert await quote(HashingEmbedder())(state(hits=[]), RunContext()) == {}
    assert await quote(HashingEmbedder(), least=0.99)(state(), RunContext()) == {}


async def test_a_picture_that_holds_the_answer_speaks_for_it_and_the_documents_do_not() -> None:
    look = Look("media:0", "", "ocr", ("SLIP", "Videos from the door 71", "Thank you"))
    answer = "The videos from the door: 71."
    assert await quote(HashingEmbedder(), most=1)(state(answer, looks=[look]), RunContext()) == {}
    update = await quote(HashingEmbedder(), most=1)(state("It is 27.", looks=[look]), RunContext())
    assert "In the picture “SLIP”: “Videos from the door 71”" in update["output"]
    assert "Privacy: " in update["output"]


async def test_of_the_lines_of_a_picture_at_most_two_are_quoted() -> None:
    lines = ("FORM", *(f"the videos from the door: {hours} hours" for hours in (70, 71, 72, 73)))
    look = Look("media:0", "", "ocr", lines)
    update = await quote(HashingEmbedder(), most=4)(state("Look here.", looks=[look]), RunContext())
    assert update["output"].count("In the picture") == 2


async def test_rows_of_a_table_are_told_with_the_names_of_their_columns() -> None:
    table = "| Job | Price |\n|---|---|\n| Bell fitted | 6 euros |\n| Puncture repair | 16 euros |"
    hit = Hit(Document("prices.md", title="Prices"), Chunk("t", "prices.md", table, 0, len(table)), 0.9)
    asked = state("Not much.", hits=[hit]) | {"question": "what is the price of a puncture repair"}
    update = await quote(HashingEmbedder(), most=1, least=0.1)(asked, RunContext())
    assert update["output"] == "Prices: Job: Puncture repair; Price: 16 euros"
    assert update["citations"][0].quote == "| Puncture repair | 16 euros |"


async def test_what_a_tool_said_is_not_held_against_the_documents() -> None:
    asked = state("For ever 👋🏽.")
    told = [Message.user(QUESTION), Message.tool(ToolResult("1", (Text("for ever"),))), *asked["messages"]]
    assert await quote(HashingEmbedder())(asked | {"messages": told}, RunContext()) == {}
