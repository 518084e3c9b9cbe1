"""Fetches a model's files from its own hub over HTTP: asked first, continued after a break, never trusted.

The hub is untried: it was not reachable where this was written, only a server of the same shape. So it is
asked with a deadline, its announced hash and size are compared before anything is fetched, and every file's
sha256 is checked. Knows no packages; `STRETTO_HUB` may name a mirror, or `off`.
"""

import http.client
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from stretto.errors import ConfigError, ModelUnavailable
from stretto.models.local.catalogue import LocalFile, LocalModel
from stretto.models.local.checked import check

DEFAULT = "https://huggingface.co"
UNASKED_SECONDS = 1.5
"""How long the default hub may take to show that it has the files: all that a machine without it loses."""
ASKED_SECONDS = 15.0
"""The same for a hub that `STRETTO_HUB` or an argument names."""
READ_SECONDS = 30.0
BLOCK = 1 << 18


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **named: Any) -> None:  # a redirect's own headers hold the hash
        return None


def address(chosen: str | None = None) -> tuple[str, float]:
    """The hub's base URL ("" for none) and the seconds it may take to answer.

    Args:
        chosen: a base URL, "off", or None to read `STRETTO_HUB`, else the default.

    Raises:
        ConfigError: it is neither.
    """
    value = (chosen if chosen is not None else os.environ.get("STRETTO_HUB", "")).strip()
    if value.lower() in ("off", "no", "0", "none"):
        return "", 0.0
    if value and not value.startswith(("http://", "https://")):
        raise ConfigError(f"STRETTO_HUB is `{value}`; it can be a URL that starts with https://, or `off`.")
    return (value.rstrip("/"), ASKED_SECONDS) if value else (DEFAULT, UNASKED_SECONDS)


def url_of(base: str, file: LocalFile) -> str:
    """Where the hub keeps a file."""
    owner, repository, path = file.hub.split("/", 2)
    return f"{base}/{owner}/{repository}/resolve/main/{path}"


def offers(base: str, model: LocalModel, seconds: float) -> bool:
    """Whether the hub answers within `seconds` and announces just the files that the catalogue expects."""
    if not base or not all(file.hub for file in model.fetched):
        return False
    found: list[bool] = []
    deadline = time.monotonic() + seconds

    def ask() -> None:
        found.append(all(_announced(url_of(base, file), file, deadline) for file in model.fetched))

    thread = threading.Thread(target=ask, daemon=True, name="stretto-hub")  # name lookup knows no timeout
    thread.start()
    thread.join(seconds)
    return found == [True]


def _announced(url: str, file: LocalFile, deadline: float) -> bool:
    try:
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.build_opener(_Stay()).open(
            request, timeout=max(0.1, deadline - time.monotonic())
        ) as answer:
            headers = answer.headers
    except urllib.error.HTTPError as error:
        if error.code not in (301, 302, 303, 307, 308):
            return False
        headers = error.headers
        error.close()
    except (OSError, http.client.HTTPException, ValueError):
        return False
    digest = (headers.get("X-Linked-Etag") or "").strip('"')
    size = headers.get("X-Linked-Size") or ""
    return (len(digest) != 64 or digest == file.sha256) and (not size or size == str(file.size))


def download(
    url: str,
    target: Path,
    file: LocalFile,
    *,
    moved: Callable[[int], None],
    tries: int = 5,
    pause: float = 0.5,
) -> None:
    """Fetches `url` into `target`, going on from what is there, and checks size and sha256.

    Args:
        url: where the file is.
        target: its path; bytes already there are kept and continued with a Range request.
        file: the size and sha256 it must have.
        moved: called with the bytes there so far.
        tries: how often in a row a connection may bring nothing.
        pause: seconds before the second of these, doubled each time.

    Raises:
        ModelUnavailable: the server refuses, or connections keep breaking off.
        ModelError: the content is not what the catalogue expects; `target` is removed.
    """
    failures = 0
    while (have := target.stat().st_size if target.exists() else 0) < file.size:
        if failures:
            time.sleep(pause * 2 ** (failures - 1))
        reason = _continue(url, target, have, file.size, moved)
        failures = 0 if target.exists() and target.stat().st_size > have else failures + 1
        if failures >= tries:
            raise ModelUnavailable(f"`{file.name}` could not be fetched from {url}: {reason}.")
    check(target, file.sha256, what=f"`{file.name}` from {url}", size=file.size)


def _continue(url: str, target: Path, have: int, size: int, moved: Callable[[int], None]) -> str:
    """One connection's worth of bytes. Returns why it ended."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=READ_SECONDS) as answer:
            whole = answer.status != 206
            with target.open("wb" if whole else "ab") as out:
                _copy(answer, out, 0 if whole else have, size, moved)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (400, 401, 403, 404, 410, 451):
            raise ModelUnavailable(f"The hub answers {error.code} for {url}.") from None
        return f"the server answers {error.code}"
    except (OSError, http.client.HTTPException) as error:
        return f"the connection broke off ({type(error).__name__})"
    return "the connection ended early"


def _copy(answer: Any, out: IO[bytes], done: int, size: int, moved: Callable[[int], None]) -> None:
    while done <= size and (block := answer.read(BLOCK)):
        out.write(block)
        done += len(block)
        moved(done)
