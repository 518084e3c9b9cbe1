"""The child process that reads documents: `python -m stretto.knowledge.loaders.worker`.

It hears one frame on stdin, answers on stdout, and so on until stdin ends. Why a child: a parser that
crashes, takes for ever or eats memory at a hostile file does so here, under a limit, and can be killed.
"""

import contextlib
import gc
import hashlib
import math
import os
import signal
import sys
from importlib import import_module
from typing import IO

from stretto.errors import DamagedMedia, MediaNotFound, MediaTooLarge, StrettoError
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.frames import LENGTH, Done, Failed, MoreTime, Read, orders, pack
from stretto.knowledge.loaders.protocol import more_time
from stretto.knowledge.loaders.registry import load

_GRACE = 5
"""Seconds after which the process ends by itself, on top of those after which its parent kills it."""


def answer(order: Read) -> Done | Failed:
    """Reads one document; whatever goes wrong becomes one of our errors."""
    try:
        data = order.data if not order.path else _content(order.path, order.name, order.limits)
        return Done(load(data, order.name, order.media_type, order.limits), hashlib.sha256(data).hexdigest())
    except StrettoError as error:
        return Failed(type(error).__name__, str(error))
    except MemoryError:
        return _out_of_memory(order)
    except RecursionError:
        return Failed(DamagedMedia.__name__, f"`{order.name}` nests too deep; save a simpler version")
    except Exception as error:  # a parser's own failure is the document's, and never a traceback
        return Failed(
            DamagedMedia.__name__,
            f"`{order.name}` cannot be read ({type(error).__name__}: {str(error)[:300]})",
        )


def _out_of_memory(order: Read) -> Failed:
    return Failed(
        MediaTooLarge.__name__,
        f"`{order.name}` needs more than {order.limits.memory:,} bytes of memory to be read, "
        "which is what is allowed",
    )


def _content(path: str, name: str, limits: IngestLimits) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(limits.bytes + 1)
    except OSError as error:
        raise MediaNotFound(f"`{name}` cannot be read: {error.strerror or error}") from None
    if len(data) > limits.bytes:
        raise MediaTooLarge(f"`{name}` has more than {limits.bytes:,} bytes, which is what is allowed")
    return data


def bound_memory(limit: int) -> None:
    """Lets this process have no more than `limit` bytes of address space, where the system can do that."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        resource = import_module("resource")  # there is none on Windows
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        wanted = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


def bound_time(seconds: float) -> None:
    """Ends this process in so many seconds, should its parent be gone by then; 0 takes that back."""
    if hasattr(signal, "alarm"):
        signal.alarm(math.ceil(seconds + _GRACE) if seconds else 0)


def _next(stream: IO[bytes]) -> Read | None:
    head = stream.read(LENGTH)
    if len(head) < LENGTH:
        return None
    body = stream.read(int.from_bytes(head, "big"))
    return orders.decode(body) if body else None


def main() -> None:
    """Hears orders until stdin ends."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a parser prints must not come between frames

    def say(frame: Done | Failed | MoreTime) -> None:
        out.write(pack(frame))
        out.flush()

    limits = IngestLimits()

    def say_more_time() -> None:
        bound_time(limits.seconds)
        say(MoreTime())

    more_time.set(say_more_time)
    bounded = 0
    while (order := _next(sys.stdin.buffer)) is not None:
        if order.limits.memory != bounded:
            bounded = order.limits.memory
            bound_memory(bounded)
        limits = order.limits
        bound_time(limits.seconds)
        found = answer(order)
        bound_time(0)
        try:
            say(found)
        except MemoryError:
            found = None
            gc.collect()
            say(_out_of_memory(order))
        del found, order
    os._exit(0)  # at once: nothing here is worth an orderly end


if __name__ == "__main__":
    main()
