"""What came of a tool call before, and what is done about one of which nobody knows. Runs no tool anew.

A call that changes something is noted before it starts (`intent`) and when it has ended (`done`). Where only
the intent is there, it may have taken effect: an `idempotent` tool runs again with the same key; for one that
takes effect `once`, its `reconcile` is asked, or a person.
"""

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from stretto.context import RunContext
from stretto.errors import StrettoError
from stretto.messages import Text, ToolCall
from stretto.steps import Effect, Place
from stretto.tools.results import Content
from stretto.tools.schema import read_object
from stretto.tools.tool import Tool

TOOK_EFFECT, RUN_IT, LEAVE_IT = "it took effect", "run it", "leave it"
"""What a person may answer about a call of which nobody knows."""

TOLD = {
    TOOK_EFFECT: "This call took effect, a person says; what it returned is not known.",
    LEAVE_IT: "Nobody knows whether this call took effect, and a person decided not to run it again. "
    "Do not repeat it; say so.",
}

MOST = 1 << 20
"""Bytes of a result that are kept; of a larger one its text."""


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """How a call ended."""

    content: Content = ()
    is_error: bool = False
    seconds: float = 0.0
    missing: str = ""
    """Why the tool is said to have been missing in this run, if it is."""
    by: str = ""
    """Who agreed to the call, or declined it, where a person was asked and named."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Outcome).decode


def kept(outcome: Outcome) -> bytes:
    """An outcome as it is kept."""
    content = _encode(outcome)
    if len(content) <= MOST:
        return content
    parts = (
        *(part for part in outcome.content if isinstance(part, Text)),
        Text("[what it showed is not kept]"),
    )
    return _encode(msgspec.structs.replace(outcome, content=parts))


def recalled(place: Place) -> Outcome | None:
    """How the same call ended before, if it did."""
    if place.content is not None:
        return _decode(place.content)
    effect = place.effect
    if effect is not None and effect.standing in ("done", "uncertain") and place.repeats:
        return _decode(effect.content)
    return None


def begun(place: Place) -> bool:
    """Whether the same call had begun before: whoever had to approve it did."""
    return place.effect is not None and place.repeats


def unsure(place: Place, tool: Tool) -> bool:
    """Whether running the call now may be running it a second time, which must not be."""
    effect = place.effect
    return effect is not None and tool.effect == "once" and effect.standing != "asking"


async def cleared(call: ToolCall, tool: Tool, place: Place, ctx: RunContext) -> Outcome | None:
    """What came of an unsure call, or None where it is to run.

    Raises:
        Pause: A person has to say.
    """
    effect = place.effect
    assert effect is not None
    problem = ""
    if tool.reconcile is not None and place.repeats:
        try:
            found = await tool.reconciled(call.arguments, replace(ctx, call_id=call.id, step=place))
        except Exception as error:
            problem = str(error) if isinstance(error, StrettoError) else type(error).__name__
        else:
            return None if found is None else await _decided(call, tool, place, Outcome(found), ctx)
    question = {
        "tool": call.name,
        "arguments": read_object(call.name, call.arguments),
        "uncertain": "This call was begun before, and whether it took effect is not known.",
        "answers": [TOOK_EFFECT, RUN_IT, LEAVE_IT],
    }
    if not place.repeats:
        question["uncertain"] = (
            "In its place another call was begun before; running both may do things twice."
        )
        question["before"] = {"tool": effect.tool, "arguments": effect.arguments, "standing": effect.standing}
    if problem:
        question["reconcile"] = problem
    call_id = f"{call.id}:uncertain"
    if call_id not in ctx.given:  # an answer that is not bound might hold a second time
        ctx = replace(ctx, answers={})
    answer = ctx.ask(
        question,
        call_id=call_id,
        schema={"enum": question["answers"]},
        bound=f"{effect.key}:{effect.at}",  # once it has begun again, it is another question
    ).value
    if answer == RUN_IT:
        return None
    told = Outcome((Text(TOLD.get(answer, TOLD[LEAVE_IT])),), is_error=answer != TOOK_EFFECT)
    return await _decided(call, tool, place, told, ctx)


async def intend(
    calls: Sequence[tuple[ToolCall, Tool, Place]], ctx: RunContext, *, outcome: Outcome | None = None
) -> None:
    """Notes that the calls that change something are about to run; with `outcome`, how they ended."""
    now = ctx.run.clock()
    effects = {
        place.number: Effect(
            ctx.steps.key_of(place),
            call.name,
            tool.effect,
            call.arguments,
            "done" if outcome else "intent",
            now if place.effect is None else max(now, place.effect.at + 0.001),
            kept(outcome) if outcome else b"",
            after=None if place.effect is None else place.effect.at,
        )
        for call, tool, place in calls
        if tool.effect != "none"
    }
    await ctx.steps.intend(effects)


async def _decided(call: ToolCall, tool: Tool, place: Place, outcome: Outcome, ctx: RunContext) -> Outcome:
    await intend([(call, tool, place)], ctx, outcome=outcome)
    return outcome
