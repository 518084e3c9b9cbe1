"""`Steps`: what a node did before, so that it repeats nothing when it runs again. Knows no model.

A step is a model's reply or a tool's result. Those of the node's own task are numbered as they come, from 0,
and found again by that number: neither the ids that a provider gives to calls nor the way a model writes
arguments is the same twice. What a node does in tasks of its own making comes in any order: such steps are
numbered from `SIDE`, and found again by what was asked.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol, cast

import msgspec

ANSWERS = -1
"""The number of the step that is what a person answered."""
SIDE = 1 << 31
"""The first number of a step that was made beside the node's own task."""

Standing = Literal["intent", "asking", "uncertain", "done"]
"""intent: it may have begun; asking: it asked a person, and runs again from its top; uncertain: it was told
that nobody knows; done: its result is there."""


class Effect(msgspec.Struct, frozen=True):
    """A tool call that changes something, as it is kept."""

    key: str
    """The idempotency key."""
    tool: str
    effect: str
    arguments: str
    """JSON text, as it was run."""
    standing: Standing = "intent"
    at: float = 0.0
    """Seconds since 1970: when it began, last."""
    content: bytes = b""
    """What came of it."""
    after: float | None = None
    """`at` of what stands noted in its place so far; None: nothing. Not kept."""


class Recalled(msgspec.Struct, frozen=True):
    """What is kept of a node, by the numbers of its steps."""

    steps: Mapping[int, bytes] = {}
    effects: Mapping[int, Effect] = {}


class Journal(Protocol):
    """Keeps the steps of a thread's nodes. A node's task stays the same when it runs again."""

    async def recall(self, task_id: str) -> Recalled:
        """What is kept of a task."""
        ...

    async def record(self, task_id: str, steps: Mapping[int, bytes]) -> None:
        """Keeps steps durably before it returns."""
        ...

    async def unsay(self, task_id: str, steps: Iterable[int]) -> None:
        """Forgets these steps."""
        ...

    async def intend(self, task_id: str, effects: Mapping[int, Effect]) -> None:
        """Keeps durably, before it returns, that these calls are about to run.

        Raises:
            ThreadConflict: Something else stands noted than what was recalled: another process runs the node.
        """
        ...

    async def settle(self, task_id: str, step: int, standing: Standing, content: bytes) -> None:
        """Keeps durably what came of a call."""
        ...

    def wrote(self, task_id: str) -> bool:
        """Whether anything was written of a task through this object."""
        ...


class Place(msgspec.Struct):
    """One step: its number, and what was kept there."""

    number: int
    label: str
    content: bytes | None = None
    """What the step gave, before."""
    effect: Effect | None = None
    """What is known of its effect, from before."""
    mark: str = ""

    @property
    def repeats(self) -> bool:
        """Whether what is noted here is the call that stands here now."""
        effect = self.effect
        return effect is not None and call_hash(effect.tool, effect.arguments) == self.label


class _Entry(msgspec.Struct, array_like=True):
    """A step as it is kept."""

    label: str
    mark: str
    content: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Entry).decode
_sorted = msgspec.json.Encoder(order="sorted").encode


