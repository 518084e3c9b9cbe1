"""Which process owns something: a name for this one, and whether the owner of such a name still lives.

A process id comes back for another process: the name holds when the process began, where that can be read.
"""

import functools
import os
import socket
from pathlib import Path


def this_process() -> str:
    """The name of this process: host, id, and when it began."""
    return _name(os.getpid())


def is_gone(owner: str) -> bool:
    """Whether the process is known to have ended; of one on another host nothing is known."""
    host, _, rest = owner.partition("|")
    number, _, began = rest.partition("|")
    if host != _host() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return bool(began) and _began(int(number)) not in ("", began)


@functools.cache
def _host() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()}/{boot.read_text().strip() if boot.is_file() else ''}".replace("|", "")


@functools.lru_cache(maxsize=2)
def _name(pid: int) -> str:
    return f"{_host()}|{pid}|{_began(pid)}"


def _began(pid: int) -> str:
    """Clock ticks between the machine's start and the process's; empty where the system does not say."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
