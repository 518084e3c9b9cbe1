"""`Conversation`: the state that the preset graphs and nodes share, and its reducers. Knows no langgraph.

A key with a reducer (`Annotated[..., reducer]`) gathers what several nodes write; one without takes the last
value. Extend it by subclassing: `class Claim(Conversation): amount: float`.
"""

import uuid
from collections.abc import Sequence
from operator import attrgetter
from typing import Annotated, Any, TypedDict, TypeVar

import msgspec

from stretto.documents import Hit, Look
from stretto.messages import Message, as_message
from stretto.results import Citation, Missing

T = TypeVar("T")
_id_of = attrgetter("id")


def add_messages(old: Sequence[Any], new: Any) -> list[Any]:
    """Appends the new messages, with ids where they have none; one with a known id replaces the old one."""
    added = [_with_id(message) for message in _as_list(new)]
    if set(map(_id_of, old)).isdisjoint(map(_id_of, added)):
        return [*old, *added]
    places = {message.id: index for index, message in enumerate(old)}
    merged = list(old)
    for message in added:
        if message.id in places:
            merged[places[message.id]] = message
        else:
            places[message.id] = len(merged)
            merged.append(message)
    return merged


def gather(old: Sequence[T], new: Sequence[T] | None) -> list[T]:
    """Appends what nodes write, in order; None empties the list, as at the start of a turn."""
    return [] if new is None else [*old, *new]


class Conversation(TypedDict, total=False):
    """What a conversation holds. All keys but `messages` and `summary` belong to one turn."""

    messages: Annotated[list[Message], add_messages]
    """The whole conversation, in order."""
    summary: Message
    """What the model is shown instead of the conversation's beginning; see `nodes.compact`."""
    question: str
    """What the person asks in this turn."""
    route: str
    """The way this turn takes."""
    queries: list[str]
    """What is searched for, where a node rewrites the question."""
    hits: list[Hit]
    """What the knowledge base found."""
    recalled: list[str]
    """What is remembered of the person, from other conversations too."""
    looks: Annotated[list[Look], gather]
    """What was seen in pictures."""
    citations: list[Citation]
    """The sources of the answer."""
    missing: Annotated[list[Missing], gather]
    """What was down while the turn went on without it."""
    output: Any
    """The answer: text, or the object of a requested schema (plain data)."""


def new_turn(question: Any, **more: Any) -> dict[str, Any]:
    """The input of a turn: the person's message, with the keys of the turn before emptied.

    Args:
        question: Text, a part, a list of both, or a `Message`.
        more: Values of further keys, of a state that extends `Conversation`.
    """
    message = _with_id(as_message(question))
    return {
        "messages": [message],
        "question": message.text,
        "route": "",
        "queries": [],
        "hits": [],
        "recalled": [],
        "looks": None,
        "citations": [],
        "missing": None,
        "output": None,
        **more,
    }


def _as_list(new: Any) -> list[Any]:
    return list(new) if isinstance(new, list | tuple) else [new]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _with_id(message: Any) -> Any:
    if message.id:
        return message
    if isinstance(message, Message):
        return msgspec.structs.replace(message, id=uuid.uuid4().hex)
    return message.model_copy(update={"id": uuid.uuid4().hex})  # a message of langchain-core


TURN_KEYS = frozenset(new_turn(""))
"""The keys that the input of a turn writes."""

KEPT_KEYS = frozenset({"summary"})
"""The keys that stay from turn to turn without being written by its input; `messages` is written."""
