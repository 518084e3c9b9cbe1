"""`remember` notes what a person says of themselves: with their consent, once, and bounded."""

import json
from typing import Any

import pytest

from stretto.context import Run, RunContext
from stretto.errors import ConfigError, ModelUnavailable
from stretto.messages import Message
from stretto.nodes import remember
from stretto.nodes.remember import CONSENT, key_of
from stretto.settings import Limits
from stretto.testing import HashingEmbedder, ScriptedModel
from stretto.threads.checkpoint.memories import Memories
from stretto.threads.stores import open_memories, open_store

SPACE = ("default", "ann", "notes")


class Down(HashingEmbedder):
    async def embed(self, texts: Any) -> Any:
        raise ModelUnavailable("the embedder cannot be reached; start it")


def agreed(state: Any, ctx: RunContext) -> bool:
    return True


def noting(*facts: tuple[str, str]) -> str:
    return json.dumps({"facts": [{"name": name, "text": text, "kind": "fact"} for name, text in facts]})


def saying(text: str) -> dict[str, Any]:
    return {"messages": [Message.user(text), Message.assistant("Noted: SECRET PLAN.")], "question": text}


def at(user: str = "ann", **more: Any) -> RunContext:
    return RunContext(Run(user=user, thread_id="t", id="r", **more), node="remember")


@pytest.fixture
async def saver() -> Any:
    async with open_store("memory", "") as opened:
        yield opened


@pytest.fixture
def store(saver: Any) -> Memories:
    return open_memories(saver, HashingEmbedder())


async def texts(store: Memories) -> list[str]:
    return [item.value["text"] for item in await store.asearch(SPACE, limit=100)]


async def test_what_a_person_says_is_noted_with_where_it_came_from(store: Memories) -> None:
    model = ScriptedModel(noting(("favourite drink", "Likes green tea.")))
    assert await remember(model, consent=agreed)(saying("I like green tea"), at(), store) == {}
    item = await store.aget(SPACE, key_of("Favourite_Drink"))
    assert item is not None and item.value == {
        "name": "favourite drink",
        "text": "Likes green tea.",
        "kind": "fact",
        "origin": "person",
        "thread": "t",
        "run": "r",
    }
    assert [found.key for found in await store.asearch(SPACE, query="green tea")] == [item.key]


async def test_the_model_reads_what_the_person_wrote_and_no_answer(store: Memories) -> None:
    model = ScriptedModel(noting(("pet", "Has a cat.")), noting())
    node = remember(model, consent=agreed)
    await node(saying("I have a cat"), at(), store)
    await node(saying("my cat is called Mio"), at(), store)
    first, second = (request.messages[-1].text for request in model.requests)
    assert first == "What the person wrote:\nI have a cat"
    assert second.startswith("Earlier notes:\n- pet: Has a cat.\n\nWhat the person wrote:")
    assert all("SECRET" not in message.text for request in model.requests for message in request.messages)
    assert model.requests[0].schema is not None and not model.requests[0].tools


async def test_nothing_is_noted_without_consent(store: Memories) -> None:
    model = ScriptedModel(noting(("a", "A fact.")))
    node = remember(model)
    await node(saying("I like tea"), at(), store)
    await remember(model, consent=lambda state, ctx: False)(saying("I like tea"), at(), store)
    await store.aput(("default", "ann"), CONSENT, {"given": "yes"})
    await node(saying("I like tea"), at(), store)
    assert model.requests == []
    await store.aput(("default", "ann"), CONSENT, {"given": True})
    await node(saying("I like tea"), at("bob"), store)
    await node(saying("I like tea"), at(tenant="other"), store)
    assert model.requests == []
    await node(saying("I like tea"), at(), store)
    assert await texts(store) == ["A fact."]


async def test_consent_may_be_asked_for_as_it_comes(store: Memories) -> None:
    async def consent(state: Any, ctx: RunContext) -> bool:
        return ctx.user == "ann"

    node = remember(ScriptedModel(noting(("a", "A fact."))), consent=consent)
    await node(saying("hello"), at("bob"), store)
    await node(saying("hello"), at("ann"), store)
    assert await texts(store) == ["A fact."]


async def test_nobody_nothing_and_nowhere_cost_no_call(store: Memories) -> None:
    node = remember(ScriptedModel(), consent=agreed)
    assert await node(saying("I like tea"), at(""), store) == {}
    assert await node(saying("I like tea"), at(), None) == {}
    assert await node(saying("  "), at(), store) == {}


