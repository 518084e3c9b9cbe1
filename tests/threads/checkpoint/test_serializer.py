"""The strict serializer gives back what was declared as it was, and refuses the rest, both ways."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, TypedDict
from uuid import UUID

import numpy as np
import ormsgpack
import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import EXT_CONSTRUCTOR_POS_ARGS, JsonPlusSerializer
from pydantic import BaseModel

from stretto._internal.plain import Plain
from stretto.documents import Chunk, Document, Hit, Look
from stretto.errors import GraphError, ThreadError
from stretto.graph.state import Conversation
from stretto.messages import Image, Message, Reasoning, Text, ToolCall, ToolResult
from stretto.results import Approval, Citation, Missing, Result, ToolRun
from stretto.threads.checkpoint.serializer import strict_serializer, with_strict_serializer
from stretto.threads.checkpoint.types import VOCABULARY, declared
from stretto.usage import Usage


class Colour(Enum):
    RED = "red"


@dataclass
class Inner:
    when: datetime


@dataclass
class Claim:
    amount: Decimal
    inner: Inner
    tags: list[str] = field(default_factory=list)


class Point(NamedTuple):
    x: int
    y: int


class Form(BaseModel):
    name: str
    inner: list[int] = []


class Own(Plain, frozen=True):
    pair: tuple[int, str]
    nested: tuple[Look, ...] = ()


Number = NewType("Number", int)


class Rich(Conversation, total=False):
    colour: Colour
    claim: Claim | None
    point: Point
    form: NotRequired[Form]
    own: list[Own]
    number: Number
    choice: Literal["a", "b"]
    vector: np.ndarray
    theirs: Annotated[list[BaseMessage], lambda old, new: [*old, *new]]
    plain: dict[str, list[set[int]]]
    ident: UUID
    where: Path


RICH = {
    "colour": Colour.RED,
    "claim": Claim(Decimal("1.50"), Inner(datetime(2026, 1, 2, tzinfo=UTC)), ["x"]),
    "point": Point(1, 2),
    "form": Form(name="n", inner=[1]),
    "own": [Own((1, "a"), (Look("media:x", "a cat"),)), Own((2, "b"))],
    "theirs": [AIMessage("hello", id="1")],
    "plain": {"a": [{1, 2}]},
    "ident": UUID(int=1),
    "where": Path("a/b"),
}
HIT = Hit(Document("d", "text", {"a": [1]}), Chunk("c", "d", "t", headings=("x", "y")), 0.5, {"dense": 0.5})
OURS = [
    Message.user("hi", Image("media:x", width=3)),
    Message(
        "assistant", (Reasoning("hm"), Text("ok"), ToolCall("1", "f", '{"a": 1}')), id="m", extra={"k": [1]}
    ),
    Message.tool(ToolResult("1", "done", is_error=True)),
    HIT,
    Look("media:x", "a cat", "labels"),
    Citation(1, "d", "c", "quote", span=(3, 9)),
    Missing("look", "down"),
    Approval(True, value={"n": 1}, by="ada", at=1.5),
    ToolRun("f", "1", "{}"),
    Usage(1, 2),
    Result(
        "out",
        "r",
        "t",
        citations=(Citation(1, "d", "c", "q"),),
        path=("a", "b"),
        messages=(Message.user("x"),),
    ),
]


@pytest.mark.parametrize("value", OURS, ids=lambda value: type(value).__name__)
def test_our_words_come_back_equal_and_defaults_are_not_written(value: Any) -> None:
    serializer = strict_serializer(Conversation)
    kind, content = serializer.dumps_typed([value])
    assert serializer.loads_typed((kind, content)) == [value]
    assert type(serializer.loads_typed((kind, content))[0]) is type(value)
    assert len(content) <= len(JsonPlusSerializer().dumps_typed([value])[1])


def test_every_type_of_the_vocabulary_is_tried_above() -> None:
    tried = {type(value) for value in OURS} | {Text, Image, ToolCall, ToolResult, Reasoning, Document, Chunk}
    assert {cls.__name__ for cls in VOCABULARY - tried} == {"Audio", "File", "Refusal"}


@pytest.mark.parametrize("key", RICH)
def test_declared_types_come_back_as_themselves(key: str) -> None:
    serializer = strict_serializer(Rich)
    back = serializer.loads_typed(serializer.dumps_typed({key: RICH[key]}))
    assert back == {key: RICH[key]} and type(back[key]) is type(RICH[key])


def test_arrays_none_and_bytes_come_back() -> None:
    serializer = strict_serializer(Rich)
    vector = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(serializer.loads_typed(serializer.dumps_typed(vector)), vector)
    for value in (None, b"raw", [b"raw", None]):
        assert serializer.loads_typed(serializer.dumps_typed(value)) == value


@pytest.mark.parametrize(
    "wrap",
    [
        lambda value: value,
        lambda value: {"a": [value]},
        lambda value: Message("user", "x", extra={"k": value}),
        lambda value: Document("d", metadata={"k": value}),
    ],
)
def test_what_is_not_declared_is_refused_when_written(wrap: Callable[[Any], Any]) -> None:
    serializer = strict_serializer(Conversation)
    with pytest.raises(GraphError, match=r"test_serializer\.Inner, which `Conversation` does not declare"):
        serializer.dumps_typed(wrap(Inner(datetime(2026, 1, 1, tzinfo=UTC))))


def test_what_is_not_declared_is_refused_inside_of_a_declared_dataclass() -> None:
    with pytest.raises(GraphError, match="Colour"):
        strict_serializer(OnlyClaim).dumps_typed(
            Claim(Decimal(1), Inner(datetime(2026, 1, 1, tzinfo=UTC)), [Colour.RED])  # type: ignore[list-item]
        )


class OnlyClaim(TypedDict):
    claim: Claim


def test_what_is_not_declared_is_refused_when_read_and_nothing_runs(tmp_path: Path) -> None:
    serializer = strict_serializer(Conversation)
    with pytest.raises(
        ThreadError, match=r"`.*Inner`, which `Conversation` does not declare; it was not loaded"
    ):
        serializer.loads_typed(JsonPlusSerializer().dumps_typed([Inner(datetime(2026, 1, 1, tzinfo=UTC))]))
    proof = tmp_path / "ran"
    crafted = ormsgpack.packb(
        ormsgpack.Ext(EXT_CONSTRUCTOR_POS_ARGS, ormsgpack.packb((os.__name__, "mkdir", [str(proof)])))
    )
    with pytest.raises(ThreadError, match=r"os\.mkdir"):
        serializer.loads_typed(("msgpack", crafted))
    assert not proof.exists()


@pytest.mark.parametrize("kind", ["json", "pickle", "unheard"])
def test_other_kinds_of_data_are_not_read(kind: str) -> None:
    with pytest.raises(ThreadError, match=f"kind `{kind}`"):
        strict_serializer(Conversation).loads_typed((kind, b"{}"))


def test_damaged_data_and_outgrown_classes_are_thread_errors() -> None:
    serializer = strict_serializer(Conversation)
    with pytest.raises(ThreadError, match="damaged"):
        serializer.loads_typed(("msgpack", b"\xc1"))
    kind, content = serializer.dumps_typed(Missing("node", "reason"))
    with pytest.raises(ThreadError, match="Missing` that does not fit the class of today"):
        serializer.loads_typed((kind, content.replace(b"reason", b"season", 1)))


def test_types_that_would_not_come_back_are_named_with_a_fix() -> None:
    class Local:
        pass

    class Words(str):
        pass

    class Bad(TypedDict):
        pair: tuple[int, int]
        stream: list[Callable[[], int]]
        local: Local | None
        words: Words
        raw: bytearray
        fine: dict[str, int]

    problems = dict(declared(Bad).problems)
    assert set(problems) == {"pair", "stream", "local", "words", "raw"}
    assert "declare that instead" in problems["pair"] and "at the top of its module" in problems["local"]
    with pytest.raises(GraphError, match="state key `pair`"):
        strict_serializer(Bad)


def test_a_savers_own_serializer_is_kept_and_the_default_one_is_replaced() -> None:
    plain, own = InMemorySaver(), InMemorySaver(serde=strict_serializer(Rich))
    strict = with_strict_serializer(plain, Conversation)
    assert strict is not plain and strict.storage is plain.storage  # type: ignore[attr-defined]
    assert type(plain.serde) is JsonPlusSerializer
    assert with_strict_serializer(own, Conversation) is own
