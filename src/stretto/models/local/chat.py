"""`LocalChat`: a GGUF model on this machine as a `ChatModel`.

Knows messages and the child process, not the runtime.

These models cannot call tools by themselves. With tools, they are first asked which one fits, under a
grammar that allows nothing but a tool with its arguments or none; only then do they answer in text.
"""

import asyncio
import contextlib
import importlib.util
import secrets
from collections.abc import AsyncIterator, Generator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from stretto.errors import (
    BadRequest,
    BadResponse,
    ContextOverflow,
    MissingExtra,
    ModelError,
    ModelNotFound,
    ModelUnavailable,
    OutputInvalid,
)
from stretto.messages import Message, Part, Text, ToolCall, ToolSpec
from stretto.models.deadlines import Deadlines
from stretto.models.local import cache, catalogue, constrain, templates
from stretto.models.local.frames import Ask, Count, Counted, Delta, Done, Failed, Load
from stretto.models.local.process import Call, Died, WorkerProcess, acquire, release, wanted_threads
from stretto.models.protocol import (
    Capabilities,
    FinishReason,
    OutputSchema,
    Piece,
    Reply,
    TextPiece,
    ToolCallPiece,
)
from stretto.settings import ModelSettings
from stretto.usage import Usage

CONTEXT = 4096
"""Tokens of context where nothing else is asked for. More costs memory, and time only when it is used."""

BATCH = 32
"""Tokens read at one go. 512 reads 1.2 times as fast, but leaves no way out in between."""

LONGEST = 1024
"""Tokens of an answer where `max_tokens` is not set: a small model may not find its end."""

CACHE_MB = 256
"""Memory for earlier prompts: a node's prompt comes back after another node's, and is not read again."""


class _Choice(msgspec.Struct):
    tool: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class _Answer:
    """One answer of the runtime while it comes in."""

    def __init__(self, model: "LocalChat", call: Call, deadlines: Deadlines) -> None:
        self._model = model
        self._call = call
        self._deadlines = deadlines
        self.text = ""
        self.chunks = 0
        self.done: Done | None = None

    async def more(self) -> TextPiece:
        """What has come since last asked; `done` is set when it was the last."""
        piece = TextPiece("", 0)
        for report in await self._model.hear(self._call, self._deadlines, self.text):
            if isinstance(report, Delta):
                piece.text += report.text
                piece.chunks += 1
            elif isinstance(report, Done):
                self.done = report
        if piece.text:
            self.text += piece.text
            self.chunks += piece.chunks
            self._deadlines.heard()
        return piece

    async def rest(self) -> Done:
        """Waits for the end."""
        while self.done is None:
            await self.more()
        return self.done


