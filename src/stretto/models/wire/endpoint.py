"""An endpoint: its address, its headers, and what of them must not be seen. Opens no connection."""

import base64
import os
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

from stretto.errors import ConfigError
from stretto.models.providers import KEY_NEEDED, PROVIDERS, Usual
from stretto.models.wire.failures import Secrets, shown_url


class Endpoint:
    """Where a model answers. Its repr shows neither key nor headers.

    Args:
        name: `provider:model`, for people.
        base_url: the address before `/chat/completions`; a query in it is kept.
        headers: sent with every request.
        secrets: what errors must not show.
    """

    def __init__(self, name: str, base_url: str, headers: Mapping[str, str], secrets: Secrets) -> None:
        self._base = urlsplit(base_url)
        self.headers = dict(headers)
        self.secrets = secrets
        self.name = name
        self.address = shown_url(base_url)
        """Without user, password and query."""
        self.where = f"`{name}` at {self.address}"
        """For people."""

    def url(self, path: str) -> str:
        """The address of `path` at this endpoint."""
        base = self._base
        return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + path, base.query, ""))

    def __repr__(self) -> str:
        return f"Endpoint({self.where})"


def open_endpoint(
    provider: str,
    model: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    headers: Mapping[str, str] | None = None,
    api: str = "",
) -> Endpoint:
    """The endpoint of `provider`, from the arguments, then the environment, then what is usual.

    `api` names the API where it is not Chat Completions.

    Raises:
        ConfigError: no address, no key where one is needed, or a malformed one.
    """
    usual = PROVIDERS[provider].usual or Usual()
    name = f"{provider}/{api}:{model}" if api else f"{provider}:{model}"
    named = base_url or os.environ.get(usual.base_url_env, "") if usual.base_url_env else base_url
    address = named or usual.base_url
    if not address:
        raise ConfigError(
            f"`{name}` has no address: pass base_url=... or set {usual.base_url_env}"
            if usual.base_url_env
            else f"`{name}` has no address: pass base_url=..."
        )
    if provider == "azure" and not base_url:
        address = _azure(address, "" if api else model)
    address, basic = _without_user(address, name)
    key = api_key or (None if basic else os.environ.get(usual.key_env) if usual.key_env else None)
    if not key and not basic and provider in KEY_NEEDED and not (base_url or headers):
        raise ConfigError(
            f"`{name}` needs a key: set {usual.key_env} or pass api_key=... "
            "(in YAML, `api_key_env` names another variable); "
            "for a compatible endpoint without one pass base_url=..."
        )
    sent = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    if key:
        sent[usual.key_header] = _checked(key, provider, usual.key_header == "Authorization")
    elif basic:
        sent["Authorization"] = basic
    sent.update(headers or {})
    hidden = [value for value in (headers or {}).values() if len(value) >= 8]
    return Endpoint(name, address, sent, Secrets(key and key.strip(), basic, *hidden))


def _azure(address: str, model: str) -> str:
    """Azure's `v1` address, or the dated one of the deployment `model` where a version is set."""
    version = os.environ.get("OPENAI_API_VERSION", "") if model else ""
    root = address.rstrip("/")
    return f"{root}/openai/deployments/{model}?api-version={version}" if version else f"{root}/openai/v1"


def _without_user(address: str, name: str) -> tuple[str, str]:
    """The address without user and password, and these as a Basic header."""
    try:
        parts = urlsplit(address)
        user, password, _ = parts.username, parts.password, parts.port
    except ValueError:
        parts, user, password = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"base_url of `{name}` must be like https://host/v1, not {shown_url(address)!r}"
            if "@" not in address
            else f"base_url of `{name}` must be like https://host/v1"
        )
    if user is None:
        return address, ""
    login = f"{unquote(user)}:{unquote(password or '')}".encode()
    clean = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
    return clean, "Basic " + base64.b64encode(login).decode("ascii")


def _checked(key: str, provider: str, bearer: bool) -> str:
    key = key.strip()
    if not key.isascii() or not key.isprintable():
        raise ConfigError(f"the API key of `{provider}` holds characters that a header cannot carry")
    return f"Bearer {key}" if bearer else key
