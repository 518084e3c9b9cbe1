"""What an endpoint says when it fails, as errors of our tree. Knows no client library.

Every text of an endpoint passes a `Secrets`, which takes keys out before a person sees it.
"""

import email.utils
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from stretto.errors import (
    BadRequest,
    BadResponse,
    ContextOverflow,
    ModelError,
    ModelTimeout,
    ModelUnavailable,
    RateLimited,
)
from stretto.models.wire.headroom import headroom_of

_SAID = 300
"""Characters of an endpoint's own words that an error shows."""

_CONTEXT_WORDS = (
    "context_length_exceeded",
    "exceed_context_size",
    "maximum context length",
    "context length",
    "context window",
    "context size",
    "prompt is too long",
)


class Secrets:
    """What must not be seen: a key, or the password in a URL. Its repr holds none of it."""

    def __init__(self, *secrets: str | None) -> None:
        found = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""))}
        self._secrets = sorted(found, key=len, reverse=True)

    def hide(self, text: str) -> str:
        """`text` with each secret replaced by `***`."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def __repr__(self) -> str:
        return f"Secrets({len(self._secrets)})"


def shown_url(url: str) -> str:
    """The URL without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def retry_after(headers: Mapping[str, str], *, now: Callable[[], float] = time.time) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After` (seconds or a date); None where not said."""
    said = {name.lower(): value for name, value in headers.items()}
    try:
        return max(0.0, float(said["retry-after-ms"]) / 1000)
    except (KeyError, ValueError):
        pass
    value = said.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - now()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if seconds < float("inf") else None


def error_of_status(
    status: int, headers: Mapping[str, str], body: bytes, *, where: str, secrets: Secrets
) -> ModelError:
    """The error for an HTTP status other than 200.

    Args:
        status: the HTTP status.
        headers: those of the answer.
        body: what the endpoint said, perhaps cut.
        where: the model and endpoint, for people.
        secrets: what must not be shown.
    """
    said, code = _said(body)
    text = secrets.hide(f"{where} answered {status}{': ' + said if said else ''}")
    if status == 429:
        return RateLimited(text, retry_after=retry_after(headers), headroom=headroom_of(headers))
    if status in (400, 413, 422) and _is_overflow(code + " " + said):
        return ContextOverflow(text)
    if status == 408:
        return ModelTimeout(text)
    if 300 <= status < 400:
        return BadResponse(f"{text}; it redirects elsewhere: put the final address into base_url")
    if status in (401, 403):
        return BadRequest(f"{text}; check the API key", status=status)
    if 400 <= status < 500:
        return BadRequest(text, status=status)
    if status >= 500:
        return ModelUnavailable(text)
    return BadResponse(text)


def error_of_event(error: Any, *, where: str, secrets: Secrets, partial: str = "") -> ModelError:
    """The error for an error object that came inside an answer that began well."""
    said, code = _words(error)
    text = secrets.hide(f"{where} failed in its answer: {said or code or 'no reason given'}")
    if code.isdigit() and 400 <= int(code) < 600:
        found = error_of_status(int(code), {}, _encoded(error), where=where, secrets=secrets)
    elif _is_overflow(code + " " + said):
        found = ContextOverflow(text)
    elif "rate_limit" in code:
        found = RateLimited(text)
    elif "invalid_request" in code:
        found = BadRequest(text)
    else:
        found = ModelUnavailable(text)
    found.partial = partial
    return found


def _is_overflow(text: str) -> bool:
    lowered = text.lower()
    return any(words in lowered for words in _CONTEXT_WORDS)


def _encoded(error: Any) -> bytes:
    return msgspec.json.encode({"error": error})


def _said(body: bytes) -> tuple[str, str]:
    """The endpoint's own words and its code, from JSON of any of the usual shapes, else its plain text."""
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body.decode("utf-8", "replace").strip()
        return ("a web page, not an API's answer" if text[:1] == "<" else _short(text)), ""
    if isinstance(found, list) and found:  # one gateway wraps its error in a list
        found = cast("list[Any]", found)[0]
    if isinstance(found, dict):
        fields = cast("dict[str, Any]", found)
        return _words(fields.get("error") or fields)
    return _short(str(cast("object", found))), ""


def _words(error: Any) -> tuple[str, str]:
    if not isinstance(error, dict):
        return _short(str(error)), ""
    fields = cast("dict[str, Any]", error)
    said = fields.get("message") or fields.get("detail") or ""
    codes: Iterable[Any] = (fields.get("code"), fields.get("type"))
    return _short(said if isinstance(said, str) else str(said)), " ".join(str(c) for c in codes if c)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SAID else text[:_SAID] + "..."
