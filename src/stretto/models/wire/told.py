"""What an endpoint tells of its models besides answering: how many tokens fit. Knows no chat.

There is no standard for it. vLLM (`max_model_len`), OpenRouter (`context_length`), Groq (`context_window`)
and LM Studio (`max_context_length`) write it into `/models`; llama.cpp's server tells at `/props` what it was
started with, and in `/models` what the model was trained with.
"""

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

from stretto.models.wire.endpoint import Endpoint

_FIELDS = ("max_model_len", "n_ctx", "context_length", "context_window", "max_context_length")
_MOST = 4_000_000
"""Bytes of an answer that are read; the longest list of models known has about 0.5 MB."""


async def told_context(
    session: aiohttp.ClientSession, endpoint: Endpoint, model: str, *, timeout: float
) -> int | None:
    """Tokens that fit into `model`, as its endpoint says; None where it does not, or cannot be asked."""
    limit = aiohttp.ClientTimeout(total=timeout)
    entry = _entry(await _get(session, endpoint, endpoint.url("/models"), limit), model)
    told = _first(entry, _FIELDS)
    if told is None:
        props = _table(await _get(session, endpoint, _beside(endpoint.url("/props")), limit))
        told = _first(_table(props.get("default_generation_settings")), ("n_ctx",)) or _first(
            props, ("n_ctx",)
        )
    return told or _first(_table(entry.get("meta")), ("n_ctx", "n_ctx_train"))


def _beside(url: str) -> str:
    """The address without the `/v1` that is usual before a path of the wire."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.replace("/v1/props", "/props")))


async def _get(
    session: aiohttp.ClientSession, endpoint: Endpoint, url: str, limit: aiohttp.ClientTimeout
) -> Any:
    """The JSON at `url`, None where there is none."""
    body = bytearray()
    try:
        async with session.get(
            url, headers=endpoint.headers, timeout=limit, allow_redirects=False
        ) as response:
            if response.status != 200:
                return None
            async for data in response.content.iter_any():
                body += data
                if len(body) > _MOST:
                    return None
        return msgspec.json.decode(body)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None


def _table(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _entry(answer: Any, model: str) -> Mapping[str, Any]:
    """The model's entry in a list of models, or the only one: such an endpoint takes any name for it."""
    data = _table(answer).get("data")
    entries = [_table(entry) for entry in cast("list[Any]", data)] if isinstance(data, list) else []
    named = [entry for entry in entries if entry.get("id") == model]
    found = named or entries
    return found[0] if len(found) == 1 else _table(None)


def _first(entry: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    found = (entry.get(name) for name in names)
    return next((value for value in found if isinstance(value, int) and value > 0), None)
