"""What an endpoint's `x-ratelimit-*` headers say is left of its limits. Knows no HTTP client."""

import re
from collections.abc import Mapping

from stretto.models.protocol import Headroom

_REQUESTS = "x-ratelimit-remaining-requests"
_TOKENS = "x-ratelimit-remaining-tokens"
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 31 * 86400.0
"""Seconds; more is no time to wait but a date or rubbish."""


def headroom_of(headers: Mapping[str, str]) -> Headroom | None:
    """What is left, None where the endpoint did not say. A value that cannot be read counts as not said.

    Args:
        headers: of the answer; names in any case where the mapping does not mind it, else in lower case.
    """
    requests, tokens = headers.get(_REQUESTS), headers.get(_TOKENS)
    if requests is None and tokens is None:
        return None
    return Headroom(
        _count(requests),
        _count(tokens),
        _seconds(headers.get("x-ratelimit-reset-requests")),
        _seconds(headers.get("x-ratelimit-reset-tokens")),
    )


def _count(value: str | None) -> int | None:
    """A count; some gateways go below 0."""
    try:
        return None if value is None else max(0, int(float(value)))
    except (ValueError, OverflowError):
        return None


def _seconds(value: str | None) -> float | None:
    """Seconds from `1s`, `6m0s`, `120ms` or a plain number."""
    if value is None:
        return None
    value = value.strip()
    try:
        found = float(value)
    except ValueError:
        if not _WHOLE.fullmatch(value):
            return None
        found = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value))
    return max(0.0, found) if found <= _LONGEST else None
