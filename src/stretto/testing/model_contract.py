"""`ModelContract`: the tests every `ChatModel` passes. Needs pytest and pytest-asyncio; knows no model.

    class TestMyModel(ModelContract):
        @pytest.fixture
        async def model(self):
            model = MyModel()
            yield model
            await model.close()

It judges form, never the quality of the text, so a small local model passes it. A scripted model or
server passes when it answers with `contract_answer`.
"""

import asyncio
import json
from typing import Any, cast

import pytest

from stretto.errors import ContextOverflow, ModelError, StrettoError
from stretto.messages import Image, Message, Text, ToolCall, ToolResult, ToolSpec
from stretto.models.protocol import (
    Capabilities,
    ChatModel,
    OutputSchema,
    Piece,
    ReasoningPiece,
    Reply,
    TextPiece,
    ToolCallPiece,
    complete,
)
from stretto.settings import ModelSettings
from stretto.testing.scripted import contract_answer

__all__ = ["ModelContract", "contract_answer"]

CITIES = ["Paris", "Oslo"]
COLOURS = ["red", "green", "blue"]

WEATHER = ToolSpec(
    "get_weather",
    "The weather in a city now.",
    {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": CITIES}},
        "required": ["city"],
        "additionalProperties": False,
    },
)

VERDICT = OutputSchema(
    "verdict",
    {
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": COLOURS}, "sure": {"type": "boolean"}},
        "required": ["colour", "sure"],
        "additionalProperties": False,
    },
)

QUESTION = Message.user("Write three sentences about the sea.")
WEATHER_QUESTION = Message.user("What is the weather in Paris? Use the tool.")
VERDICT_QUESTION = Message.user("Which colour is grass, and are you sure? Answer in JSON.")


async def collect(
    model: ChatModel, messages: list[Message], settings: ModelSettings, **request: Any
) -> list[Piece]:
    """All pieces of one answer."""
    return [piece async for piece in model.stream(messages, settings=settings, **request)]


