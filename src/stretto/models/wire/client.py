"""`WireChat`: a `ChatModel` at any endpoint that speaks Chat Completions, on aiohttp and msgspec.

It asks once: retries, hedges and failover belong to whoever wraps it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from stretto.errors import BadResponse, ModelError, ModelUnavailable
from stretto.messages import Message, ToolSpec
from stretto.models.deadlines import Deadlines
from stretto.models.known import capabilities_at
from stretto.models.protocol import Capabilities, OutputSchema, Piece
from stretto.models.providers import PROVIDERS, Usual
from stretto.models.wire.decode import Answer
from stretto.models.wire.endpoint import Endpoint, open_endpoint
from stretto.models.wire.failures import error_of_status
from stretto.models.wire.headroom import headroom_of
from stretto.models.wire.request import request_body
from stretto.models.wire.sessions import Sessions
from stretto.models.wire.told import told_context
from stretto.settings import ModelSettings

_SAID = 65_536
"""Bytes of an error's body that are read."""

_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=None)
"""Of aiohttp's own: `Deadlines` knows what is content."""

_LINGER = 0.1
"""Seconds an endpoint has to end its response after its last word, for the connection to be kept."""


class WireChat:
    """A model behind an endpoint.

    Args:
        provider: a name of `PROVIDERS`; what is usual there applies.
        model: the endpoint's name for the model.
        endpoint: where it answers.
        capabilities: what it can do; guessed from its name where None.
        settings: used where a call gives none.
        limit: connections at once.
        trust_env: take proxies from the environment.
    """

    _path = "/chat/completions"

    def __init__(
        self,
        provider: str,
        model: str,
        endpoint: Endpoint,
        *,
        capabilities: Capabilities | None = None,
        settings: ModelSettings | None = None,
        limit: int = 100,
        trust_env: bool = False,
    ) -> None:
        self._name = f"{provider}:{model}"
        self._model = model
        self._usual = PROVIDERS[provider].usual or Usual()
        self._endpoint = endpoint
        self._url = endpoint.url(self._path)
        self._capabilities = capabilities or capabilities_at(provider, model)
        self._settings = settings or ModelSettings()
        self._sessions = Sessions(limit=limit, trust_env=trust_env)

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
        return f"{type(self).__name__}({self._endpoint.where})"

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: OutputSchema | None = None,
        settings: ModelSettings | None = None,
    ) -> AsyncIterator[Piece]:
        """The answer piece by piece, a `Reply` last. Raises ModelError; closing it closes the socket."""
        settings = self._settings.merged(settings)
        body = self._body(messages, tools, schema, settings)
        answer = self._answer()
        deadlines = Deadlines(settings, self._endpoint.where)
        session = await self._sessions.get()
        failure: ModelError | None = None
        try:
            async with asyncio.timeout_at(deadlines.at):
                response = await session.post(
                    self._url,
                    data=msgspec.json.encode(body),
                    headers=self._endpoint.headers,
                    timeout=_NO_TIMEOUT,
                    allow_redirects=False,
                )
            async with response:
                deadlines.guard(response.close)
                answer.headroom = headroom_of(response.headers)
                if await self._is_whole(response):
                    pieces = answer.whole(await response.read())
                    deadlines.pause()
                    for piece in pieces:
                        yield piece
                    return
                while data := await response.content.readany():
                    pieces = answer.feed(data)
                    if pieces:
                        deadlines.pause()
                        for piece in pieces:
                            yield piece
                    if answer.done:
                        break
                    deadlines.after(answer)
                deadlines.stop()
                await _read_to_end(response)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            failure = self._failed(error, answer, deadlines)
        finally:
            deadlines.stop()
        if failure is not None:
            raise failure  # outside: what aiohttp raised holds the headers, and must not hang on ours
        yield answer.end()

    def _body(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        schema: OutputSchema | None,
        settings: ModelSettings,
    ) -> dict[str, Any]:
        """One call as the body of the POST."""
        return request_body(
            self._model,
            messages,
            tools=tools,
            schema=schema,
            settings=settings,
            usual=self._usual,
            prefill=self._capabilities.prefill,
            json_schema=self._capabilities.json_schema,
        )

    def _answer(self) -> Answer:
        """What reads the bytes that come back."""
        return Answer(self._endpoint.where, self._endpoint.secrets)

    async def _is_whole(self, response: aiohttp.ClientResponse) -> bool:
        """Whether the answer is one JSON object; raises for what is no answer."""
        if response.status != 200:
            said = await response.content.read(_SAID)
            raise error_of_status(
                response.status,
                response.headers,
                said,
                where=self._endpoint.where,
                secrets=self._endpoint.secrets,
            )
        if response.content_type == "text/html":
            raise BadResponse(
                f"{self._endpoint.where} answered with a web page; base_url usually ends in /v1"
            )
        return response.content_type == "application/json"

    def _failed(self, error: Exception, answer: Answer, deadlines: Deadlines) -> ModelError | None:
        """The error for what aiohttp raised; None where all of the answer was there."""
        where = self._endpoint.where
        if answer.finished:
            return None
        if isinstance(error, TimeoutError) or deadlines.expired:
            return deadlines.error(answer.text)
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            reason = "its host name cannot be found; check base_url"
        elif isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
            reason = "the secure connection failed; check the certificate and that base_url speaks https"
        elif isinstance(error, aiohttp.ClientConnectorError):
            reason = f"cannot be reached ({error.os_error.strerror or 'no connection'}); is it running?"
        elif isinstance(error, aiohttp.ClientResponseError):
            return BadResponse(f"{where} sent an answer that is not HTTP", partial=answer.text)
        else:
            return answer.broken_off("did not end its answer: the connection broke")
        return ModelUnavailable(f"{where}: {reason}")

    async def told_context(self, *, timeout: float) -> int | None:
        """Tokens that fit, as the endpoint itself says; None where it does not. `timeout` is in seconds."""
        session = await self._sessions.get()
        return await told_context(session, self._endpoint, self._model, timeout=timeout)

    async def close(self) -> None:
        """Closes the sockets of this event loop. May be called twice; a later call opens new ones."""
        await self._sessions.close()


async def _read_to_end(response: aiohttp.ClientResponse) -> None:
    """Reads what follows the last word, so that the connection can serve the next call."""
    if response.content.at_eof():
        return
    try:
        async with asyncio.timeout(_LINGER):
            while await response.content.readany():
                pass
    except (TimeoutError, aiohttp.ClientError):
        response.close()


def open_chat(
    model: str,
    *,
    provider: str,
    base_url: str | None = None,
    api_key: str | None = None,
    headers: Mapping[str, str] | None = None,
    capabilities: Capabilities | None = None,
    settings: ModelSettings | None = None,
    limit: int = 100,
    trust_env: bool = False,
) -> WireChat:
    """The model `model` of `provider`; see `Model` for the arguments.

    Raises:
        ConfigError: no address, or no key where one is needed.
    """
    endpoint = open_endpoint(provider, model, base_url=base_url, api_key=api_key, headers=headers)
    return WireChat(
        provider,
        model,
        endpoint,
        capabilities=capabilities,
        settings=settings,
        limit=limit,
        trust_env=trust_env,
    )
