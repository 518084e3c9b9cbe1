"""`WireChat`: a `ChatModel` at any endpoint that speaks Chat Completions, on aiohttp and msgspec.

It asks once: retries, hedges and failover belong to whoever wraps it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import aiohttp
import msgspec

from stretto.errors import BadResponse, ModelError, ModelTimeout, ModelUnavailable
from stretto.messages import Message, ToolSpec
from stretto.models.known import capabilities_of
from stretto.models.protocol import Capabilities, OutputSchema, Piece
from stretto.models.providers import PROVIDERS, Usual
from stretto.models.wire.decode import Answer
from stretto.models.wire.endpoint import Endpoint, open_endpoint
from stretto.models.wire.failures import error_of_status
from stretto.models.wire.request import request_body
from stretto.models.wire.sessions import Sessions
from stretto.settings import ModelSettings

_SAID = 65_536
"""Bytes of an error's body that are read."""

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
        self._url = endpoint.url("/chat/completions")
        self._capabilities = capabilities or capabilities_of(model)
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

    def __repr__(self) -> str:
        return f"WireChat({self._endpoint.where})"

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
        body = request_body(
            self._model,
            messages,
            tools=tools,
            schema=schema,
            settings=settings,
            json_schema=self._capabilities.json_schema,
            reasoning=self._usual.reasoning,
            max_tokens_field=self._usual.max_tokens_field,
        )
        answer = Answer(self._endpoint.where, self._endpoint.secrets)
        session = await self._sessions.get()
        failure: ModelError | None = None
        try:
            async with session.post(
                self._url,
                data=msgspec.json.encode(body),
                headers=self._endpoint.headers,
                timeout=aiohttp.ClientTimeout(total=settings.timeout),
                allow_redirects=False,
            ) as response:
                if await self._is_whole(response):
                    for piece in answer.whole(await response.read()):
                        yield piece
                    return
                async for data in response.content.iter_any():
                    for piece in answer.feed(data):
                        yield piece
                    if answer.done:
                        break
                await _read_to_end(response)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            failure = self._failed(error, answer.text, settings.timeout)
        if failure is not None:
            raise failure  # outside: what aiohttp raised holds the headers, and must not hang on ours
        yield answer.end()

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

    def _failed(self, error: Exception, partial: str, timeout: float) -> ModelError:
        where = self._endpoint.where
        if isinstance(error, TimeoutError):
            return ModelTimeout(
                f"{where} did not finish within {timeout:g} s; raise `timeout` in its settings",
                partial=partial,
            )
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            reason = "its host name cannot be found; check base_url"
        elif isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
            reason = "the secure connection failed; check the certificate and that base_url speaks https"
        elif isinstance(error, aiohttp.ClientConnectorError):
            reason = f"cannot be reached ({error.os_error.strerror or 'no connection'}); is it running?"
        elif isinstance(error, aiohttp.ClientResponseError):
            return BadResponse(f"{where} sent an answer that is not HTTP", partial=partial)
        else:
            reason = "the connection broke"
        return ModelUnavailable(f"{where}: {reason}", partial=partial)

    async def close(self) -> None:
        """Closes the sockets of this event loop. May be called twice; a later call opens new ones."""
        await self._sessions.close()


async def _read_to_end(response: aiohttp.ClientResponse) -> None:
    """Reads what follows the last word, so that the connection can serve the next call."""
    try:
        async with asyncio.timeout(_LINGER):
            while not response.content.at_eof():
                await response.content.readany()
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
