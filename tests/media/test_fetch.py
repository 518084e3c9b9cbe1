import asyncio
import socket
from typing import Any

import pytest
from tests.media import makers
from tests.media.conftest import Site

from stretto.errors import DamagedMedia, MediaNotFound, MediaTooLarge, UnsafeAddress, UnsupportedMedia
from stretto.media.fetch import fetch, is_public
from stretto.media.intake import take_in
from stretto.media.limits import MediaLimits
from stretto.media.store import DirectoryStore
from stretto.messages import File, Image, Message


async def test_an_allowed_host_is_fetched_and_its_content_type_is_not_believed(site: Site):
    fetched = await fetch(f"{site.url}/picture.png?key=1", site.limits())
    assert fetched.data == makers.picture()
    assert fetched.media_type == "image/png"
    assert fetched.label == f"{site.url}/picture.png"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("really-jpeg.png", "image/jpeg"),
        ("notes.md", "text/markdown"),
        ("page", "text/html"),
        ("rows", "text/csv"),
        ("bytes", "application/octet-stream"),
    ],
)
async def test_the_type_is_told_by_content(site: Site, path: str, kind: str):
    assert (await fetch(f"{site.url}/{path}", site.limits())).media_type == kind


async def test_redirects_are_followed_up_to_the_limit(site: Site):
    fetched = await fetch(f"{site.url}/hops/4", site.limits())
    assert fetched.url == f"{site.url}/picture.png"
    with pytest.raises(MediaNotFound, match="redirects more than 5 times"):
        await fetch(f"{site.url}/hops/5", site.limits())


@pytest.mark.parametrize(
    "target",
    ["http://localhost:{port}/picture.png", "http://127.1:{port}/picture.png", "//10.0.0.1/", "file:///x"],
)
async def test_each_redirect_is_checked_like_the_first(site: Site, target: str):
    with pytest.raises(UnsafeAddress):
        await fetch(f"{site.url}/to?url={target.format(port=site.port)}", site.limits())
    assert site.paths == ["/to"]


async def test_content_is_bounded_while_it_streams(site: Site):
    with pytest.raises(MediaTooLarge, match="more than 1500 bytes"):
        await fetch(f"{site.url}/endless", site.limits(bytes=1500))
    with pytest.raises(MediaTooLarge, match="more than 10 bytes"):
        await fetch(f"{site.url}/picture.png", site.limits(bytes=10))
    assert len((await fetch(f"{site.url}/endless", site.limits(bytes=2000))).data) == 2000


async def test_a_server_that_falls_silent_is_left(site: Site):
    with pytest.raises(MediaNotFound, match=r"did not answer within 0\.1 seconds"):
        await fetch(f"{site.url}/silent", site.limits(fetch_seconds=0.1))


async def test_an_answer_that_breaks_off_is_damaged(site: Site):
    with pytest.raises(DamagedMedia, match="broke off"):
        await fetch(f"{site.url}/broken", site.limits())


async def test_compressed_content_is_refused(site: Site):
    with pytest.raises(UnsupportedMedia, match="compressed"):
        await fetch(f"{site.url}/squeezed", site.limits())


async def test_a_missing_page_and_a_closed_port_are_told(site: Site):
    with pytest.raises(MediaNotFound, match="HTTP status 404"):
        await fetch(f"{site.url}/nothing", site.limits())
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(MediaNotFound, match="cannot be fetched"):
        await fetch(f"http://127.0.0.1:{port}/", MediaLimits(allow=(f"127.0.0.1:{port}",)))


async def test_a_name_is_resolved_once_and_the_connection_goes_to_that_address(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []

    async def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    limits = site.limits()
    url = f"http://pictures.example:{site.port}/picture.png"
    with pytest.raises(UnsafeAddress, match=r"leads to 127\.0\.0\.1"):
        await fetch(url, limits)
    asked.clear()
    fetched = await fetch(url, MediaLimits(allow=(f"pictures.example:{site.port}",)))
    assert fetched.media_type == "image/png"
    assert asked == ["pictures.example"]
    assert site.hosts == [f"pictures.example:{site.port}"]


async def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch):
    async def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("8.8.8.8", "10.0.0.1")
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    with pytest.raises(UnsafeAddress, match=r"10\.0\.0\.1"):
        await fetch("https://pictures.example/x")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("64:ff9b::808:808", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::a00:1", False),
        ("::ffff:8.8.8.8", True),
        ("::ffff:192.168.1.1", False),
        ("::7f00:1", False),
        ("::", False),
        ("2002:808:808::", True),
        ("2002:c0a8:1::", False),
        ("2001:0:808:808:0:0:f5ff:fffe", False),
        ("2001:db8::1", False),
        ("fec0::1", False),
        ("fe80::1%eth0", False),
        ("198.18.0.1", False),
        ("192.0.2.1", False),
        ("240.0.0.1", False),
        ("239.1.1.1", False),
        ("no address", False),
    ],
)
def test_only_addresses_of_the_open_internet_are_public(address: str, public: bool):
    assert is_public(address) is public


async def test_a_picture_from_a_url_is_taken_in_by_its_content(site: Site, store: DirectoryStore):
    message = await take_in(
        Message.user(Image(f"{site.url}/really-jpeg.png"), File(f"{site.url}/notes.md")), store, site.limits()
    )
    first, second = message.media
    assert (first.media_type, first.name) == ("image/jpeg", "really-jpeg.png")
    assert (second.media_type, second.name) == ("text/markdown", "notes.md")
