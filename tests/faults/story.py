"""Plays a story of one agent in processes that are killed, and looks whether all of it is there at its end.

Run as a program by the tests; `turns.py` has the processes. The story: a picture, a turn with tools, one that
waits for a person, its answer to the next version of the graph, a fork, threads that are deleted, and users
of whom something is remembered, or forgotten. Each step is noted outside once it has ended; a process that is
begun `again` goes on behind the last note. Ends with the oracle: what was acknowledged is there, once.
"""

import functools
import json
import struct
import zlib
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from turns import lines, note, serve, tools_of

from stretto import Agent, Image, Model, RunContext, tool
from stretto.agent import memories_of, threads_of
from stretto.context import current_context
from stretto.events import Event, Retracted, RunFinished, TextDelta
from stretto.graph import END, START, Conversation, Graph
from stretto.media.references import MediaReferences
from stretto.media.stores import store_at
from stretto.models.protocol import Capabilities
from stretto.nodes import compact, llm
from stretto.testing import assert_valid_history
from stretto.threads import Retention
from stretto.threads import turns as thread_turns
from stretto.threads.deletion import is_known

SEEING = Capabilities(vision=True, tools=True, context=4000)
QUESTIONS = {"picture": "What is it?", "tools": "Do it.", "wait": "Send it.", "gone": "What is that?"}
STEPS = ("picture", "tools", "wait", "sent", "gone")


def picture(shade: int) -> Image:
    """A PNG of one grey."""
    rows = b"".join(b"\0" + bytes([shade]) * 40 for _ in range(40))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 40, 8, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return Image.from_bytes(data, "image/png")


def noting(log: str, node: Any) -> Any:
    """The node, with each time that it runs noted outside: its task, and the answers that it runs with."""

    @functools.wraps(node)
    async def noted(*given: Any, **named: Any) -> Any:
        ctx = current_context()
        note(log, "ran", *ctx.steps.scope, ",".join(sorted(ctx.answers)) or "-")
        return await node(*given, **named)

    return noted


def agent_of(case: dict[str, Any], version: int) -> Agent:
    """The agent: in its second version, the node that answers has another name."""

    @tool(effect="once", approval=True)
    async def send(to: str, ctx: RunContext) -> str:
        note(case["log"], "pay", ctx.idempotency_key, to)
        return "sent"

    model = Model("compatible:x", base_url=case["url"], capabilities=SEEING)
    answering = llm(model, tools=[*tools_of(case["log"], knows=case["knows"]), send])
    name = "answer" if version == 1 else "reply"
    graph = Graph(Conversation, renamed={"answer": "reply"} if version == 2 else {})
    shortening = noting(case["log"], compact(model, over=0.02, keep=1))
    graph.add_node("compact", shortening).add_node(name, noting(case["log"], answering))
    graph.add_edge(START, "compact").add_edge("compact", name).add_edge(name, END)
    return Agent(
        graph,
        threads=Path(case["threads"]),
        media=case.get("media") or f"{case['threads']}.media",
        retention=Retention(turns=20),
        second_turn="enqueue",
    )


def told(events: list[Event]) -> str:
    """The text that a reader of these events sees."""
    text = ""
    for event in events:
        if isinstance(event, TextDelta):
            text += event.text
        elif isinstance(event, Retracted):
            text = text[: len(text) - event.length]
    return text


