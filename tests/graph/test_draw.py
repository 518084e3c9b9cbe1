"""Drawings: the same graph gives the same lines, routes carry their choice, fallbacks are dotted."""

from stretto.graph import END, START, Graph


async def step(state: dict) -> dict:  # type: ignore[type-arg]
    return {}


def desk() -> Graph:
    graph = (
        Graph(max_steps=9).add_node("choose", step, fallback="search").add_node("look", step, fallback=step)
    )
    graph.add_node("search", step).add_node("end", step)
    graph.add_edge(START, "choose").add_edge("look", "search").add_edge("search", END).add_edge("end", END)
    return graph.add_route(
        "choose", step, {"picture": "look", "text": "search", "chat": "search", 'say "bye"': "end"}
    )


def test_mermaid_shows_every_way_once() -> None:
    assert desk().mermaid() == (
        """flowchart TD
    START([START])
    choose["choose"]
    look["look"]
    search["search"]
    node3["end"]
    END_([END])
    START --> choose
    choose -->|"picture"| look
    choose -->|"text | chat"| search
    choose -->|"say #quot;bye#quot;"| node3
    choose -.->|"fallback"| search
    look --> search
    look -.->|"fallback"| look
    search --> END_
    node3 --> END_
"""
    )


def test_text_draws_a_node_once_and_names_it_again() -> None:
    assert desk().text() == (
        """START
└─ choose
   ├─ picture: look
   │  ├─ search
   │  │  └─ END
   │  └┄ fallback: its own function
   ├─ text | chat: search (above)
   ├─ say "bye": end
   │  └─ END
   └┄ fallback: search (above)
"""
    )


def test_joins_name_who_is_waited_for_and_sub_graphs_are_framed() -> None:
    inner = Graph().add_node("deep", step).add_edge(START, "deep").add_edge("deep", END)
    graph = Graph().add_node("a", step).add_node("b", inner).add_node("c", step)
    graph.add_edge(START, "a").add_edge(START, "b").add_edge(["a", "b"], "c").add_edge("c", END)
    assert 'b[["b"]]' in graph.mermaid() and 'a -->|"with b"| c' in graph.mermaid()
    assert "├─ a\n│  └─ with b: c" in graph.text()


def test_a_broken_graph_is_drawn_as_far_as_it_goes() -> None:
    graph = Graph().add_node("a", step).add_edge(START, "a").add_edge("a", "nowhere")
    assert "START --> a" in graph.mermaid() and "nowhere" in graph.text()
