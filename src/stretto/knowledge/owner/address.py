"""Where the owner of a folder listens: a Unix socket for its user only, or a loopback port with a token.

Knows no frame. The address stands in the owner's lock file, which only the user can read.
"""

import hashlib
import os
import secrets
import socket
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec

from stretto._internal.private import private_folder
from stretto.errors import KnowledgeError

UNIX = hasattr(socket, "AF_UNIX")
_LONGEST = 100
"""Bytes of a socket's path; systems take 103 or 107."""


class Address(msgspec.Struct, frozen=True):
    """Who owns the folder, and how it is reached: by `path`, or by `port` with `token`."""

    pid: int = 0
    path: str = ""
    port: int = 0
    token: str = ""


def listen(folder: Path, *, unix: bool = UNIX) -> tuple[socket.socket, Address]:
    """A socket that listens, and its address. Replaces an old socket: the caller holds the folder's lock."""
    path = socket_path(folder) if unix else None
    if path is None:
        listener = socket.create_server(("127.0.0.1", 0))
        address = Address(os.getpid(), port=listener.getsockname()[1], token=secrets.token_hex(32))
        return listener, address
    with suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(OSError):
            os.fchmod(listener.fileno(), 0o600)  # on Linux the path is made with this mode
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener, Address(os.getpid(), path=str(path))


def connect(address: Address, timeout: float) -> socket.socket:
    """A connection, or OSError; `timeout` in seconds holds for what follows too."""
    if not address.path:
        return socket.create_connection(("127.0.0.1", address.port), timeout)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(address.path)
    except BaseException:
        connection.close()
        raise
    return connection


def socket_path(folder: Path) -> Path | None:
    """`owner.sock` in the folder, or a short path in the user's own run-time folder where that is too long.

    None where that is too long as well. Raises KnowledgeError when others can reach the run-time folder.
    """
    path = folder / "owner.sock"
    if len(os.fsencode(path)) <= _LONGEST:
        return path
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:24] + ".sock"
    given = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(given) / "stretto" if given else Path(tempfile.gettempdir()) / f"stretto-{os.getuid()}"
    if len(os.fsencode(base / name)) > _LONGEST:
        return None
    private_folder(base)
    state = base.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o077:
        raise KnowledgeError(
            f"`{base}` is not a folder for this user only, so the knowledge base in `{folder}` cannot be "
            f"shared; type: rm -r {base}"
        )
    return base / name
