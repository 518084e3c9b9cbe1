"""`ResponsesChat`: a `ChatModel` at an endpoint that speaks the Responses API.

The connection, its deadlines and its failures are `WireChat`'s; here is only what is said and read over it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stretto.messages import Message, ToolSpec
from stretto.models.known import capabilities_of
from stretto.models.protocol import Capabilities, OutputSchema
from stretto.models.responses.decode import ResponsesAnswer
from stretto.models.responses.request import request_body
from stretto.models.wire.client import WireChat
from stretto.models.wire.endpoint import open_endpoint
from stretto.settings import ModelSettings


class ResponsesChat(WireChat):
    """A model behind an endpoint that stores nothing: each call carries the whole conversation."""

    _path = "/responses"

    @property
    def name(self) -> str:
        """`provider/responses:model`."""
        return self._endpoint.name

    def _body(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        schema: OutputSchema | None,
        settings: ModelSettings,
    ) -> dict[str, Any]:
        return request_body(
            self._model,
            messages,
            tools=tools,
            schema=schema,
            settings=settings,
            origin=self._endpoint.address,
            reasoning=self._usual.reasoning,
        )

    def _answer(self) -> ResponsesAnswer:
        endpoint = self._endpoint
        return ResponsesAnswer(endpoint.where, endpoint.secrets, origin=endpoint.address)


def open_responses(
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
) -> ResponsesChat:
    """The model `model` of `provider`; see `Model` for the arguments.

    Raises:
        ConfigError: no address, or no key where one is needed.
    """
    endpoint = open_endpoint(
        provider, model, base_url=base_url, api_key=api_key, headers=headers, api="responses"
    )
    return ResponsesChat(
        provider,
        model,
        endpoint,
        capabilities=capabilities or msgspec.structs.replace(capabilities_of(model), audio=False),
        settings=settings,
        limit=limit,
        trust_env=trust_env,
    )
