"""A `ChatModel` around an `openai` client object that the user brings: Azure, gateways, custom auth.

The client makes the request and owns its connections; our decoder reads the bytes, because the client's typed
chunks cost some forty times as much. Its retries are off: retrying belongs to whoever wraps a model.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, TypeVar

import openai

from stretto.errors import BadResponse, ConfigError, ModelError, ModelUnavailable
from stretto.messages import Message, ToolSpec
from stretto.models.deadlines import Deadlines
from stretto.models.known import capabilities_at
from stretto.models.protocol import Capabilities, OutputSchema, Piece
from stretto.models.providers import PROVIDERS, Usual
from stretto.models.wire.decode import Answer
from stretto.models.wire.failures import Secrets, error_of_status, shown_url
from stretto.models.wire.headroom import headroom_of
from stretto.models.wire.request import request_body
from stretto.settings import ModelSettings

_T = TypeVar("_T")


class ClientChat:
    """A model that is asked through `client`. Closing it leaves the client open: it is the user's.

    Args:
        provider: a name of `PROVIDERS`; what is usual there applies.
        model: the endpoint's name for the model, or the deployment's.
        client: an `openai.AsyncOpenAI` or a subclass of it.
        capabilities: what it can do; guessed from its name where None.
        settings: used where a call gives none.
    """

    def __init__(
        self,
        provider: str,
        model: str,
        client: openai.AsyncOpenAI,
        *,
        capabilities: Capabilities | None = None,
        settings: ModelSettings | None = None,
    ) -> None:
        self._name = f"{provider}:{model}"
        self._model = model
        self._usual = PROVIDERS[provider].usual or Usual()
        self._create: Any = client.with_options(max_retries=0).chat.completions.with_streaming_response.create
        self._where = f"`{self._name}` at {shown_url(str(client.base_url))}"
        self._secrets = Secrets(client.api_key)
        self._capabilities = capabilities or capabilities_at(provider, model)
        self._settings = settings or ModelSettings()

    @property
    def name(self) -> str:
        """`provider:model`."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What it is known, or was said, to do."""
        return self._capabilities

    @property
    def settings(self) -> ModelSettings:
        """What it is asked with where a call says nothing else."""
        return self._settings

    def __repr__(self) -> str:
        return f"ClientChat({self._where})"

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: OutputSchema | None = None,
        settings: ModelSettings | None = None,
    ) -> AsyncIterator[Piece]:
        """The answer piece by piece, a `Reply` last. Raises ModelError; closing it ends the request."""
        settings = self._settings.merged(settings)
        body = request_body(
            self._model,
            messages,
            tools=tools,
            schema=schema,
            settings=settings,
            usual=self._usual,
            prefill=self._capabilities.prefill,
            json_schema=self._capabilities.json_schema,
        )
        deadlines = Deadlines(settings, self._where)
        answer = Answer(self._where, self._secrets)
        asked: Any = self._create(
            model=body.pop("model"),
            messages=[],  # `extra_body` is put over it: the client walks typed arguments field by field
            stream=body.pop("stream"),
            timeout=settings.timeout,
            extra_body=body,
        )
        response = await self._reach(asked.__aenter__(), answer, deadlines)
        answer.headroom = headroom_of(response.headers)
        try:
            kind = response.headers.get("content-type", "")
            if kind.startswith("text/html"):
                raise BadResponse(f"{self._where} answered with a web page; check the client's base_url")
            if kind.startswith("application/json"):
                for piece in answer.whole(await self._reach(response.read(), answer, deadlines)):
                    yield piece
                return
            reads = response.iter_bytes()
            while data := await self._more(reads, answer, deadlines):
                for piece in answer.feed(data):
                    yield piece
                deadlines.after(answer)
        finally:
            await asked.__aexit__(None, None, None)
        yield answer.end()

    async def _more(self, reads: AsyncIterator[bytes], answer: Answer, deadlines: Deadlines) -> bytes:
        """What the next read brings, nothing at the end. An end that fails is an end, once all was said."""
        try:
            return await self._reach(anext(reads, b""), answer, deadlines)
        except ModelError:
            if answer.finished:
                return b""
            raise

    async def _reach(self, step: Awaitable[_T], answer: Answer, deadlines: Deadlines) -> _T:
        """The result of one step of the client, by the deadline; its exceptions as ours."""
        try:
            async with asyncio.timeout_at(deadlines.at):
                return await step
        except ModelError:
            raise
        except Exception as error:  # the client lets its HTTP library's own exceptions through
            failure = self._failed(error, answer, deadlines)
        raise failure  # outside: what the client raised holds the headers, and must not hang on ours

    def _failed(self, error: Exception, answer: Answer, deadlines: Deadlines) -> ModelError:
        if isinstance(error, openai.APIStatusError):
            response = error.response
            return error_of_status(
                response.status_code,
                response.headers,
                response.content,
                where=self._where,
                secrets=self._secrets,
            )
        if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
            return deadlines.error(answer.text)
        if isinstance(error, openai.APIConnectionError) and not answer.chunks:
            return ModelUnavailable(f"{self._where}: cannot be reached; is it running?")
        if isinstance(error, TypeError | ValueError):
            return answer.broken_off(f"did not end its answer: the client failed ({type(error).__name__})")
        return answer.broken_off("did not end its answer: the connection broke")

    async def close(self) -> None:
        """Does nothing: the client belongs to the user."""


def open_client(
    model: str,
    *,
    client: Any,
    provider: str = "",
    capabilities: Capabilities | None = None,
    settings: ModelSettings | None = None,
) -> ClientChat:
    """The model `model` through `client`.

    Raises:
        ConfigError: `client` is not an asynchronous openai client.
    """
    if not provider:
        raise ConfigError("client= is for models behind an endpoint, such as `openai:NAME`")
    if isinstance(client, openai.OpenAI):
        kind = type(client).__name__
        raise ConfigError(f"client= is `openai.{kind}`, which would block; pass `openai.Async{kind}`")
    if not isinstance(client, openai.AsyncOpenAI):
        raise ConfigError(
            f"client= is {type(client).__name__}; pass an `openai.AsyncOpenAI` or `openai.AsyncAzureOpenAI`"
        )
    return ClientChat(provider, model, client, capabilities=capabilities, settings=settings)