class LocalChat:
    """A chat model in a child process, which all objects for the same file and settings share."""

    def __init__(
        self,
        name: str,
        *,
        context: int = CONTEXT,
        threads: int | None = None,
        settings: ModelSettings | None = None,
        capabilities: Capabilities | None = None,
    ) -> None:
        """Opens nothing yet: the file is loaded by the first call.

        Args:
            name: a name of the catalogue, or the path of a `.gguf` file.
            context: tokens that prompt and answer may have together.
            threads: for the runtime; None means `STRETTO_LOCAL_THREADS`, else two, or one on a busy machine.
            settings: defaults of every call.
            capabilities: what to claim instead of what is known.
        """
        self._file = name
        self._settings = settings or ModelSettings()
        self._context = context
        self._threads = threads
        self._capabilities = capabilities or Capabilities(context=context, local=True)
        self._worker: WorkerProcess | None = None

    @property
    def name(self) -> str:
        """`local:` and what it was opened with."""
        return f"local:{self._file}"

    @property
    def capabilities(self) -> Capabilities:
        """Text only; tools and JSON Schema by constrained decoding."""
        return self._capabilities

    @property
    def settings(self) -> ModelSettings:
        """What it is asked with where a call says nothing else."""
        return self._settings

    @property
    def pid(self) -> int | None:
        """The child's process id, None while the model is not loaded."""
        return self._worker.pid if self._worker else None

    @property
    def busy(self) -> bool:
        """Whether the child process is making an answer, for this object or another."""
        return self._worker is not None and self._worker.busy

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: OutputSchema | None = None,
        settings: ModelSettings | None = None,
    ) -> AsyncIterator[Piece]:
        """See `ChatModel.stream`. Calls of one process queue; closing the stream frees the model."""
        asked = self._settings.merged(settings)
        deadlines = Deadlines(asked, f"`{self.name}`")
        said = templates.turns(messages)
        usage = Usage(calls=1)
        if tools:
            said = templates.with_tools(said, tools)
        offered, may_answer = _offered(tools, asked.tool_choice)
        if offered:
            choice = constrain.grammar(templates.choice_schema(offered, may_answer=may_answer), "tools")
            question = templates.asking_for_choice(said, may_answer=may_answer)
            with self._asking(question, asked, deadlines, choice) as answer:
                done = await answer.rest()
            usage += _usage(done)
            call = _chosen(answer.text, done, messages) if done.finish == "stop" else None
            if call is not None:
                yield ToolCallPiece(0, call.id, call.name, call.arguments)
            if call is not None or done.finish == "length":
                finish: FinishReason = "length" if call is None else "tool_calls"
                yield self._reply([call] if call else [], usage, finish, answer.chunks)
                return
        shape = constrain.grammar(schema.schema, schema.name) if schema else ""
        with self._asking(said, asked, deadlines, shape) as answer:
            while answer.done is None:
                piece = await answer.more()
                if piece.text:
                    yield piece
                    deadlines.heard()  # once more: the time until here was the caller's
        usage += _usage(answer.done)
        if schema is not None and answer.done.finish == "stop":
            _check_json(answer.text, schema.name)
        finish = "length" if answer.done.finish == "length" else "stop"
        yield self._reply([Text(answer.text)], usage, finish, answer.chunks)

    async def count_tokens(self, text: str) -> int:
        """The tokens of `text` by the model's own tokenizer."""
        call = Call(Count(0, text))
        worker = self._open()
        worker.submit(call)
        try:
            for report in await self.hear(call, Deadlines(self._settings, f"`{self.name}`"), ""):
                if isinstance(report, Counted):
                    return report.tokens
        finally:
            worker.cancel(call)
        raise BadResponse(f"`{self.name}` did not count")

    async def close(self) -> None:
        """Ends the child process when nobody else in this process uses it."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await asyncio.to_thread(release, worker)

    def load(self) -> Load:
        """What the child process is to load; objects for which it is equal share one.

        Raises:
            ModelNotFound: there is no such model or file.
            ModelError: the file is not a GGUF file.
            MissingExtra: the runtime is not installed.
        """
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtra("local models", "local")
        threads = wanted_threads() if self._threads is None else self._threads
        return Load(str(_checked(self._file)), self._context, threads, BATCH, CACHE_MB)

    async def hear(self, call: Call, deadlines: Deadlines, partial: str) -> list[Any]:
        """What came for the call; failures as errors of ours."""
        try:
            async with asyncio.timeout_at(deadlines.at):
                reports = await call.reports()
        except TimeoutError:
            raise deadlines.error(partial) from None
        except Died as death:
            if not death.loaded:
                raise ModelError(
                    f"`{self.name}` could not be loaded, its file may be damaged: {death.reason}"
                ) from None
            raise ModelUnavailable(
                f"the process of `{self.name}` ended: {death.reason}", partial=partial
            ) from None
        for report in reports:
            if isinstance(report, Failed):
                raise self._error(report, partial)
        return reports

    @contextlib.contextmanager
    def _asking(
        self, said: list[templates.Turn], asked: ModelSettings, deadlines: Deadlines, grammar: str
    ) -> Generator[_Answer]:
        worker = self._open()
        call = Call(Ask(0, _body(said, asked, grammar)))
        worker.submit(call)
        deadlines.begin()
        try:
            yield _Answer(self, call, deadlines)
        finally:
            worker.cancel(call)  # does nothing when the answer is whole

    def _open(self) -> WorkerProcess:
        if self._worker is None:
            self._worker = acquire(self.load())
        return self._worker

    def _error(self, failed: Failed, partial: str) -> ModelError:
        if failed.kind == "exceed_context_size_error":
            return ContextOverflow(
                f"the conversation has {failed.tokens} tokens and `{self.name}` takes {self._context}; "
                "shorten it, or open the model with a larger `context`"
            )
        if failed.kind == "invalid_request_error":
            return BadRequest(f"`{self.name}` refuses the request: {failed.message}")
        return BadResponse(f"`{self.name}` failed: {failed.message}", partial=partial)

    def _reply(self, parts: Sequence[Part], usage: Usage, finish: FinishReason, chunks: int) -> Reply:
        return Reply(Message.assistant(*parts), usage, finish, self.name, chunks)


def open_local(name: str, **options: Any) -> LocalChat:
    """The model behind `local:NAME`: NAME is of the catalogue, or the path of a `.gguf` file.

    Raises:
        ModelNotFound: the catalogue's model of this name is none that answers.
    """
    known = catalogue.CATALOGUE.get(name)
    if known is not None and known.kind != "chat":
        raise _no_chat_model(known)
    return LocalChat(name, **options)


def _no_chat_model(model: catalogue.LocalModel) -> ModelNotFound:
    chat = ", ".join(f"`local:{each.name}`" for each in catalogue.CATALOGUE.values() if each.kind == "chat")
    return ModelNotFound(f"`local:{model.name}` is no chat model ({model.kind}); there are {chat}")


def _checked(name: str) -> Path:
    if name.endswith(".gguf"):
        path = Path(name).expanduser().resolve()
        if not path.is_file():
            raise ModelNotFound(
                f"There is no file `{name}`. Give the path of a .gguf file, or a name that "
                "`stretto models list` shows."
            )
    else:
        model = catalogue.entry(name)
        if model.kind != "chat":
            raise _no_chat_model(model)
        path = cache.path_of(name)
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelError(f"`{path.name}` is not a GGUF file, or it is damaged")
    return path


def _body(said: list[templates.Turn], asked: ModelSettings, grammar: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "messages": said,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,  # a call-back after each batch of the prompt, so that reading can be stopped
        "temperature": asked.temperature or 0.0,
        "max_tokens": asked.max_tokens or LONGEST,
    }
    if grammar:
        body["grammar"] = grammar
    elif asked.stop:
        body["stop"] = list(asked.stop)
    for key, value in (("top_p", asked.top_p), ("seed", asked.seed)):
        if value is not None:
            body[key] = value
    return {**body, **asked.extra}


def _usage(done: Done) -> Usage:
    return Usage(done.input_tokens, done.output_tokens, done.cached_tokens)


def _offered(tools: Sequence[ToolSpec], choice: str | None) -> tuple[list[ToolSpec], bool]:
    """The tools that may be called now, and whether the model may answer instead."""
    if choice == "none" or not tools:
        return [], True
    if choice in (None, "auto", "required"):
        return list(tools), choice != "required"
    named = [tool for tool in tools if tool.name == choice]
    if not named:
        raise BadRequest(
            f"`tool_choice` is `{choice}`; it may be auto, none, required, "
            f"or one of {', '.join(tool.name for tool in tools)}"
        )
    return named, False


def _chosen(text: str, done: Done, messages: Sequence[Message]) -> ToolCall | None:
    """The call the model wrote, or None when it wants none or repeats one whose result is there."""
    try:
        choice = msgspec.json.decode(text, type=_Choice)
    except ValueError:
        raise OutputInvalid("the model wrote no valid choice of a tool", partial=text) from None
    if choice.tool == templates.NO_TOOL:
        return None
    arguments = bytes(choice.arguments).decode()
    for message in reversed(messages):
        if message.role == "user":
            break
        if any(call.name == choice.tool and call.arguments == arguments for call in message.tool_calls):
            return None
    return ToolCall(f"call_{secrets.token_hex(8)}", choice.tool, arguments)


def _check_json(text: str, name: str) -> None:
    try:
        msgspec.json.decode(text)
    except ValueError as error:
        raise OutputInvalid(f"the answer does not fit `{name}`: {error}", partial=text) from None
