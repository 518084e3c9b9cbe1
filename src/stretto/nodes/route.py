"""`route`: chooses the way by rules, by the nearest description, by a model, or by any function.

A choice is `async (state, ctx) -> name or None`; `route` asks its choices in turn and takes the first name.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from stretto._internal.plain import Plain
from stretto._internal.yaml_files import read_yaml
from stretto.context import RunContext
from stretto.errors import ConfigError, StrettoError
from stretto.knowledge import KnowledgeBase
from stretto.messages import Message
from stretto.models.partial import json_in
from stretto.models.protocol import ChatModel, Embedder, OutputSchema
from stretto.nodes.budgeted import affordable
from stretto.nodes.node import NodeFunction, State, Update, declares, earlier_questions, question_of
from stretto.nodes.retrieve import groups_of
from stretto.nodes.voice import replied

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Choice = Callable[[State, RunContext], Awaitable[str | None]]


class Route(Plain, frozen=True, forbid_unknown_fields=True):
    """What belongs to a way: a description and a few sentences as people say them."""

    description: str
    examples: tuple[str, ...] = ()


def route(*choices: Choice, otherwise: str) -> NodeFunction:
    """A node that writes `route`: the first name that a choice gives, else `otherwise`."""
    if not choices:
        raise ConfigError(
            "route() needs a choice: rules(...), nearest(...), ask_model(...) or a function of yours"
        )

    @declares(reads=("messages", "question"), writes=("route",))
    async def choose(state: State, ctx: RunContext) -> Update:
        for choice in choices:
            name = await choice(state, ctx)
            if name is not None:
                return {"route": name}
        return {"route": otherwise}

    return choose


def load_routes(path: Path) -> dict[str, Route]:
    """The routes of a YAML file: by name, `description` and `examples`; raises ConfigError with the place."""
    return read_yaml(path, dict[str, Route])


def rules(table: Mapping[str, Callable[[State], bool]]) -> Choice:
    """The first name whose rule holds."""

    async def by_rules(state: State, ctx: RunContext) -> str | None:
        return next((name for name, holds in table.items() if holds(state)), None)

    return by_rules


def nearest(
    routes: Mapping[str, Route],
    embedder: Embedder,
    *,
    threshold: float = 0.25,
    none: str | None = None,
    neighbours: int = 1,
    documents: Mapping[str, KnowledgeBase] | None = None,
) -> Choice:
    """The route whose sentences are nearest in meaning.

    Args:
        routes: The ways by name.
        embedder: Turns sentences into vectors; the routes' are embedded once.
        threshold: The least closeness (cosine, mean of the nearest sentences of a route); below it, `none`.
        none: The name for none of these; None lets the next choice decide.
        neighbours: How many sentences of each route count.
        documents: Knowledge bases by route: their passages speak for the route like its sentences do.

    A question that is near to nothing is tried again with the question before it, so that
    "and how long does that take?" stays on its way.
    """
    vectors = _RouteVectors(routes, embedder, neighbours)

    async def closest(question: str, ctx: RunContext) -> tuple[float, str]:
        found = await vectors.closeness(question)
        for name, knowledge in (documents or {}).items():
            try:
                hits = await knowledge.search(question, top_k=3, tenant=ctx.run.tenant, groups=groups_of(ctx))
            except StrettoError:  # the node that searches will tell; the sentences still choose
                continue
            best = max((hit.scores.get("dense", 0.0) for hit in hits), default=0.0)
            found[name] = max(found.get(name, 0.0), best)
        return max((closeness, name) for name, closeness in found.items())

    async def by_meaning(state: State, ctx: RunContext) -> str | None:
        question = question_of(state)
        closeness, name = await closest(question, ctx)
        if closeness < threshold and (before := earlier_questions(state, most=1)):
            closeness, name = await closest(f"{before[0]} {question}", ctx)
        return name if closeness >= threshold else none

    return by_meaning


class _RouteVectors:
    """The routes' sentences as vectors, made at the first question."""

    def __init__(self, routes: Mapping[str, Route], embedder: Embedder, neighbours: int) -> None:
        self._sentences = [
            (name, sentence) for name, way in routes.items() for sentence in (way.description, *way.examples)
        ]
        if not self._sentences:
            raise ConfigError("nearest() needs at least one route")
        self._embedder, self._neighbours = embedder, neighbours
        self._vectors: NDArray[np.float32] | None = None

    async def closeness(self, question: str) -> dict[str, float]:
        if self._vectors is None:
            self._vectors = await self._embedder.embed([sentence for _, sentence in self._sentences])
        (asked,) = await self._embedder.embed([question])
        by_route: dict[str, list[float]] = {}
        for (name, _), closeness in zip(self._sentences, (self._vectors @ asked).tolist(), strict=True):
            by_route.setdefault(name, []).append(closeness)
        return {name: _mean(sorted(found)[-self._neighbours :]) for name, found in by_route.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def ask_model(model: ChatModel, routes: Mapping[str, Route], *, none: str | None = None) -> Choice:
    """The route that a model chooses from the descriptions; `none` when it says that none fits."""
    listing = "\n".join(f"- {name}: {way.description}" for name, way in routes.items())
    schema = OutputSchema(
        "route",
        {
            "type": "object",
            "properties": {"route": {"enum": [*routes, "none"]}},
            "required": ["route"],
            "additionalProperties": False,
        },
    )
    instructions = f"Choose where the message belongs. Answer in JSON.\n{listing}\n- none: anything else"

    async def by_model(state: State, ctx: RunContext) -> str | None:
        asked = [Message.system(instructions), Message.user(question_of(state))]
        reply = await replied(affordable(model, ctx), asked, ctx, schema=schema)
        name = _named(reply.message.text)
        return name if name in routes else none

    return by_model


def _named(text: str) -> Any:
    return msgspec.json.decode(json_in(text, "{"), type=dict[str, Any]).get("route")