async def test_a_note_of_the_same_name_or_meaning_is_replaced(store: Memories) -> None:
    script = [
        noting(("favourite drink", "Likes green tea.")),
        noting(("Favourite  Drink", "Likes black coffee now.")),
        noting(("home", "Lives in Oslo in Norway.")),
        noting(("city", "Lives in Oslo, in Norway!")),
        noting(("family", "Has two sisters.")),
    ]
    node = remember(ScriptedModel(*script), consent=agreed)
    for _ in script:
        await node(saying("something"), at(), store)
    assert await texts(store) == ["Has two sisters.", "Lives in Oslo, in Norway!", "Likes black coffee now."]


async def test_notes_are_bounded_in_number_and_length(store: Memories) -> None:
    many = [noting(*((f"{turn} {n}", f"Fact {turn} {n} " + "x" * 50) for n in range(9))) for turn in range(3)]
    node = remember(ScriptedModel(*many), consent=agreed, most=4, most_a_turn=3, length=20, near=2)
    for _ in many:
        await node(saying("something"), at(), store)
    assert await texts(store) == [
        *("Fact 2 2 xxxxxxxxxx…", "Fact 2 1 xxxxxxxxxx…", "Fact 2 0 xxxxxxxxxx…"),
        "Fact 1 2 xxxxxxxxxx…",
    ]


async def test_empty_notes_and_secrets_are_left_out(store: Memories) -> None:
    script = [
        noting(
            ("", "No name."), ("none", " "), ("key", "Has the key sk-abcdefghijklmnop1234."), ("ok", "a\n b")
        )
    ]
    await remember(ScriptedModel(*script), consent=agreed)(saying("something"), at(), store)
    assert await texts(store) == ["a b"]


@pytest.mark.parametrize(
    "answer", [ModelUnavailable("the model is down; start it"), "no JSON at all", '{"facts": 3}']
)
async def test_a_model_that_fails_does_not_fail_the_turn(store: Memories, answer: Any) -> None:
    ctx = at()
    update = await remember(ScriptedModel(answer), consent=agreed)(saying("I like tea"), ctx, store)
    (missing,) = update["missing"]
    assert missing.node == "remember" and missing.reason.startswith("what was said could not be remembered: ")
    assert ctx.run.missing == [missing]
    assert await texts(store) == []


async def test_an_embedder_that_is_down_costs_the_comparison_and_not_the_note(saver: Any) -> None:
    store = open_memories(saver, Down())
    node = remember(ScriptedModel(noting(("a", "A fact."), ("b", "Another."))), consent=agreed)
    update = await node(saying("I like tea"), at(), store)
    (missing,) = update["missing"]
    assert missing.reason == "notes of the same meaning could not be found: the embedder cannot be reached"
    assert set(await texts(store)) == {"A fact.", "Another."}


async def test_a_store_or_a_consent_that_fails_does_not_fail_the_turn(store: Memories) -> None:
    def broken(state: Any, ctx: RunContext) -> bool:
        raise KeyError("nobody")

    update = await remember(ScriptedModel(), consent=broken)(saying("I like tea"), at(), store)
    assert len(update["missing"]) == 1
    store._database.close()  # type: ignore[attr-defined]
    broken_store: Any = object()
    assert await remember(ScriptedModel())(saying("I like tea"), at(), broken_store)


async def test_notes_that_nobody_recalls_go_after_their_days(
    store: Memories, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("stretto.threads.checkpoint.memory_batch.time.time", lambda: now)
    node = remember(ScriptedModel(noting(("a", "A fact."))), consent=agreed, days=2)
    await node(saying("something"), at(), store)
    now += 2 * 86_400 - 1
    assert [item.key for item in await store.asearch(SPACE, refresh_ttl=False)]
    now += 2
    assert await texts(store) == []


def test_a_number_that_is_none_is_refused() -> None:
    for name, number in {"most": 0, "length": -1, "days": 0.0}.items():
        with pytest.raises(ConfigError, match=f"remember: {name} is"):
            remember(ScriptedModel(), **{name: number})


async def test_the_call_is_paid_by_the_run(store: Memories) -> None:
    ctx = at(limits=Limits(steps=5))
    await remember(ScriptedModel(noting()), consent=agreed)(saying("I like tea"), ctx, store)
    assert ctx.run.usage.calls == 1
