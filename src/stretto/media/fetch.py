"""Fetches a URL from the open internet, and from nowhere else. Knows no picture.

A host is resolved once; every address it has must be public; the connection goes to one of exactly these. So
a private address is refused in whatever spelling, and a name cannot point elsewhere between check and use.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import PurePosixPath

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from stretto.errors import DamagedMedia, MediaNotFound, MediaTooLarge, UnsafeAddress, UnsupportedMedia
from stretto.media.kinds import claimed_kind, kind_of
from stretto.media.limits import DEFAULT_LIMITS, MediaLimits

_REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.ip_network("::/96")
_UNICAST = ipaddress.ip_network("2000::/3")


@dataclass(frozen=True)
class Fetched:
    """What a URL gave."""

    data: bytes
    media_type: str
    """By content. For texts, whose content does not tell, by the URL's ending or the server's word."""
    url: str
    """The last URL, after redirects."""

    @property
    def label(self) -> str:
        """The URL for people, without its query, which may hold a key."""
        return _label(URL(self.url))


async def fetch(url: str, limits: MediaLimits = DEFAULT_LIMITS) -> Fetched:
    """The content behind an http or https URL.

    Raises:
        UnsafeAddress: Another scheme, a login in the URL, or a host with an address that is not public.
        MediaNotFound: The host is not known or does not answer in time, or the answer is no success.
        MediaTooLarge: More bytes than allowed.
        DamagedMedia: The connection broke before the end.
    """
    place, seen = _parsed(url), 0
    try:
        async with asyncio.timeout(limits.fetch_seconds):
            while True:
                answer = await _one(place, limits)
                if isinstance(answer, Fetched):
                    return answer
                seen += 1
                if seen > limits.redirects:
                    raise MediaNotFound(
                        f"`{_label(_parsed(url))}` redirects more than {limits.redirects} times"
                    )
                place = answer
    except TimeoutError:
        raise MediaNotFound(
            f"`{_label(place)}` did not answer within {limits.fetch_seconds:g} seconds; try again later"
        ) from None


def last_name(url: str) -> str:
    """The file name at the end of a URL's path, or an empty text."""
    return PurePosixPath(URL(url).path).name


async def _one(url: URL, limits: MediaLimits) -> Fetched | URL:
    """One request: the content, or where it redirects to."""
    label = _label(url)
    addresses = await _addresses(url, limits)
    connector = aiohttp.TCPConnector(resolver=_Pinned(url.raw_host or "", addresses), use_dns_cache=False)
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                headers={"Accept-Encoding": "identity", "User-Agent": "stretto"},
            ) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status in _REDIRECTS and "Location" in response.headers:
                return _parsed(response.headers["Location"], url)
            if response.status != 200:
                raise MediaNotFound(f"`{label}` answered with HTTP status {response.status}; check the URL")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise UnsupportedMedia(f"`{label}` sent compressed content though it was asked not to")
            data = await _body(response, label, limits)
            return Fetched(data, _type_of(data, response.headers.get("Content-Type", ""), url), str(url))
    except aiohttp.ClientPayloadError:
        raise DamagedMedia(f"`{label}` broke off before the end; try again") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise MediaNotFound(f"`{label}` cannot be fetched: {_reason(error)}") from None


async def _body(response: aiohttp.ClientResponse, label: str, limits: MediaLimits) -> bytes:
    data = bytearray()
    if (response.content_length or 0) <= limits.bytes:
        async for piece in response.content.iter_any():
            data += piece
            if len(data) > limits.bytes:
                break
        else:
            return bytes(data)
    raise MediaTooLarge(f"`{label}` has more than {limits.bytes} bytes, which is what is allowed")


def _parsed(text: str, base: URL | None = None) -> URL:
    """An absolute http URL, or UnsafeAddress."""
    try:
        url = URL(text) if base is None else base.join(URL(text))
    except ValueError:
        raise MediaNotFound(f"`{text[:100]}` is no URL") from None
    if url.scheme not in ("http", "https"):
        raise UnsafeAddress(f"`{_label(url)}` cannot be read: only http and https URLs are allowed")
    if url.user is not None or url.password is not None:
        raise UnsafeAddress(f"`{_label(url)}` carries a login; only URLs without one are allowed")
    if not url.raw_host:
        raise MediaNotFound(f"`{_label(url)}` names no host")
    return url


async def _addresses(url: URL, limits: MediaLimits) -> list[ResolveResult]:
    host, port = url.raw_host or "", url.port or 80
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise MediaNotFound(f"`{_label(url)}`: the host `{host}` is not known") from None
    addresses: list[ResolveResult] = []
    for family, _, protocol, _, place in found:
        address = str(place[0])
        if host not in limits.allow and f"{host}:{port}" not in limits.allow and not is_public(address):
            raise UnsafeAddress(
                f"`{_label(url)}` leads to {address}, which is not public; only public addresses are allowed"
            )
        addresses.append(
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
        )
    return addresses


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet, also when it is wrapped in an IPv6 one."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and (ip in _COMPATIBLE or any(ip in network for network in _NAT64)):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip not in _UNICAST:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_private)


class _Pinned(AbstractResolver):
    """Knows one host, by the addresses that were checked."""

    def __init__(self, host: str, addresses: list[ResolveResult]) -> None:
        self._host = host
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host != self._host:
            raise OSError(f"`{host}` was not checked")
        return self._addresses

    async def close(self) -> None:
        pass


def _type_of(data: bytes, declared: str, url: URL) -> str:
    found = kind_of(data)
    if found != "text/plain":
        return found or "application/octet-stream"
    for claim in (claimed_kind("", PurePosixPath(url.path).name), claimed_kind(declared, "")):
        if claim.startswith("text/") or claim in ("application/json", "application/yaml", "application/xml"):
            return claim
    return found


def _label(url: URL) -> str:
    port = f":{url.explicit_port}" if url.explicit_port else ""
    return f"{url.scheme}://{url.host or ''}{port}{url.path}"[:200]


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not valid"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or "no connection"
    return type(error).__name__
