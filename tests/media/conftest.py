"""A server on this machine that misbehaves on request, and a store."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from tests.media import makers

from stretto.media.limits import MediaLimits
from stretto.media.store import DirectoryStore


@dataclass
class Site:
    """The server: what it was asked for, and where it is."""

    port: int = 0
    hosts: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def limits(self, **changes: object) -> MediaLimits:
        return MediaLimits(allow=(f"127.0.0.1:{self.port}",), **changes)  # type: ignore[arg-type]


async def _answer(site: Site, request: web.Request) -> web.StreamResponse:
    site.hosts.append(request.headers["Host"])
    site.paths.append(request.path)
    name = request.path.strip("/")
    if name.startswith("hops/"):
        left = int(name[5:])
        raise web.HTTPFound(f"/hops/{left - 1}" if left else "/picture.png")
    if name == "to":
        raise web.HTTPFound(request.query["url"])
    if name in ("endless", "broken", "silent"):
        response = web.StreamResponse()
        if name == "broken":
            response.content_length = 1000
        await response.prepare(request)
        for _ in range(20 if name == "endless" else 1):
            await response.write(b"x" * 100)
        if name == "silent":
            await site.gate.wait()
        if name == "broken" and request.transport:
            request.transport.close()
        return response
    if name == "squeezed":
        return web.Response(body=b"x", headers={"Content-Encoding": "gzip"})
    bodies = {
        "picture.png": (makers.picture(), "text/html"),
        "really-jpeg.png": (makers.picture("JPEG"), "image/png"),
        "notes.md": (b"# Notes", "application/octet-stream"),
        "page": (b"<!doctype html><p>hello", "image/png"),
        "rows": (b"a,b", "text/csv; charset=utf-8"),
        "bytes": (b"\x01\x02\0", "image/png"),
    }
    if name not in bodies:
        raise web.HTTPNotFound
    body, kind = bodies[name]
    return web.Response(body=body, headers={"Content-Type": kind})


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A running server."""
    made = Site()
    server = web.Server(lambda request: _answer(made, request))  # type: ignore[arg-type]
    runner = web.ServerRunner(server)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    made.port = runner.addresses[0][1]
    yield made
    made.gate.set()
    await runner.cleanup()


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """An empty store."""
    return DirectoryStore(tmp_path / "media")
