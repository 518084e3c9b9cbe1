"""The question is put by itself, or taken apart, before it is searched; nobody sees how."""

import pytest

from stretto.context import Run, RunContext
from stretto.documents import Document
from stretto.events import Event, Retrieved, TextDelta
from stretto.graph import END, START, Conversation, Graph
from stretto.graph.state import new_turn
from stretto.knowledge import KnowledgeBase
from stretto.messages import Message
from stretto.nodes import retrieve, rewrite
from stretto.nodes.retrieve import merged
from stretto.testing import HashingEmbedder, ScriptedModel

TALK = [
    Message.user("What does the wheel course cost?"),
    Message.assistant("It costs 35 euros."),
    Message.user("And how long does it take?"),
]


@pytest.fixture
async def kb(tmp_path):
    async with KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder()) as base:
        await base.add(
            Document("course", "The wheel course takes three evenings."),
            Document("rental", "The rental of a city bicycle costs 18 euros."),
            Document("repair", "A repair takes one week."),
        )
        yield base


async def queries(model, state, **options):
    events: list[Event] = []
    ctx = RunContext(Run(sink=events.append), node="rewrite")
    update = await rewrite(model, **options)(state, ctx)
    assert not any(isinstance(event, TextDelta) for event in events)
    return update["queries"], ctx


async def test_a_question_that_leans_on_the_talk_is_put_by_itself():
    model = ScriptedModel('{"queries": ["How long does the wheel course take?"]}')
    found, ctx = await queries(model, {"messages": TALK, "question": TALK[-1].text})
    assert found == ["How long does the wheel course take?"]
    assert "wheel course" in model.requests[0].messages[-1].text
    assert ctx.run.usage.calls == 1


async def test_a_question_for_several_things_is_taken_apart_up_to_a_limit():
    said = '{"queries": ["fees of A", "fees of  A", "fees of B", "fees of C"]}'
    state = {"messages": [Message.user("Compare the fees of A, B and C")]}
    found, _ = await queries(ScriptedModel(said), state, most=2)
    assert found == ["fees of A", "fees of B"]


@pytest.mark.parametrize(
    "said", ["I would search for fees.", "{}", '{"queries": [1]}', '{"queries": ["", " "]}']
)
async def test_the_question_stays_where_the_model_says_nothing_of_use(said):
    found, _ = await queries(ScriptedModel(said), {"messages": [Message.user("What are the fees?")]})
    assert found == ["What are the fees?"]


async def test_each_query_is_searched_and_their_best_hits_come_first(kb):
    events: list[Event] = []
    ctx = RunContext(Run(sink=events.append), node="search")
    asked = ["how long does the wheel course take", "what costs the rental of a city bicycle"]
    state = {"messages": TALK, "question": TALK[-1].text, "queries": asked}
    hits = (await retrieve(kb, top_k=2)(state, ctx))["hits"]
    assert [hit.document.id for hit in hits] == ["course", "rental"]
    assert [event.query for event in events if isinstance(event, Retrieved)] == ["\n".join(asked)]


async def test_a_passage_that_two_searches_find_comes_once(kb):
    first, second = await kb.search("wheel course", top_k=3), await kb.search("rental", top_k=3)
    found = merged([first, second])
    assert [found[0], found[1]] == [first[0], second[0]]
    assert len({hit.chunk.id for hit in found}) == len(found) == 3


async def test_in_a_graph_the_queries_of_one_turn_do_not_stay_for_the_next(kb):
    model = ScriptedModel('{"queries": ["how long does the wheel course take"]}', "no JSON")
    graph = (
        Graph(Conversation)
        .add_node("rewrite", rewrite(model))
        .add_node("search", retrieve(kb, top_k=1))
        .add_edge(START, "rewrite")
        .add_edge("rewrite", "search")
        .add_edge("search", END)
        .compile()
    )
    found = await graph.ainvoke(new_turn("And how long?"))
    assert [hit.document.id for hit in found["hits"]] == ["course"]
    found = await graph.ainvoke({**found, **new_turn("rental of a bicycle")})
    assert found["queries"] == ["rental of a bicycle"]
    assert [hit.document.id for hit in found["hits"]] == ["rental"]


async def test_neighbours_come_with_the_hits_where_they_are_asked_for(tmp_path):
    async with KnowledgeBase(tmp_path / "wide", embedder=HashingEmbedder()) as base:
        text = "# A\n\n" + "\n\n".join(f"Paragraph {word} " * 40 for word in ("one", "two", "three"))
        await base.add(Document("long", text))
        ctx = RunContext(Run(), node="search")
        hits = (await retrieve(base, top_k=1, expand=1)({"messages": [Message.user("paragraph two")]}, ctx))[
            "hits"
        ]
    assert len(hits[0].around) > 1
