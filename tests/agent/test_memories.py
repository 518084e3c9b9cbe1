"""What an agent remembers of its users: across threads and restarts, theirs alone, forgotten at a word."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stretto import Agent, RunContext
from stretto._internal import faults
from stretto.agent import memories_of, threads_of
from stretto.errors import ConfigError, ThreadError
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message
from stretto.nodes import llm, recall, remember
from stretto.testing import HashingEmbedder, ScriptedModel


def noted(request: Any) -> str:
    """A model that notes each sentence of what it was told, word for word."""
    said = request.messages[-1].text.partition("What the person wrote:\n")[2]
    facts = [{"name": text, "text": text, "kind": "fact"} for text in said.split(". ")]
    return json.dumps({"facts": facts})


def echo(request: Any) -> str:
    """A model that says what it was shown last."""
    return request.messages[-1].text


def remembering(**options: Any) -> Graph:
    notes = ScriptedModel(otherwise=noted)
    return (
        Graph()
        .add_node("recall", recall())
        .add_node("answer", llm(ScriptedModel(otherwise=echo)))
        .add_node("remember", remember(notes, **options))
        .add_edge(START, "recall")
        .add_edge("recall", "answer")
        .add_edge("answer", "remember")
        .add_edge("remember", END)
    )


class Killed(BaseException):
    """Which no node holds up."""


def agreed(state: Any, ctx: RunContext) -> bool:
    return True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "threads.sqlite"


async def test_what_is_said_in_one_thread_is_known_in_another_after_a_restart(path: Path) -> None:
    async with Agent(remembering(consent=agreed), threads=path, embedder=HashingEmbedder()) as agent:
        await agent.run("I have a cat. I drink tea", thread_id="a", user="ann")
    async with Agent(remembering(consent=agreed), threads=path, embedder=HashingEmbedder()) as agent:
        result = await agent.run("who is my cat?", thread_id="b", user="ann")
        assert "- I have a cat\n- I drink tea\n</notes>\n\nwho is my cat?" in result.output
        assert result.path == ("recall", "answer", "remember")
        assert result.state["recalled"] == ["I have a cat", "I drink tea"]
        said = [message.text for message in await agent.messages("b") if message.role == "user"]
        assert said == ["who is my cat?"]
        assert "<notes>" not in (await agent.run("who is my cat?", thread_id="c", user="bob")).output
        assert "<notes>" not in (await agent.run("my cat?", thread_id="d", user="ann", tenant="acme")).output
        assert "<notes>" not in (await agent.run("who is my cat?", thread_id="e")).output


async def test_nothing_is_remembered_of_who_did_not_agree_or_took_it_back(path: Path) -> None:
    async with Agent(remembering(), threads=path) as agent:
        await agent.run("I have a cat", user="ann")
        async with memories_of(agent, user="ann") as memories:
            assert not await memories.consent()
            assert await memories.list() == []
            assert await memories.consent(True)
            await agent.run("I drink tea", user="ann")
            assert [memory.text for memory in await memories.list()] == ["I drink tea"]
            assert not await memories.consent(False)
            await agent.run("I have a dog", user="ann")
            assert [memory.text for memory in await memories.list()] == ["I drink tea"]
            await memories.consent(True)
            assert await memories.forget() == 1
            assert not await memories.consent()
            await agent.run("I have a bird", user="ann")
            assert await memories.list() == []


async def test_memories_are_listed_searched_and_forgotten(path: Path) -> None:
    async with Agent(remembering(consent=agreed), threads=path, embedder=HashingEmbedder()) as agent:
        await agent.run("I have a cat. I drink green tea. I live in Oslo", user="ann")
        await agent.run("I have a dog", user="bob")
    async with memories_of(path, user="ann", embedder=HashingEmbedder()) as memories:
        found = await memories.list()
        assert {memory.text for memory in found} == {"I have a cat", "I drink green tea", "I live in Oslo"}
        assert {(memory.kind, memory.namespace) for memory in found} == {("fact", "notes")}
        assert len(await memories.list(2)) == 2
        best, *_ = await memories.search("green tea")
        assert best.text == "I drink green tea" and best.score is not None and best.score > 0.5
        assert await memories.forget("I have a cat", best.key, "I have a dog") == 2
        assert [memory.text for memory in await memories.list()] == ["I live in Oslo"]
    async with memories_of(path, user="bob") as memories:
        assert [memory.text for memory in await memories.search("anything")] == ["I have a dog"]


async def test_a_node_written_for_langgraph_gets_the_same_store(path: Path) -> None:
    async def visits(state: Conversation, ctx: RunContext, store: Any) -> Conversation:
        item = await store.aget((*ctx.namespace, "own"), "visits")
        count = (item.value["count"] if item else 0) + 1
        await store.aput((*ctx.namespace, "own"), "visits", {"count": count})
        return {"output": str(count), "messages": [Message.assistant(str(count))]}

    graph = Graph().add_node("visits", visits).add_edge(START, "visits").add_edge("visits", END)
    for threads in (path, "memory"):
        async with Agent(graph, threads=threads) as agent:
            assert (await agent.run("hello", user="ann")).output == "1"
            assert (await agent.run("hello", user="ann", thread_id="t")).output == "2"
            assert (await agent.run("hello", user="ann.b@example.org")).output == "1"
            with pytest.raises(ConfigError, match=r"this run is for no user; give run\(\.\.\., user="):
                await agent.run("hello", thread_id="u")
            async with memories_of(agent, user="ann") as memories:
                (memory,) = await memories.list()
                assert (memory.name, memory.text, memory.namespace) == ("visits", '{"count": 2}', "own")


async def test_a_turn_goes_on_for_its_user_after_a_failure_and_by_the_next_process(path: Path) -> None:
    fails = [True]

    async def work(state: Conversation, ctx: RunContext) -> Conversation:
        if fails.pop() if fails else False:
            raise OSError("down")
        return {"output": f"{ctx.run.tenant}/{ctx.user}", "messages": [Message.assistant("done")]}

    graph = Graph().add_node("work", work).add_edge(START, "work").add_edge("work", END)
    async with Agent(graph, threads=path) as agent:
        with pytest.raises(OSError, match="down"):
            await agent.run("hello", thread_id="t", tenant="acme", user="ann")
        assert (await agent.resume("t", tenant="acme", user="ann")).output == "acme/ann"
        started = await agent.start("hello", thread_id="t", tenant="acme", user="ann")
        assert (await agent.result(started.run_id)).output == "acme/ann"


async def test_deleting_a_user_takes_threads_and_memories_and_nobody_elses(path: Path) -> None:
    async with Agent(remembering(consent=agreed), threads=path) as agent:
        for thread, tenant, user in (("a", "default", "ann"), ("b", "default", "bob"), ("c", "acme", "ann")):
            await agent.run("I have a cat", thread_id=thread, tenant=tenant, user=user)
        await agent.run("and more", thread_id="a")  # by nobody in particular: it stays ann's
        async with threads_of(agent) as threads:
            assert await threads.delete_of(user="ann") == ["a"]
            assert {row.thread_id for row in await threads.list()} == {"b", "c"}
        for user, tenant, left in (("ann", "default", 0), ("bob", "default", 1), ("ann", "acme", 1)):
            async with memories_of(agent, user=user, tenant=tenant) as memories:
                assert len(await memories.list()) == left


async def test_an_embedder_may_be_named_and_is_closed_with_the_agent(path: Path) -> None:
    given = HashingEmbedder()
    agent = Agent(remembering(consent=agreed), threads=path, embedder=lambda: given)
    await agent.run("I have a cat", user="ann")
    assert given.texts
    await agent.close()
    assert given.closed
    async with Agent(remembering(consent=agreed), threads=path, embedder="nobody:x") as named:
        result = await named.run("I have a cat", user="ann")
        assert "no provider `nobody`" in result.missing[0].reason


@pytest.mark.parametrize("user", ["", "a\ud800", "x" * 501])
async def test_a_user_who_is_none_is_refused(path: Path, user: str) -> None:
    async with Agent(remembering(), threads=path) as agent:
        with pytest.raises(ConfigError, match="user"):
            async with memories_of(agent, user=user):
                pass
        if user:
            with pytest.raises(ConfigError, match="the user"):
                await agent.run("hello", user=user)
    async with Agent(remembering(), threads=None) as forgetful:
        assert (await forgetful.run("hello", user="ann")).status == "done"
        with pytest.raises(ThreadError, match="keeps no threads"):
            async with memories_of(forgetful, user="ann"):
                pass


NAMES = st.text(st.sampled_from("ab/.%*0 "), min_size=1, max_size=4)
WHO = st.tuples(NAMES, NAMES)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(WHO, min_size=2, max_size=6), forgets=WHO)
async def test_nothing_leaks_between_tenants_and_users(
    said: list[tuple[str, str]], forgets: tuple[str, str]
) -> None:
    """Whatever their names hold: each recalls, finds, lists and forgets what they said, and only that."""
    graph = remembering(consent=agreed, near=2)
    async with Agent(graph, threads="memory", embedder=HashingEmbedder()) as agent:
        for number, (tenant, user) in enumerate(said):
            await agent.run(f"secret number {number}", tenant=tenant, user=user)
        async with memories_of(agent, tenant=forgets[0], user=forgets[1]) as memories:
            await memories.forget()
        for tenant, user in {*said, forgets}:
            own = {f"secret number {at}" for at, who in enumerate(said) if who == (tenant, user) != forgets}
            async with memories_of(agent, tenant=tenant, user=user) as memories:
                assert {memory.text for memory in await memories.list()} == own
                assert {memory.text for memory in await memories.search("secret number", 20)} == own
            answer = await agent.run("secret number?", tenant=tenant, user=user)
            assert set(answer.state["recalled"]) == own


async def test_an_agent_with_an_embedder_needs_no_graph_to_remember(path: Path) -> None:
    facts = json.dumps({"facts": [{"name": "pet", "text": "Has a cat.", "kind": "fact"}]})
    model = ScriptedModel(otherwise=lambda request: facts if request.schema else "Yes.")
    async with Agent(model=model, threads=path, embedder=HashingEmbedder()) as agent:
        assert (await agent.run("I have a cat", user="ann")).path == ("recall", "answer", "remember")
        assert len(model.requests) == 1  # nobody has agreed
        async with memories_of(agent, user="ann") as memories:
            await memories.consent(True)
        await agent.run("I have a cat", user="ann")
        result = await agent.run("do I have a cat?", user="ann")
        assert result.state["recalled"] == ["Has a cat."] and result.output == "Yes."
        assert "- Has a cat." in model.requests[-2].messages[-1].text
    async with Agent(model=ScriptedModel("Yes.")) as plain:
        assert (await plain.run("hello", user="ann")).path == ("answer",)


async def test_a_node_that_runs_again_after_a_crash_asks_no_model_again(path: Path) -> None:
    model, down = ScriptedModel(otherwise=noted), [True]

    async def last(state: Conversation) -> Conversation:
        return {}

    def broken(place: str) -> None:
        if place == "memory.put.before" and down:
            down.clear()
            raise Killed

    graph = Graph().add_node("remember", remember(model, consent=agreed)).add_node("last", last)
    graph.add_edge(START, "remember").add_edge("remember", "last").add_edge("last", END)
    async with Agent(graph, threads=path) as agent:
        faults.listen(broken)
        try:
            with pytest.raises(Killed):
                await agent.run("I have a cat", thread_id="t", user="ann")
        finally:
            faults.listen(None)
        async with memories_of(agent, user="ann") as memories:
            assert await memories.list() == []
            await agent.resume("t", user="ann")
            assert [memory.text for memory in await memories.list()] == ["I have a cat"]
    assert len(model.requests) == 1


@pytest.mark.slow
async def test_the_same_in_postgres(postgres: str) -> None:
    async with Agent(remembering(consent=agreed), threads=postgres, embedder=HashingEmbedder()) as agent:
        await agent.run("I have a cat. I drink tea", thread_id="a", user="ann")
        result = await agent.run("who is my cat?", thread_id="b", user="ann")
        assert result.state["recalled"] == ["I have a cat", "I drink tea"]
        assert (await agent.run("who is my cat?", thread_id="c", user="bob")).state["recalled"] == []
        async with threads_of(agent) as threads:
            assert set(await threads.delete_of(user="ann")) == {"a", "b"}
    async with memories_of(postgres, user="ann") as memories:
        assert await memories.list() == [] and await memories.forget() == 0
    async with memories_of(postgres, user="bob") as memories:
        assert [memory.text for memory in await memories.list()] == ["who is my cat?"]
