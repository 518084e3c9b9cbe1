"""Refuses every connection that leaves this machine: in the test run, and in the Python processes it starts.

Python loads it by its name from PYTHONPATH; `tests/conftest.py` sets that. Knows no test.
"""

import ipaddress
import socket
from typing import Any


class OutsideConnection(RuntimeError):
    """A test reached for the network."""


def _leaves(family: int, address: Any) -> bool:
    if family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
        return False
    host = str(address[0])
    if host == "localhost":
        return False
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return True
    mapped = getattr(ip, "ipv4_mapped", None)
    return not (mapped or ip).is_loopback


def _guarded(name: str) -> Any:
    original = getattr(socket.socket, name)

    def call(self: socket.socket, *args: Any) -> Any:
        if _leaves(self.family, args[-1]):
            raise OutsideConnection(f"tests stay on this machine, and this one reached for {args[-1]!r}")
        return original(self, *args)

    return call


_look_up = socket.getaddrinfo


def _local_look_up(
    host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
) -> Any:
    """Names of other machines are unknown; addresses in any notation, and localhost, are as ever."""
    name = host.decode() if isinstance(host, bytes) else host
    if name not in (None, "", "localhost"):
        flags |= socket.AI_NUMERICHOST
    return _look_up(host, port, family, type, proto, flags)


def block() -> None:
    """Puts the guards in place; a second call changes nothing."""
    if socket.getaddrinfo is _local_look_up:
        return
    for name in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, name, _guarded(name))
    socket.getaddrinfo = _local_look_up


block()
