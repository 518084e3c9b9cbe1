"""The help desk's turn: choose a way, look, search or act, answer; and where to go when one is down."""

import re
from collections.abc import Mapping

from stretto import END, START, Graph
from stretto.agent import AgentSpec
from stretto.graph import Conversation
from stretto.knowledge import by_sentence
from stretto.nodes import Route, llm, load_routes, nearest, quote, retrieve, route, rules, say, vision
from stretto.nodes.node import NodeFunction, pictures_of
from stretto.settings import ModelSettings

BRIEF = ModelSettings(max_tokens=200)
ORDER = re.compile(r"\b[A-Z]{2}-\d{4}\b", re.IGNORECASE)
"""An order number."""


def build(spec: AgentSpec) -> Graph:
    """The graph of one turn. A picture is always looked at; else the nearest route decides."""
    chat, embed, prompt = spec.models.chat, spec.models.embed, spec.prompt
    tools = load_routes(spec.folder / "tools.yaml")
    answer = llm(
        chat,
        prompt=prompt("support_desk/desk"),
        ask=prompt("support_desk/answer"),
        cite=embed,
        passages=2,
        settings=BRIEF,
    )
    act = llm(
        chat,
        prompt=prompt("support_desk/act"),
        tools=spec.tools,
        offer=nearest(tools, embed, threshold=0.0),
        max_rounds=1,
        relay=chat.capabilities.local,
        settings=BRIEF,
    )
    greet = llm(chat, prompt=prompt("support_desk/small_talk"), settings=BRIEF)
    search = retrieve(spec.knowledge, top_k=6, rerank=by_sentence(embed))
    graph = Graph(Conversation, max_steps=spec.limits.steps)
    graph.add_node("choose", choosing(spec, tools), fallback="search", timeout=20)
    graph.add_node("look", vision(spec.models.vision), fallback="search", timeout=60)
    graph.add_node("search", search, fallback="answer", timeout=20)
    graph.add_node("answer", answer, fallback="sorry", timeout=120)
    graph.add_node("support", quote(embed))
    graph.add_node("act", act, fallback="sorry", timeout=120)
    graph.add_node("greet", greet, fallback="sorry", timeout=60)
    graph.add_node("decline", say(prompt("support_desk/out_of_scope")))
    graph.add_node("sorry", say(prompt("support_desk/sorry")))
    graph.add_edge(START, "choose")
    ways = {"picture": "look", "knowledge": "search", "tool": "act", "small_talk": "greet"}
    graph.add_route("choose", chosen, {**ways, "out_of_scope": "decline"})
    graph.add_edge("look", "search").add_edge("search", "answer").add_edge("answer", "support")
    for last in ("support", "act", "greet", "decline", "sorry"):
        graph.add_edge(last, END)
    return graph


def choosing(spec: AgentSpec, tools: Mapping[str, Route]) -> NodeFunction:
    """A picture goes to `look`, an order number to the tools, all else where the nearest sentence is."""
    examples = tuple(sentence for way in tools.values() for sentence in (way.description, *way.examples))
    routes = load_routes(spec.folder / "routes.yaml")
    routes["tool"] = Route("A look into the shop's records.", examples)
    return route(
        rules(
            {
                "picture": lambda state: bool(pictures_of(state)),
                "tool": lambda state: bool(ORDER.search(state["question"])),
            }
        ),
        nearest(
            routes,
            spec.models.embed,
            threshold=spec.options["closeness"],
            none="out_of_scope",
            documents={"knowledge": spec.knowledge},
        ),
        otherwise="knowledge",
    )


async def chosen(state: Conversation) -> str:
    """The route that `choose` wrote."""
    return state["route"]
