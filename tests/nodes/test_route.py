"""A route takes the first choice that knows a way, and says none where nothing is near."""

from pathlib import Path

import numpy as np
import pytest

from stretto.context import RunContext
from stretto.errors import ConfigError
from stretto.messages import Message
from stretto.nodes import Route, ask_model, load_routes, nearest, route, rules
from stretto.testing import ScriptedModel

AXES = {"bike": 0, "wheel": 0, "order": 1, "parcel": 1, "cake": 2}


class Axes:
    """An embedder whose vectors are the words' axes: what is near can be seen by eye."""

    name = "test:axes"
    dimensions = 3

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, texts):
        self.asked += texts
        rows = np.full((len(texts), 3), 1e-6, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                if word in AXES:
                    row[AXES[word]] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    async def close(self) -> None:
        return None


WAYS = {"knowledge": Route("bike", ("wheel",)), "tool": Route("order", ("parcel",))}


def asked(*questions: str) -> dict:
    return {"question": questions[-1], "messages": [Message("user", text) for text in questions]}


async def test_the_first_choice_that_names_a_way_is_taken() -> None:
    node = route(rules({"picture": lambda state: "look" in state["question"]}), otherwise="rest")
    assert await node(asked("look here"), RunContext()) == {"route": "picture"}
    assert await node(asked("hello"), RunContext()) == {"route": "rest"}


async def test_a_function_of_ones_own_is_a_choice() -> None:
    async def mine(state, ctx):
        return "mine" if "me" in state["question"] else None

    assert await route(mine, otherwise="rest")(asked("it is me"), RunContext()) == {"route": "mine"}


async def test_the_nearest_description_wins_and_nothing_near_is_none() -> None:
    choose = nearest(WAYS, Axes(), threshold=0.5, none="out_of_scope")
    assert await choose(asked("my wheel"), RunContext()) == "knowledge"
    assert await choose(asked("a parcel"), RunContext()) == "tool"
    assert await choose(asked("a cake"), RunContext()) == "out_of_scope"


async def test_a_question_that_leans_on_the_one_before_stays_on_its_way() -> None:
    choose = nearest(WAYS, Axes(), threshold=0.5, none="out_of_scope")
    assert await choose(asked("the order please", "and when?"), RunContext()) == "tool"
    assert await choose(asked("the order please", "a cake recipe cake cake"), RunContext()) == "out_of_scope"


async def test_the_descriptions_are_embedded_once() -> None:
    embedder = Axes()
    choose = nearest(WAYS, embedder, threshold=0.1)
    for _ in range(3):
        await choose(asked("bike"), RunContext())
    assert embedder.asked.count("wheel") == 1


async def test_a_model_chooses_among_the_names_and_none_is_none() -> None:
    model = ScriptedModel('{"route": "tool"}', '{"route": "none"}')
    choose = ask_model(model, WAYS, none="out_of_scope")
    ctx = RunContext()
    assert await choose(asked("x"), ctx) == "tool"
    assert await choose(asked("x"), ctx) == "out_of_scope"
    assert ctx.run.usage.calls == 2


def test_routes_come_from_a_file_and_a_mistake_has_a_place(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text("tool:\n  description: orders\n  examples: [where is it]\n")
    assert load_routes(file) == {"tool": Route("orders", ("where is it",))}
    file.write_text("tool:\n  describtion: orders\n")
    with pytest.raises(ConfigError, match=r"routes\.yaml:2:3"):
        load_routes(file)


def test_a_route_without_choices_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a choice"):
        route(otherwise="rest")
    with pytest.raises(ConfigError, match="at least one"):
        nearest({}, Axes())