class Story:
    """One story, in one process."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case, self.log = case, case["log"]
        self.before = lines(self.log)
        self.agent: Any = None
        self.taken_up: list[str] = []

    def is_done(self, step: str) -> bool:
        return ["done", step] in self.before

    def started(self, step: str) -> list[str]:
        """The runs of a step that were acknowledged."""
        return [line[2] for line in lines(self.log) if line[:2] == ["start", step]]

    async def open(self, version: int) -> None:
        """Opens the agent and takes up what was left."""
        self.agent = agent_of(self.case, version)
        known = [line[2] for line in self.before if line[0] == "start"]
        recovered = await self.agent.recover()
        self.taken_up = [run_id for run_id in recovered if run_id not in known]

    async def turn(self, step: str, question: Any, thread_id: str, *, answers: Any = None) -> Any:
        """One turn that outlives its process: its client asks again only where nothing is known of it."""
        if self.started(step):
            run_id = self.started(step)[0]
        elif self.taken_up:
            run_id = self.taken_up.pop()
            note(self.log, "start", step, run_id)
        else:
            run_id = (await self.agent.start(question, thread_id=thread_id, answers=answers)).run_id
            note(self.log, "start", step, run_id)
        await self.read(run_id)
        return await self.agent.result(run_id)

    async def read(self, run_id: str) -> None:
        """Reads on behind the last event that was seen, and notes each."""
        last = max([int(line[2]) for line in lines(self.log) if line[:2] == ["seen", run_id]], default=0)
        with open(self.log, "a", buffering=1) as file:
            async for event in self.agent.follow(run_id, after=last):
                text = event.text if isinstance(event, TextDelta) else ""
                cut = event.length if isinstance(event, Retracted) else 0
                file.write(f"seen {run_id} {event.number} {json.dumps([text, cut]).encode().hex()}\n")
                last = event.number
        async for event in self.agent.follow(run_id, after=last - 1):
            assert isinstance(event, RunFinished), f"the last event of {run_id} is {event}"

    async def answered(self, step: str, result: Any, thread_id: str) -> Any:
        """Answers what a person is asked: approvals are given, and what is uncertain is told."""
        turns = 0
        while result.interrupts:
            turns += 1
            given = {
                call: self.case["decided"] if call.endswith(":uncertain") else True
                for call in result.interrupts
            }
            result = await self.turn(f"{step}.{turns}", None, thread_id, answers=given)
        return result

    async def play(self) -> None:
        """The story from its last note on."""
        await self.open(2 if self.is_done("wait") else 1)
        for step in STEPS:
            if not self.is_done(step):
                await self.step(step)
                note(self.log, "done", step)
        await self.let_go()

    async def step(self, step: str) -> None:
        """A step of the story, to its end."""
        thread_id = "gone" if step == "gone" else "t"
        if step == "sent":
            await self.agent.close()
            await self.open(2)
            result = await self.agent.result(self.started("wait")[0])
        else:
            shown = {"picture": [picture(200)], "gone": [picture(90)]}.get(step, [])
            result = await self.turn(step, [QUESTIONS[step], *shown], thread_id)
        if step != "wait":
            await self.answered(step, result, thread_id)

    async def let_go(self) -> None:
        """Something is remembered and something forgotten; a fork whose media are released, a thread that is
        deleted; what nobody holds is swept."""
        kept = await self.agent._opened.kept()
        for user in ("ann", "bob"):
            async with memories_of(self.agent, user=user) as memories:
                if user == "bob" or not self.is_done("remembered"):
                    await memories.consent(True)
        note(self.log, "done", "remembered")
        async with threads_of(self.agent) as threads:
            if not self.is_done("forked"):
                await threads.delete(["fork"])
                await threads.fork("t", to="fork")
                note(self.log, "done", "forked")
            await MediaReferences(kept.database).release("fork")
            await threads.delete(["fork", "gone"])
            await threads.delete_of(user="bob")
        await self.agent.sweep_media(older_than=-60)

    async def check(self) -> None:
        """The oracle: what is kept beside what was acknowledged."""
        kept = await self.agent._opened.kept()
        messages = await self.agent.messages("t")
        assert_valid_history(messages)
        asked = [message.text for message in messages if message.role == "user"]
        assert asked == [QUESTIONS[step] for step in ("picture", "tools", "wait")], asked
        media = {part.source for message in messages for part in message.media}
        held = {one.reference for one in await self.agent.held_media(["t"])}
        store = store_at(self.case.get("media") or f"{self.case['threads']}.media")
        assert len(media) == 1 and media == held
        assert {each.reference async for each in store.kept()} == media
        for user in ("ann", "bob"):
            async with memories_of(self.agent, user=user) as memories:
                assert await memories.consent() == (user == "ann"), (
                    f"what {user} said is not kept, or not gone"
                )
        for thread_id in ("gone", "fork"):
            known = await kept.database.transact(lambda c, name=thread_id: is_known(c, name), writes=False)
            assert not known, f"something is left of thread {thread_id}"
        for line in lines(self.log):
            if line[0] == "start" and line[1].split(".")[0] != "gone":
                await self.check_events(line[1], line[2])

    async def check_events(self, step: str, run_id: str) -> None:
        """A run's events have no gap, and whoever read them over the crash has seen its text."""
        events = [event async for event in self.agent.follow(run_id)]
        assert [event.number for event in events] == list(range(1, len(events) + 1)), (step, events)
        assert [isinstance(event, RunFinished) for event in events].count(True) == 1, (step, events)
        seen = [line for line in lines(self.log) if line[:2] == ["seen", run_id]]
        assert [int(line[2]) for line in seen] == list(range(1, len(events) + 1)), step
        text = ""
        for line in seen:
            added, cut = json.loads(bytes.fromhex(line[3]))
            text = text[: len(text) - cut] + added
        assert text == told(events), (step, text, told(events))
        result = await self.agent.result(run_id)
        if result.status == "done" and "." not in step:
            assert text == result.output, (step, text, result.output)


async def story(case: dict[str, Any]) -> dict[str, Any]:
    """Plays and checks; what it reached, and how often, where it was not killed."""
    thread_turns._BEAT, thread_turns._RENEW = 0.005, 1
    here = Story(case)
    try:
        await here.play()
        await here.check()
        return {"done": True, "reached": Counter(case["reached"])}
    finally:
        with suppress(Exception):
            await here.agent.close()


if __name__ == "__main__":
    serve(story)