class Steps:
    """The steps of one run of a node.

    Args:
        journal: Where they are kept; None: nowhere, and none is recalled.
        thread_id: Of the conversation.
        task_id: Of the node.
        owner: `id` of the node's own asyncio task; 0 takes every task for it.
        fresh: The task is of a checkpoint that its run made: nothing is kept of it but what this run wrote.
    """

    __slots__ = (
        "_claimed",
        "_fresh",
        "_journal",
        "_late",
        "_lost",
        "_next",
        "_recalled",
        "_replies",
        "owner",
        "said",
        "scope",
    )

    def __init__(
        self,
        journal: Journal | None = None,
        thread_id: str = "",
        task_id: str = "",
        owner: int = 0,
        *,
        fresh: bool = False,
    ) -> None:
        self._journal, self._fresh = journal, fresh
        self.scope = (thread_id, task_id)
        self.owner = owner
        self._next = 0
        self._recalled: Recalled | None = None
        self._claimed: set[int] = set()
        self._late: dict[int, bytes] = {}
        self._replies: list[int] = []
        self._lost = False
        self.said = 0
        """Code points of text that stand shown since this run of the node began."""

    @property
    def kept(self) -> bool:
        """Whether steps are kept at all."""
        return self._journal is not None

    def anew(self) -> "Steps":
        """For another run of the same node."""
        return Steps(self._journal, *self.scope, self.owner, fresh=self._fresh)

    def key_of(self, place: Place) -> str:
        """The idempotency key of a call: the same when the node runs again, another after a fork."""
        if place.effect is not None and place.repeats:  # noted before: a new graph may have renamed its task
            return place.effect.key
        return hashlib.sha256("\0".join((*self.scope, str(place.number))).encode()).hexdigest()[:32]

    async def reply(self, label: str, asked: Callable[[], Any]) -> Place:
        """The place of a model's reply.

        Args:
            label: Which model is asked, and for what kind of answer: another one is no repetition.
            asked: Gives all that is asked; looked at beside the node's own task only.
        """
        place = await self._place(label, asked)
        self._replies.append(place.number)
        return place

    async def call(self, name: str, arguments: str) -> Place:
        """The place of a tool's call."""
        self._replies.clear()
        label = call_hash(name, arguments)
        return await self._place(label, lambda: label)

    async def record(self, place: Place, content: bytes) -> None:
        """Keeps what a step gave durably, with all that was recorded `later`."""
        if self._journal is not None:
            self.later(place, content)
            await self.flush()

    def later(self, place: Place, content: bytes) -> None:
        """Keeps what a step gave with the next one that is kept: it may be done again."""
        if self._journal is not None:
            self._late[place.number] = _encode(_Entry(place.label, place.mark, content))

    async def flush(self) -> None:
        """Keeps what waits."""
        if self._late and self._journal is not None:
            late, self._late = self._late, {}
            await self._journal.record(self.scope[1], late)

    async def answers(self) -> bytes | None:
        """What a person answered this node before, as it was kept."""
        return None if self._journal is None else (await self._recall(self._journal)).steps.get(ANSWERS)

    async def answered(self, content: bytes) -> None:
        """Keeps what a person answered this node."""
        if self._journal is not None:
            await self._journal.record(self.scope[1], {ANSWERS: content})

    async def unsay(self) -> None:
        """Forgets the replies after the last tool: they were of no use, and are asked for anew."""
        said, self._replies = self._replies, []
        for number in said:
            self._late.pop(number, None)
        if said and self._journal is not None:
            await self._journal.unsay(self.scope[1], said)

    async def intend(self, effects: Mapping[int, Effect]) -> None:
        """Keeps that these calls are about to run."""
        if effects and self._journal is not None:
            await self.flush()
            await self._journal.intend(self.scope[1], effects)

    async def settle(self, place: Place, standing: Standing, content: bytes = b"") -> None:
        """Keeps what came of a call."""
        if self._journal is not None:
            await self._journal.settle(self.scope[1], place.number, standing, content)

    async def _place(self, label: str, asked: Callable[[], Any]) -> Place:
        if self._journal is None:
            self._next += 1
            return Place(self._next - 1, label)
        beside = bool(self.owner) and _current() != self.owner
        number = self._next
        if not beside:
            self._next += 1
        recalled = self._recalled or await self._recall(self._journal)
        return self._beside(recalled, label, asked) if beside else self._at(recalled, number, label)

    async def _recall(self, journal: Journal) -> Recalled:
        if self._recalled is None and self._fresh and not journal.wrote(self.scope[1]):
            self._recalled = Recalled()
        if self._recalled is None:
            recalled = await journal.recall(self.scope[1])
            self._recalled = self._recalled or recalled
        return self._recalled

    def _at(self, recalled: Recalled, number: int, label: str) -> Place:
        entry = None if self._lost or number not in recalled.steps else _decode(recalled.steps[number])
        if entry is not None and entry.label != label:
            self._lost, entry = True, None  # the node takes another way: what follows answers other questions
        return Place(number, label, entry and entry.content, recalled.effects.get(number))

    def _beside(self, recalled: Recalled, label: str, asked: Callable[[], Any]) -> Place:
        mark = hashlib.sha256(_sorted([label, asked()])).hexdigest()[:32]
        place: Place | None = None
        for number in sorted({*recalled.steps, *recalled.effects} - self._claimed):
            effect = recalled.effects.get(number)
            entry = _decode(recalled.steps[number]) if number in recalled.steps else None
            same = entry is not None and entry.mark == mark
            if number >= SIDE and (same or (effect and call_hash(effect.tool, effect.arguments) == label)):
                place = Place(number, label, entry.content if entry and same else None, effect, mark)
                break
        if place is None:
            last = max((SIDE - 1, *self._claimed, *recalled.steps, *recalled.effects))
            place = Place(last + 1, label, mark=mark)
        self._claimed.add(place.number)
        return place


def place_in(recalled: Recalled, number: int, label: str) -> Place:
    """What is kept under a number, for those who run nothing; of a step of any label where it is empty."""
    entry = _decode(recalled.steps[number]) if number in recalled.steps else None
    content = entry.content if entry is not None and label in ("", entry.label) else None
    return Place(number, label, content, recalled.effects.get(number))


def call_hash(name: str, arguments: str) -> str:
    """A hash of a tool's name and its exact arguments, however they are written."""
    try:
        plain: Any = msgspec.json.decode(arguments) if arguments.strip() else {}
        text = _sorted(plain)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        text = arguments.encode("utf-8", "replace")
    return hashlib.sha256(name.encode("utf-8", "replace") + b"\0" + text).hexdigest()[:32]


def _current() -> int:
    """The `id` of the asyncio task that runs."""
    from asyncio import current_task  # noqa: PLC0415 (a quarter of the vocabulary's CPU; a run has it loaded)

    try:
        return id(cast("Any", current_task()))
    except RuntimeError:  # a thread without a loop
        return -1
