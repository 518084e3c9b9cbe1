"""Turns, cancelled callers, crashes, answers of a person and forks, in any order that hypothesis tries.

A crash is a fault point that raises, and from then on every one does: nothing more is written by that agent.
The next one stands for another process, by the name under which it owns its runs.
"""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stretto import Agent, RunContext, tool
from stretto._internal.faults import listen
from stretto.agent import threads_of
from stretto.errors import ThreadError
from stretto.graph.stream import thread_standing
from stretto.messages import ToolCall
from stretto.testing import ScriptedModel, assert_valid_history
from stretto.threads import runs

SEEDS = int(os.environ.get("STRETTO_SEEDS", "1"))
POINTS = [
    f"{step}.{side}"
    for step in ("checkpoint.put", "writes.put", "journal", "intent", "effect", "done", "event.append")
    for side in ("before", "after")
] + ["lease.take.after", "lease.release.before", "lease.release.after", "forget_steps.before", "prune.before"]
KINDS = st.sampled_from(["say", "pay", "send"])


class Crash(BaseException):
    """The end of a process."""


class Conversations(RuleBasedStateMachine):
    """One thread, and what its clients were told of it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.numbers, self.processes = itertools.count(1), itertools.count(2**22 + 1)
        self.effects: list[str] = []
        self.told: list[str] = []
        self.wrong: list[str] = []
        self.waiting: dict[str, Any] = {}
        self.own, self.dead, self.due = runs.this_process, False, ("", 0)
        self.begin()

    def begin(self) -> None:
        """Another process."""
        host, _, began = self.own().split("|")
        name = f"{host}|{next(self.processes)}|{began}"
        runs.this_process = lambda: name
        self.dead, self.due = False, ("", 0)
        listen(self.heard)
        self.runner = asyncio.Runner()
        self.agent = self.made()

    def heard(self, point: str) -> None:
        """Ends the process where it is due to end."""
        name, left = self.due
        if point == name:
            self.due = name, left - 1
            self.dead = self.dead or left <= 1
        if self.dead:
            raise Crash(point)

    def made(self) -> Agent:
        @tool(effect="once")
        async def pay(order: str, ctx: RunContext) -> str:
            self.effects.append(ctx.idempotency_key)
            return f"paid {order}"

        @tool(effect="once", approval=True)
        async def send(order: str, ctx: RunContext) -> str:
            self.effects.append(ctx.idempotency_key)
            return f"sent {order}"

        model = ScriptedModel(otherwise=self.answer)
        return Agent(model=model, tools=[pay, send], threads=self.folder / "t.sqlite")

    def answer(self, asked: Any) -> Any:
        try:
            assert_valid_history(asked.messages)
        except AssertionError as error:
            self.wrong.append(str(error))
        last = asked.messages[-1]
        kind, _, number = last.text.split("\n")[-1].partition(" ")
        if last.role == "user" and kind in ("pay", "send"):
            return ToolCall(f"c{next(self.numbers)}", kind, f'{{"order": "{number}"}}')
        return f"Answered {kind} {number}."

    async def turn(self, question: str | None, answers: Any = None) -> None:
        """A turn that is acknowledged when its id is there."""
        started = await self.agent.start(question, thread_id="t", answers=answers)
        if question:
            self.told.append(question)
        await self.end(started.run_id)

    async def end(self, run_id: str) -> None:
        async with asyncio.timeout(20):
            try:
                result = await self.agent.result(run_id)
            except ThreadError:
                if not self.dead:
                    raise
                raise Crash from None
        self.waiting = dict(result.interrupts)

    async def taken_up(self) -> None:
        """What the process before left goes on."""
        for run_id in await self.agent.recover():
            await self.end(run_id)
        with suppress(ThreadError):  # a turn that nobody is to take up, such as one whose caller left
            self.waiting = dict((await self.agent.resume("t")).interrupts)

    @precondition(lambda self: not self.waiting)
    @rule(kind=KINDS)
    def ask(self, kind: str) -> None:
        self.runner.run(self.turn(f"{kind} {next(self.numbers)}"))

    @precondition(lambda self: self.waiting)
    @rule(agreed=st.booleans())
    def answered(self, agreed: bool) -> None:
        self.runner.run(self.turn(None, self.given(agreed)))

    def given(self, agreed: bool) -> dict[str, Any]:
        return {call: "leave it" if call.endswith(":uncertain") else agreed for call in self.waiting}

    @rule(kind=KINDS, point=st.sampled_from(POINTS), nth=st.integers(1, 3), agreed=st.booleans())
    def crash(self, kind: str, point: str, nth: int, agreed: bool) -> None:
        """A process ends in a turn, or behind it, and the next one takes over."""
        self.due = point, nth
        turn = (
            self.turn(None, self.given(agreed)) if self.waiting else self.turn(f"{kind} {next(self.numbers)}")
        )

        async def until_dead() -> None:
            playing = asyncio.ensure_future(turn)
            while not self.dead and not playing.done():
                await asyncio.wait([playing], timeout=0.001)
            self.dead = True
            playing.cancel()
            await asyncio.wait([playing])
            if not playing.cancelled():
                playing.exception()

        with suppress(Crash):
            self.runner.run(until_dead())
        with suppress(Crash):
            self.runner.close()
        self.begin()
        self.runner.run(self.taken_up())

    @precondition(lambda self: not self.waiting)
    @rule(kind=KINDS, steps=st.integers(0, 150))
    def leave(self, kind: str, steps: int) -> None:
        """A caller leaves: nothing was told."""

        async def left() -> None:
            turn = asyncio.create_task(self.agent.run(f"{kind} {next(self.numbers)}", thread_id="t"))
            for _ in range(steps):
                await asyncio.sleep(0)
            turn.cancel()
            await asyncio.wait([turn])
            compiled = (await self.agent._opened.kept()).compiled
            self.waiting = dict((await thread_standing(compiled, "t")).questions)

        self.runner.run(left())

    async def said(self, thread_id: str) -> list[Any]:
        """Its messages; one whose checkpoint was never written gets another id each time."""
        return [(message.role, message.parts) for message in await self.agent.messages(thread_id)]

    @precondition(lambda self: self.told)
    @rule()
    def fork(self) -> None:
        """A fork has the messages of its thread, and goes its own way."""

        async def forked() -> None:
            async with threads_of(self.agent) as threads:
                name = (await threads.fork("t")).thread_id
            before = await self.said("t")
            assert await self.said(name) == before
            if not self.waiting:
                await self.agent.run(f"say {next(self.numbers)}", thread_id=name)
            assert await self.said("t") == before

        self.runner.run(forked())

    @invariant()
    def holds(self) -> None:
        """What was told is there, in order; each effect once; what a model was shown is valid."""
        messages = self.runner.run(self.agent.messages("t"))
        asked = iter([message.text for message in messages if message.role == "user"])
        assert all(question in asked for question in self.told), (self.told, messages)
        assert set(Counter(self.effects).values()) <= {1}
        assert not self.wrong

    def teardown(self) -> None:
        try:
            listen(None)
            self.runner.run(self.agent.close())
            self.runner.close()
        finally:
            runs.this_process = self.own
            shutil.rmtree(self.folder)


Conversations.TestCase.settings = settings(
    max_examples=10 * SEEDS,
    stateful_step_count=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=SEEDS == 1,
)
TestConversations = pytest.mark.slow(pytest.mark.timeout(600 * SEEDS)(Conversations.TestCase))
