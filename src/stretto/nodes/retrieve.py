"""`retrieve`: searches a knowledge base for what the person asks."""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from stretto.context import RunContext
from stretto.documents import Hit
from stretto.events import Retrieved
from stretto.knowledge import Expand, KnowledgeBase, Rerank
from stretto.nodes.node import NodeFunction, State, Update, declares, earlier_questions, question_of

MAX_QUERY = 600
"""Code points of a query; more would only dilute it (the packaged embedder reads 256 tokens)."""


def retrieve(
    knowledge: KnowledgeBase,
    *,
    top_k: int = 8,
    where: Mapping[str, Any] | None = None,
    query: Callable[[State], str] | None = None,
    weak: float = 0.45,
    rerank: Rerank | None = None,
    expand: Expand = 0,
    diversity: float = 0.0,
    groups: Callable[[RunContext], Collection[str]] | None = None,
) -> NodeFunction:
    """A node that writes `hits`.

    Args:
        knowledge: Where to search.
        top_k: How many hits.
        where: What their metadata must be; see `stretto.knowledge.filters`.
        query: What to search for; by default the `queries` of `rewrite`, else the question, with what this
            turn's pictures show.
        weak: When no hit's meaning comes this close (cosine), the question may lean on the one before it
            ("and how long does that take?"): both together are searched too, and the better result is taken.
        rerank: Puts twice as many hits into a better order before the best `top_k` are taken.
        expand: How many neighbours come with each hit, or its whole "section"; the model reads them too.
        diversity: 0..1: how much it counts that a hit is unlike those above it.
        groups: The names that the run's person goes by, for documents with an access list; by default what
            `deps` has as `groups`. The tenant is the run's.
    """

    async def found(query: str, ctx: RunContext) -> list[Hit]:
        return await knowledge.search(
            query,
            top_k=top_k,
            where=where,
            rerank=rerank,
            expand=expand,
            diversity=diversity,
            tenant=ctx.run.tenant,
            groups=(groups or groups_of)(ctx),
        )

    @declares(reads=("messages", "question", "looks", "queries"), writes=("hits",))
    async def search(state: State, ctx: RunContext) -> Update:
        rewritten: Sequence[str] = () if query else state.get("queries") or ()
        if rewritten:
            hits = merged([await found(one, ctx) for one in rewritten])[:top_k]
            ctx.emit(Retrieved(query="\n".join(rewritten), hits=tuple(hits)))
            return {"hits": hits}
        asked = (query or query_of)(state)[:MAX_QUERY]
        hits = await found(asked, ctx)
        before = earlier_questions(state, most=1)
        if before and query is None and _closeness(hits) < weak:
            wider = f"{before[0]}\n{asked}"[:MAX_QUERY]
            more = await found(wider, ctx)
            if _closeness(more) > _closeness(hits):
                asked, hits = wider, more
        ctx.emit(Retrieved(query=asked, hits=tuple(hits)))
        return {"hits": hits}

    return search


def merged(results: Sequence[Sequence[Hit]]) -> list[Hit]:
    """The hits of several searches, the best of each before the second of any, each passage once."""
    best: dict[str, Hit] = {}
    for rank in zip_longest(*results):
        for hit in rank:
            if hit is not None:
                best.setdefault(hit.chunk.id, hit)
    return list(best.values())


def query_of(state: State) -> str:
    """The question, and behind it what the turn's pictures show."""
    return "\n".join([question_of(state), *(look.text for look in state.get("looks") or ())])


def groups_of(ctx: RunContext) -> Collection[str]:
    """The names that the run's person goes by: `groups` of `deps`, as a key or an attribute; else none."""
    deps = ctx.deps
    found = deps.get("groups") if isinstance(deps, Mapping) else getattr(deps, "groups", None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return found or ()  # pyright: ignore[reportUnknownVariableType]


def _closeness(hits: list[Hit]) -> float:
    return max((hit.scores.get("dense", hit.score) for hit in hits), default=0.0)
