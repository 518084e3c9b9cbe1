"""`approve`: stops the turn until a person has agreed to what it shows, or has not in time."""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from stretto.context import RunContext
from stretto.errors import ConfigError
from stretto.events import Approved
from stretto.nodes.node import NodeFunction, State, Update, declares
from stretto.questions import AnswerShape, agreed
from stretto.results import Approval

Asked = str | Callable[[State], Any]
"""What is asked: a text, or what a function of the state gives, as plain data."""


def approve(
    ask: Asked,
    *,
    writes: str = "approval",
    schema: AnswerShape | None = None,
    accepts: Callable[[Any], bool] = agreed,
    expires: float | None = None,
    reads: tuple[str, ...] = ("messages",),
) -> NodeFunction:
    """A node that asks a person and writes an `Approval`: who said what, and whether that is a yes.

    An answer holds for exactly what was asked: where the node runs again and would ask something else, it
    asks anew. A route reads the outcome, as in
    `add_route("approve", lambda state: state["approval"].approved, {True: "send", False: "revise"})`.

    Args:
        ask: What the person is asked.
        writes: The state's key for the outcome; declare it as `Approval`.
        schema: What an answer has to fit: a type, or a JSON Schema. One that does not fit is refused, and the
            thread still waits.
        accepts: Whether an answer is a yes; by default True, "yes" and `{"approved": true}` are.
        expires: Seconds after which an answer comes too late, which is a no.
        reads: The keys that `ask` reads.

    Raises:
        ConfigError: `expires` is not above 0.
    """
    if expires is not None and not expires > 0:
        raise ConfigError(f"approve: expires is {expires!r}; give seconds above 0, or None")

    @declares(reads=reads, writes=(writes,))
    async def asks(state: State, ctx: RunContext) -> Update:
        question = ask(state) if callable(ask) else ask
        bound = hashlib.sha256(msgspec.json.encode(question, order="sorted")).hexdigest()[:32]
        call_id = f"{ctx.node}:{ctx.task_id[:8]}"
        answer = ctx.ask(question, call_id=call_id, schema=schema, expires=expires, bound=bound)
        approved = not answer.expired and accepts(answer.value)
        ctx.emit(Approved(call_id=call_id, approved=approved, by=answer.by, expired=answer.expired))
        value = None if answer.expired else answer.value
        return {writes: Approval(approved, value=value, by=answer.by, at=answer.at, expired=answer.expired)}

    return asks
