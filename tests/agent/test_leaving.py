"""Clients that leave a turn at any place leave no task, socket, file or half-written thread."""

import asyncio
import gc
import os
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent, Model, tool
from stretto.events import Event, NodeStarted, TextDelta, ToolStarted
from stretto.graph import END, START, Conversation, Graph
from stretto.messages import Message, ToolCall, ToolResult
from stretto.nodes import llm
from stretto.testing import ChatServer, Fault, ScriptedModel

PLACES = ("before the headers", "before the first token", "in mid-stream", "in a tool", "in a sync tool")
WAYS = ("aclose", "break", "cancel", "timeout", "run")
BATCH = 50
SEED = 3

released = threading.Event()
"""Lets the sync tools end: a thread cannot be stopped from outside."""


@tool
async def endless() -> str:
    """Takes for ever."""
    await asyncio.Event().wait()
    return ""


@tool
def blocking() -> str:
    """Takes until it is released."""
    released.wait()
    return ""


CALLS = {"in a tool": "endless", "in a sync tool": "blocking"}


def unanswered(messages: Any) -> set[str]:
    """The ids of tool calls that no result answers."""
    calls = {call.id for message in messages for call in message.tool_calls}
    parts = [part for message in messages for part in message.parts]
    return calls - {part.call_id for part in parts if isinstance(part, ToolResult)}


