"""The graph of an agent that brings none: look at pictures, search the knowledge, answer with tools."""

from collections.abc import Sequence
from typing import Any

from stretto.context import RunContext
from stretto.graph import END, START, Conversation, Graph
from stretto.knowledge import KnowledgeBase, by_sentence
from stretto.models.output import Form
from stretto.models.protocol import ChatModel, Embedder
from stretto.nodes import llm, recall, remember, retrieve, vision
from stretto.nodes.node import NodeFunction, State, Update, declares, pictures_of
from stretto.prompts import Prompt
from stretto.settings import Limits
from stretto.tools import Tool

WITH_KNOWLEDGE = """Answer the question from the passages below. Use only what they say,
in one to three sentences. If they do not hold the answer, say that you do not know.

{{passages}}

{{looks}}

Question: {{question}}"""
WITH_PICTURE = "{{looks}}\n\nQuestion: {{question}}"


def _kept_plain(node: NodeFunction, form: Form) -> NodeFunction:
    """`node`, with its object as plain data: a thread can keep that, whatever class the object has."""
    marked: Any = node

    @declares(reads=marked.reads, writes=marked.writes, effects=marked.effects)
    async def answer(state: State, ctx: RunContext) -> Update:
        update = await node(state, ctx)
        return {**update, "output": form.plain(update["messages"][-1].text)}

    return answer


async def has_picture(state: State) -> bool:
    """Whether the latest user message carries a picture."""
    return bool(pictures_of(state))


def answering(
    model: ChatModel,
    *,
    tools: Sequence[Tool] = (),
    knowledge: KnowledgeBase | None = None,
    prompt: Prompt | str = "",
    seeing: ChatModel | None = None,
    cite: Embedder | bool = True,
    limits: Limits | None = None,
    output: Form | None = None,
    memory: bool = False,
) -> Graph:
    """The preset graph: `look` only for what the model cannot see itself, `search` only with knowledge.

    With `output`, the state's key `output` holds the object as plain data. With `memory`, what is remembered
    of a user is recalled first, and what they say is noted last, if they have agreed.
    """
    graph = Graph(Conversation, max_steps=(limits or Limits()).steps)
    sees = model.capabilities.vision and seeing in (None, model)
    template = WITH_KNOWLEDGE if knowledge is not None else WITH_PICTURE if not sees else None
    ask = Prompt("preset", template) if template else None
    cited = cite if knowledge else False
    answer = llm(model, prompt=prompt, ask=ask, tools=tools, cite=cited, schema=output)
    graph.add_node("answer", answer if output is None else _kept_plain(answer, output))
    start, first, last = START, "answer", "answer"
    if memory:
        graph.add_node("recall", recall()).add_edge(START, "recall")
        graph.add_node("remember", remember(model)).add_edge("answer", "remember")
        start, last = "recall", "remember"
    graph.add_edge(last, END)
    if knowledge is not None:
        graph.add_node(
            "search", retrieve(knowledge, rerank=by_sentence(knowledge)), fallback="answer"
        ).add_edge("search", "answer")
        first = "search"
    if sees:
        return graph.add_edge(start, first)
    graph.add_node("look", vision(seeing), fallback=first).add_edge("look", first)
    return graph.add_route(start, has_picture, {True: "look", False: first})
