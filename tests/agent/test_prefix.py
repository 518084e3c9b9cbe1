"""The beginning of a prompt stays where it was from call to call, so that an endpoint's cache can serve it.

Measured at a real server that counts as cached what a request has in common with the beginning of one before.
"""

from pathlib import Path

import pytest

from stretto import Agent, Document, KnowledgeBase, Model, tool
from stretto.messages import ToolCall
from stretto.nodes import shown
from stretto.nodes.node import last_turns
from stretto.testing import ChatServer, HashingEmbedder
from stretto.usage import Usage

INSTRUCTIONS = "You help the customers of a bicycle shop. Answer in one or two sentences, and be exact. " * 4
TURNS = 10
ANSWER = (
    "It takes two days and costs nothing, as long as you bring the receipt. We write to you when it is done."
)


@tool
def stock(product: str) -> str:
    """How many of a product are there.

    Args:
        product: Its name.
    """
    return f"{product}: 23 in the shop, 40 in the warehouse, 12 on their way and due on Friday morning"


def question(turn: int) -> str:
    return (
        f"This is my question number {turn}: how long does repair number {turn} take, and what does it cost?"
    )


def answer(request):
    """Looks up the stock once a turn where it can."""
    if request.tools and request.messages[-1].role == "user":
        return ToolCall("", "stock", f'{{"product": "part {len(request.messages)}"}}')
    return ANSWER


async def used(**options) -> list[Usage]:
    """What each of ten turns of one conversation used."""
    async with ChatServer(otherwise=answer, prefix_cache=True, context=100_000) as server:
        model = Model("compatible:x", base_url=server.url)
        async with Agent(model=model, instructions=INSTRUCTIONS, **options) as agent:
            return [(await agent.run(question(turn), thread_id="t")).usage for turn in range(TURNS)]


def cached_share(usages: list[Usage]) -> float:
    """Of the input of all turns but the first, for which nothing can be there."""
    total = sum(usages[1:], Usage())
    return total.cached_tokens / total.input_tokens


async def test_the_beginning_of_a_plain_conversation_moves_once_in_four_turns() -> None:
    usages = await used()
    moved = [turn for turn in range(1, TURNS) if usages[turn].cached_tokens < usages[turn - 1].cached_tokens]
    assert moved == [7]
    assert cached_share(usages) >= 0.7


async def test_a_beginning_that_moved_with_each_turn_would_cost_half_as_much_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def moving(messages, turns, *, room):
        return last_turns(messages, turns)

    steady = sum(await used(), Usage())
    monkeypatch.setattr(shown, "steady_turns", moving)
    usages = await used()
    moved = sum(usages, Usage())
    assert moved.input_tokens - moved.cached_tokens > 1.5 * (steady.input_tokens - steady.cached_tokens)
    assert cached_share(usages) < 0.45


async def test_most_of_a_conversation_with_tools_comes_from_the_cache() -> None:
    assert cached_share(await used(tools=[stock])) >= 0.8


@pytest.fixture
async def knowledge(tmp_path: Path):
    base = KnowledgeBase(tmp_path / "kb", embedder=HashingEmbedder())
    for number in range(TURNS):
        text = f"Repair number {number} takes {number + 2} days and costs {number} euros. " * 3
        await base.add(Document(f"repair-{number}", text))
    yield base
    await base.close()


async def test_much_of_a_conversation_with_knowledge_comes_from_the_cache(knowledge: KnowledgeBase) -> None:
    assert cached_share(await used(knowledge=knowledge)) >= 0.47