class ModelContract:
    """Subclass it and give one fixture `model`; a fresh model a test."""

    pytestmark = pytest.mark.asyncio

    settings = ModelSettings(temperature=0.0, max_tokens=64, seed=1)
    """What each call asks for. Override it for a model that refuses one of these."""

    patience = 60.0
    """Seconds one call may take."""

    cancel_within = 2.0
    """Seconds in which a stream that is closed early has to let go."""

    async def test_has_a_name_and_capabilities(self, model: ChatModel) -> None:
        """`provider:model`, and a known set of capabilities."""
        assert isinstance(model, ChatModel), "stream, close, name and capabilities are there"
        provider, _, name = model.name.partition(":")
        assert provider, "the name is `provider:model`"
        assert name, "the name is `provider:model`"
        assert isinstance(model.capabilities, Capabilities)
        assert model.capabilities.context > 0

    async def test_ends_with_exactly_one_reply(self, model: ChatModel) -> None:
        """Nothing comes after the Reply."""
        pieces = await self._collect(model, [QUESTION])
        replies = [piece for piece in pieces if isinstance(piece, Reply)]
        assert len(replies) == 1, f"{len(replies)} replies"
        assert pieces[-1] is replies[0], "the Reply is the last piece"
        assert replies[0].message.role == "assistant"
        assert replies[0].finish in ("stop", "length")

    async def test_text_pieces_join_to_the_text_of_the_reply(self, model: ChatModel) -> None:
        """What was shown is what was said."""
        pieces = await self._collect(model, [QUESTION])
        shown = "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))
        assert shown == _reply(pieces).message.text
        assert shown.strip(), "an answer holds text"
        known = (TextPiece, ReasoningPiece, ToolCallPiece, Reply)
        assert all(isinstance(piece, known) for piece in pieces)

    async def test_counts_usage(self, model: ChatModel) -> None:
        """One call, with tokens both ways."""
        usage = _reply(await self._collect(model, [QUESTION])).usage
        assert usage.calls == 1
        assert usage.input_tokens > 0
        assert usage.output_tokens > 0

    async def test_reads_the_system_message(self, model: ChatModel) -> None:
        """A system message is part of what the model reads: the input grows by it."""
        system = Message.system("You are a careful writer. " * 8)
        without = _reply(await self._collect(model, [QUESTION])).usage
        with_it = _reply(await self._collect(model, [system, QUESTION])).usage
        assert with_it.input_tokens >= without.input_tokens + 8

    async def test_stops_at_max_tokens(self, model: ChatModel) -> None:
        """The answer is cut, and says so."""
        settings = self.settings.merged(ModelSettings(max_tokens=4))
        reply = _reply(await self._collect(model, [QUESTION], settings=settings))
        assert reply.finish == "length"
        assert reply.usage.output_tokens <= 8, "a token or two over is a matter of counting"

    async def test_calls_a_required_tool(self, model: ChatModel) -> None:
        """The call is in the reply, its pieces join to it, and its arguments fit the schema."""
        pieces = await self._weather(model)
        reply = _reply(pieces)
        assert reply.finish == "tool_calls"
        (call,) = reply.message.tool_calls[:1]
        assert call.name == WEATHER.name
        assert call.id, "a call has an id"
        arguments: Any = json.loads(call.arguments)
        assert cast("dict[str, Any]", arguments)["city"] in CITIES
        assert _joined_calls(pieces) == [(c.id, c.name, c.arguments) for c in reply.message.tool_calls]

    async def test_answers_after_a_tool_result(self, model: ChatModel) -> None:
        """The call it made itself, with the result, is a history it takes."""
        asked = _reply(await self._weather(model)).message
        results = [
            ToolResult(call.id, (Text("It is sunny, 21 degrees."),), name=call.name)
            for call in asked.tool_calls
        ]
        history = [WEATHER_QUESTION, asked, Message.tool(*results)]
        settings = self.settings.merged(ModelSettings(tool_choice="none"))
        reply = _reply(await self._collect(model, history, settings=settings, tools=[WEATHER]))
        assert reply.message.text.strip()
        assert not reply.message.tool_calls

    async def test_takes_a_history_it_did_not_write(self, model: ChatModel) -> None:
        """A call and its result from another model, and a failed tool."""
        call = ToolCall("call_of_another_1", WEATHER.name, '{"city": "Oslo"}')
        history = [
            WEATHER_QUESTION,
            Message.assistant("I will look.", call),
            Message.tool(
                ToolResult(call.id, (Text("The service is down."),), name=WEATHER.name, is_error=True)
            ),
            Message.user("Then say that you could not find out."),
        ]
        assert _reply(await self._collect(model, history)).message.role == "assistant"

    async def test_fits_the_schema(self, model: ChatModel) -> None:
        """Structured output is JSON with the fields and types that were asked for."""
        pieces = await self._collect(model, [VERDICT_QUESTION], schema=VERDICT)
        verdict: Any = json.loads(_reply(pieces).message.text)
        assert sorted(cast("dict[str, Any]", verdict)) == ["colour", "sure"]
        assert verdict["colour"] in COLOURS
        assert isinstance(verdict["sure"], bool)

    async def test_lets_go_when_it_is_closed_early(self, model: ChatModel) -> None:
        """Closing the stream after the first piece ends within time, and the next call works."""
        settings = self.settings.merged(ModelSettings(max_tokens=400))
        stream: Any = model.stream([QUESTION], settings=settings)
        async with asyncio.timeout(self.patience):
            await anext(stream)
        async with asyncio.timeout(self.cancel_within):
            await stream.aclose()
        assert _reply(await self._collect(model, [QUESTION])).message.role == "assistant"

    async def test_a_cancelled_task_ends(self, model: ChatModel) -> None:
        """Cancelling the task that reads ends it within time, as cancelled."""
        started = asyncio.Event()

        async def read() -> None:
            async for _ in model.stream([QUESTION], settings=self.settings):
                started.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(read())
        async with asyncio.timeout(self.patience):
            await started.wait()
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=self.cancel_within)
        assert done, f"still running {self.cancel_within} s after cancel"
        assert task.cancelled()

    async def test_plays_two_streams_at_once(self, model: ChatModel) -> None:
        """Each gets its own whole answer."""
        first, second = await asyncio.gather(
            self._collect(model, [QUESTION]), self._collect(model, [VERDICT_QUESTION])
        )
        for pieces in (first, second):
            shown = "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))
            assert shown == _reply(pieces).message.text

    async def test_refuses_what_does_not_fit_its_context(self, model: ChatModel) -> None:
        """A conversation over the context is `ContextOverflow`, before anything is shown."""
        long = Message.user("word " * (model.capabilities.context + 16))
        with pytest.raises(ContextOverflow) as caught:
            await self._collect(model, [long])
        assert isinstance(caught.value, ModelError)

    async def test_refuses_media_that_is_not_inline(self, model: ChatModel) -> None:
        """A reference that nobody resolved is an error of ours."""
        with pytest.raises(StrettoError):
            await self._collect(model, [Message.user("What is this?", Image("media:" + "0" * 64))])

    async def test_close_may_be_called_twice(self, model: ChatModel) -> None:
        """The second call does nothing."""
        await self._collect(model, [QUESTION])
        await model.close()
        await model.close()

    async def test_complete_gives_the_reply(self, model: ChatModel) -> None:
        """`complete` is the stream's last piece."""
        reply = await asyncio.wait_for(complete(model, [QUESTION], settings=self.settings), self.patience)
        assert reply.message.text.strip()

    async def _weather(self, model: ChatModel) -> list[Piece]:
        settings = self.settings.merged(ModelSettings(tool_choice="required"))
        return await self._collect(model, [WEATHER_QUESTION], settings=settings, tools=[WEATHER])

    async def _collect(
        self, model: ChatModel, messages: list[Message], *, settings: ModelSettings | None = None, **more: Any
    ) -> list[Piece]:
        async with asyncio.timeout(self.patience):
            return await collect(model, messages, settings or self.settings, **more)


def _reply(pieces: list[Piece]) -> Reply:
    last = pieces[-1]
    assert isinstance(last, Reply), "the last piece is the Reply"
    return last


def _joined_calls(pieces: list[Piece]) -> list[tuple[str, str, str]]:
    calls: dict[int, tuple[str, str, str]] = {}
    for piece in pieces:
        if isinstance(piece, ToolCallPiece):
            before = calls.get(piece.index, ("", "", ""))
            calls[piece.index] = (
                before[0] or piece.id,
                before[1] or piece.name,
                before[2] + piece.arguments,
            )
    return [calls[index] for index in sorted(calls)]