class Scene:
    """An endpoint of many moods, and the agents that talk to it: one as it is, one with a sub-graph."""

    def __init__(self, threads: Any) -> None:
        self.asked: dict[str, asyncio.Event] = {}
        """By question: set when the endpoint has it."""
        self.server = ChatServer(otherwise=self._answer)
        self.mute = 0
        """Clients that the endpoint which never answers saw go."""
        self._threads = threads

    async def __aenter__(self) -> "Scene":
        await self.server.__aenter__()
        self._silent = await asyncio.start_server(self._say_nothing, "127.0.0.1", 0)
        port = self._silent.sockets[0].getsockname()[1]
        self.models = [Model("compatible:x", base_url=self.server.url, limit=1000)]
        self.models.append(Model("compatible:x", base_url=f"http://127.0.0.1:{port}/v1", limit=1000))
        self.agents: dict[tuple[bool, bool], Agent] = {}
        for silent, model in enumerate(self.models):
            plain = Agent(model=model, tools=[endless, blocking], threads=self._where(silent))
            inner = Graph().add_node("say", llm(model, tools=[endless, blocking])).add_edge(START, "say")
            outer = Graph().add_node("inner", inner.add_edge("say", END)).add_edge(START, "inner")
            self.agents[bool(silent), False] = plain
            self.agents[bool(silent), True] = Agent(
                outer.add_edge("inner", END), threads=self._where(2 + silent)
            )
        return self

    def _where(self, number: int) -> Any:
        return self._threads / f"{number}.sqlite" if isinstance(self._threads, Path) else self._threads

    async def __aexit__(self, *_: object) -> None:
        self._silent.close()
        await self.server.__aexit__()

    async def close(self) -> None:
        for agent in self.agents.values():
            await agent.close()
        for model in self.models:
            await model.close()

    def _answer(self, request: Any) -> Any:
        assert not unanswered(request.messages)
        said = next(message.text for message in reversed(request.messages) if message.role == "user")
        question = said.rpartition("Question: ")[2].rpartition("\n\n")[2]  # behind those that were left
        if question in self.asked:
            self.asked[question].set()
        place = question.partition(",")[0]
        if place in CALLS:
            return ToolCall("", CALLS[place])
        if place == "before the first token":
            return Fault(kind="stall")
        return Fault(kind="stall", after=4) if place == "in mid-stream" else "All is well."

    async def _say_nothing(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = b""
        while data := await reader.read(65536):
            said += data
            for question, asked in self.asked.items():
                if f'{question}"'.encode() in said:
                    asked.set()
        self.mute += 1
        writer.close()

    def agent(self, place: str, nested: bool) -> Agent:
        return self.agents[place == "before the headers", nested]


def is_there(place: str, event: Event) -> bool:
    """Whether the turn has come to the place, or will without another event."""
    kinds = {"in mid-stream": TextDelta} | dict.fromkeys(CALLS, ToolStarted)
    return isinstance(event, kinds.get(place, NodeStarted)) and event.node not in ("inner",)


async def reading(stream: AsyncIterator[Event], place: str, arrived: asyncio.Event, stop: bool) -> None:
    """Reads events; at the place it says so, and stops or reads on."""
    async for event in stream:
        if is_there(place, event):
            arrived.set()
            if stop:
                break


async def client(scene: Scene, place: str, way: str, nested: bool, number: int) -> None:
    """One client: comes to the place and leaves it."""
    question, arrived = f"{place}, {number}", asyncio.Event()
    asked = scene.asked[question] = asyncio.Event()
    agent, thread_id = scene.agent(place, nested), f"thread {number}"
    if way == "run":
        turn = asyncio.create_task(agent.run(question, thread_id=thread_id))
        await asked.wait()
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        return
    stream = agent.stream(question, thread_id=thread_id)
    if way in ("aclose", "break"):
        await reading(stream, place, arrived, stop=True)
        await asked.wait()
        if way == "aclose":
            await stream.aclose()
        return  # after `break` the last one who knows the stream is gone
    if way == "cancel":
        task = asyncio.create_task(reading(stream, place, arrived, stop=False))
        await arrived.wait()
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return

    async def until_the_time_is_up() -> None:
        async with asyncio.timeout(None) as clock:

            async def up() -> None:
                await arrived.wait()
                await asked.wait()
                clock.reschedule(0)

            watch = asyncio.create_task(up())
            await reading(stream, place, arrived, stop=False)
            await watch

    with pytest.raises(TimeoutError):
        await until_the_time_is_up()


async def within_a_second(holds: Callable[[], bool], what: Callable[[], Any]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            while not holds():
                await asyncio.sleep(0.01)
    assert holds(), what()


def files() -> int:
    return len(os.listdir("/dev/fd"))


def tasks() -> list[str]:
    """What runs in this loop beside the endpoint's own tasks."""
    names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
    return [name for name in names if not name.startswith(("HttpServer.", "Scene._say"))]


@pytest.mark.slow
@pytest.mark.parametrize(("threads", "count"), [("memory", 1000), ("sqlite", 200)])
async def test_a_thousand_clients_that_leave_leave_nothing(threads: str, count: int, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    plan = [(chance.choice(PLACES), chance.choice(WAYS), chance.random() < 0.5) for _ in range(count)]
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    released.clear()
    async with Scene(tmp_path if threads == "sqlite" else threads) as scene:
        for agent in scene.agents.values():  # opens stores and sockets once
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await agent.run("hello", thread_id="first")
        idle, known, left, mute = files(), tasks(), scene.server.left, scene.mute
        for first in range(0, count, BATCH):
            batch = enumerate(plan[first : first + BATCH], first)
            await asyncio.gather(*(client(scene, *where, number) for number, where in batch))
        places = Counter(place for place, _, _ in plan)
        streamed = places["before the first token"] + places["in mid-stream"]
        await within_a_second(
            lambda: (
                scene.server.left - left == streamed
                and scene.mute - mute == places["before the headers"]
                and Counter(tasks()) == Counter(known)
                and files() - idle <= 2 * scene.server.open
            ),
            lambda: (scene.server.left - left, streamed, scene.mute, places, tasks(), files() - idle),
        )
        for number in range(0, count, 7):  # the thread goes on as if nothing had been
            _, _, nested = plan[number]
            result = await scene.agents[False, nested].run("again", thread_id=f"thread {number}")
            assert result.output == "All is well."
        await scene.close()
        await scene.server.all_left()
        released.set()
        assert files() <= idle
    assert complaints == []


async def test_a_stream_that_is_dropped_is_closed_by_the_collector_without_a_word() -> None:
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with ChatServer(Fault(kind="stall", after=4)) as server:
        agent = Agent(model=Model("compatible:x", base_url=server.url))
        known = len(tasks())
        stream = agent.stream("hello")
        async for event in stream:
            if isinstance(event, TextDelta):
                break
        del stream
        gc.collect()
        await within_a_second(lambda: server.left == 1 and len(tasks()) == known, tasks)
        await agent.close()
    assert complaints == []


async def test_a_turn_that_fails_after_its_reader_left_is_not_told_to_the_loop() -> None:
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    inside = asyncio.Event()

    async def stubborn(state: Conversation) -> Conversation:
        try:
            inside.set()
            await asyncio.Event().wait()
        finally:
            raise ValueError("not now")

    stream = Agent(Graph().add_node("a", stubborn).add_edge(START, "a").add_edge("a", END)).stream("hi")
    async for event in stream:
        if isinstance(event, NodeStarted):
            break
    await inside.wait()
    await stream.aclose()
    del stream
    gc.collect()
    assert complaints == []


async def test_a_cancel_that_meets_the_closing_of_a_stream_is_not_lost() -> None:
    closing, leave = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        """Takes its time to go."""
        try:
            await asyncio.Event().wait()
        finally:
            closing.set()
            await leave.wait()
        return ""

    async def reader() -> None:
        stream = Agent(model=ScriptedModel(ToolCall("1", "slow"), "x"), tools=[slow]).stream("hi")
        async for event in stream:
            if isinstance(event, ToolStarted):
                break
        await stream.aclose()

    task = asyncio.create_task(reader())
    await closing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    leave.set()


async def test_sync_nodes_that_were_left_do_not_hold_up_those_of_others() -> None:
    """A thread cannot be stopped: it must not hold a place that another turn waits for."""
    released.clear()
    inside: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def look(state: Conversation) -> Conversation:
        loop.call_soon_threadsafe(inside.put_nowait, state["question"])
        if state["question"] == "slow":
            released.wait()
        return {"messages": [Message.assistant("seen")]}

    agent = Agent(Graph().add_node("look", look).add_edge(START, "look").add_edge("look", END))
    turns = [asyncio.create_task(agent.run("slow")) for _ in range(40)]
    for _ in turns:
        await inside.get()
    for turn in turns:
        turn.cancel()
    ends = await asyncio.gather(*turns, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)
    async with asyncio.timeout(5):
        assert (await agent.run("quick")).path == ("look",)
    released.set()


async def test_a_turn_that_is_left_is_finished_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "stretto.run")
    async with asyncio.timeout(5):
        stream = Agent(model=ScriptedModel(ToolCall("1", "endless"), "x"), tools=[endless]).stream("hi")
        async for event in stream:
            if isinstance(event, ToolStarted):
                break
        await stream.aclose()
    assert "status=cancelled" in caplog.messages[-1]
