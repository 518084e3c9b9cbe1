"""`Steps`: found again by their number in the node's own task, and by what was asked beside it."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from stretto.steps import SIDE, Effect, Place, Recalled, Standing, Steps, call_hash


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.steps: dict[int, bytes] = {}
        self.effects: dict[int, Effect] = {}
        self.written = 0

    async def recall(self, task_id: str) -> Recalled:
        await asyncio.sleep(0)
        return Recalled(dict(self.steps), dict(self.effects))

    async def record(self, task_id: str, steps: Mapping[int, bytes]) -> None:
        self.written += 1
        self.steps |= steps

    async def unsay(self, task_id: str, steps: Iterable[int]) -> None:
        for number in steps:
            self.steps.pop(number, None)

    async def intend(self, task_id: str, effects: Mapping[int, Effect]) -> None:
        self.effects |= effects

    async def settle(self, task_id: str, step: int, standing: Standing, content: bytes) -> None:
        raise AssertionError

    def wrote(self, task_id: str) -> bool:
        return bool(self.written)


def owned(journal: Kept | None) -> Steps:
    """Steps of a node that runs in this task."""
    return Steps(journal, "t", "task", id(asyncio.current_task()))


async def said(steps: Steps, label: str, asked: Any = "", new: bytes = b"new") -> bytes:
    """The reply of a step: the kept one, or a new one."""
    place = await steps.reply(label, lambda: asked)
    if place.content is None:
        await steps.record(place, new)
    return place.content or new


async def test_steps_of_the_nodes_own_task_are_found_by_their_number() -> None:
    journal = Kept()
    first = owned(journal)
    assert [await said(first, "m", n, str(n).encode()) for n in range(3)] == [b"0", b"1", b"2"]
    again = owned(journal)
    assert [await said(again, "m", "the clock says something else") for _ in range(4)] == [
        b"0",
        b"1",
        b"2",
        b"new",
    ]


async def test_where_a_node_takes_another_way_what_follows_is_asked_anew() -> None:
    journal = Kept()
    first = owned(journal)
    for label in ("small", "large", "large"):
        await said(first, label, new=b"old")
    again = owned(journal)
    assert [await said(again, label) for label in ("small", "other", "large")] == [b"old", b"new", b"new"]


async def test_calls_at_once_are_found_by_what_was_asked_in_whatever_order_they_come() -> None:
    journal = Kept()

    async def branch(steps: Steps, name: str, gate: asyncio.Event, opens: asyncio.Event) -> list[bytes]:
        one = await said(steps, "m", [name, 1], f"{name}1".encode())
        opens.set()
        await gate.wait()
        return [one, await said(steps, "m", [name, 2], f"{name}2".encode())]

    async def both(first: str, second: str) -> dict[str, list[bytes]]:
        steps, gates = owned(journal), {name: asyncio.Event() for name in (first, second)}
        before = await said(steps, "m", "before", b"before")
        assert before == b"before"
        ended = await asyncio.gather(
            branch(steps, first, gates[second], gates[first]),
            branch(steps, second, gates[first], gates[second]),
        )
        assert await said(steps, "m", "after", b"after") == b"after"
        return dict(zip((first, second), ended, strict=True))

    expected = {"a": [b"a1", b"a2"], "b": [b"b1", b"b2"]}
    assert await both("a", "b") == expected
    written = journal.written
    assert await both("b", "a") == expected  # the other way round
    assert journal.written == written == 6
    assert sorted(number for number in journal.steps if number < SIDE) == [0, 1]


async def test_the_same_question_asked_three_times_at_once_has_three_answers() -> None:
    journal = Kept()

    async def sampled(answers: list[bytes]) -> list[bytes]:
        steps = owned(journal)
        return await asyncio.gather(*(said(steps, "m", "the same", each) for each in answers))

    assert await sampled([b"x", b"y", b"z"]) == [b"x", b"y", b"z"]
    assert sorted(await sampled([b"none"] * 3)) == [b"x", b"y", b"z"]


async def test_a_call_beside_the_node_keeps_its_number_and_so_its_key() -> None:
    journal = Kept()

    async def call(steps: Steps, arguments: str) -> int:
        place = await steps.call("pay", arguments)
        if place.effect is None:
            await steps.intend({place.number: Effect("k", "pay", "once", arguments)})
        return place.number

    steps = owned(journal)
    first = await asyncio.gather(call(steps, '{"a": 1}'), call(steps, '{"a": 2}'))
    steps = owned(journal)
    again = await asyncio.gather(call(steps, '{"a":2}'), call(steps, '{"a":1}'))
    assert again == first[::-1] and len(journal.effects) == 2


async def test_replies_that_were_of_no_use_are_asked_for_anew_and_tools_are_not() -> None:
    journal = Kept()
    steps = owned(journal)
    await said(steps, "m", new=b"calls a tool")
    steps.later(await steps.call("look", "{}"), b"seen")
    await said(steps, "m", new=b"bad")
    await said(steps, "m", new=b"worse")
    await steps.unsay()
    again = owned(journal)
    assert await said(again, "m") == b"calls a tool"
    assert (await again.call("look", "{}")).content == b"seen"
    assert await said(again, "m") == b"new"


async def test_a_step_that_may_be_done_again_is_kept_with_the_next() -> None:
    journal = Kept()
    steps = owned(journal)
    steps.later(await steps.call("look", "{}"), b"seen")
    assert journal.written == 0
    await said(steps, "m")
    assert journal.written == 1 and sorted(journal.steps) == [0, 1]


async def test_without_a_journal_steps_are_numbered_and_nothing_else() -> None:
    steps = owned(None)
    assert [(await steps.reply("m", lambda: 1)).number for _ in range(2)] == [0, 1]
    await steps.record(await steps.call("look", "{}"), b"")
    assert not steps.kept


def test_a_key_is_the_same_for_the_same_step_alone() -> None:
    def key(*scope: str, number: int) -> str:
        return Steps(None, *scope).key_of(Place(number, "pay"))

    keys = {key(*scope, number=n) for scope in (("t", "a"), ("t", "b"), ("u", "a")) for n in (0, 1)}
    assert len(keys) == 6 and key("t", "a", number=1) == key("t", "a", number=1)


def test_a_call_that_was_noted_keeps_its_key_in_a_task_of_another_name() -> None:
    noted = Place(0, call_hash("pay", "{}"), effect=Effect("as before", "pay", "once", "{ }"))
    assert Steps(None, "t", "renamed").key_of(noted) == "as before"
    other = Place(0, call_hash("refund", "{}"), effect=noted.effect)
    assert Steps(None, "t", "renamed").key_of(other) != "as before"


def test_arguments_are_the_same_however_they_are_written() -> None:
    assert call_hash("pay", '{"a": 1, "b": [2]}') == call_hash("pay", '{"b":[2],"a":1}')
    assert call_hash("pay", "{}") == call_hash("pay", "") != call_hash("pay", '{"a": 1}')
    assert call_hash("pay", '{"a": 1}') != call_hash("refund", '{"a": 1}')
    assert call_hash("pay", "{not json") != call_hash("pay", "{nor this")


async def test_a_fresh_task_is_not_looked_for_until_something_was_written_of_it() -> None:
    journal = Kept()
    journal.steps = {0: b"of nobody"}
    fresh = Steps(journal, "t", "task", fresh=True)
    assert await said(fresh, "m") == b"new"
    assert await said(fresh.anew(), "m", new=b"again") == b"new"
