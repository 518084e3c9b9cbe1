"""An answer without support is taken back for the nearest passage's words; a supported one is left alone."""

from stretto.context import Run, RunContext
from stretto.documents import Chunk, Document, Hit, Look
from stretto.events import Event, Retracted, TextDelta
from stretto.messages import Message
from stretto.nodes import quote
from stretto.results import Citation
from stretto.testing import HashingEmbedder

TEXT = "Bells are loud. We keep the videos from the door for 72 hours. Then they are deleted. Pumps are tall."
HIT = Hit(Document("privacy.md", title="Privacy"), Chunk("c", "privacy.md", TEXT, 0, len(TEXT)), 0.9)
QUESTION = "for how many hours do you keep the videos from the door"


def state(**more) -> dict:
    answer = Message("assistant", "For ever 👋🏽.", id="a")
    return {"messages": [answer], "question": QUESTION, "hits": [HIT], "output": answer.text, **more}


async def test_the_answer_is_taken_back_exactly_and_the_source_speaks() -> None:
    events: list[Event] = []
    update = await quote(HashingEmbedder())(state(), RunContext(Run(sink=events.append)))
    assert "72 hours" in update["output"]
    assert update["output"].startswith("Privacy: ")
    (citation,) = update["citations"]
    assert TEXT[citation.start : citation.end] == citation.quote
    shown = "For ever 👋🏽."
    for event in events:
        if isinstance(event, Retracted):
            shown = shown[: len(shown) - event.length]
        elif isinstance(event, TextDelta):
            shown += event.text
    assert shown == update["output"]
    assert update["messages"][0].id == "a"
    assert update["messages"][0].text == update["output"]


async def test_what_is_supported_seen_in_a_picture_or_found_nowhere_is_left_alone() -> None:
    check = quote(HashingEmbedder())
    cited = Citation(1, "privacy.md", "c", "Bells are loud.")
    assert await check(state(citations=[cited]), RunContext()) == {}
    assert await check(state(looks=[Look("media:0", "a bell")]), RunContext()) == {}
    assert await check(state(hits=[]), RunContext()) == {}
    assert await quote(HashingEmbedder(), least=0.99)(state(), RunContext()) == {}
