"""Synchronous code of users in a thread of its own. Knows nothing of tools and nodes.

The loop's own pool is not for it: one call that hangs would hold a place there for good, and the end of the
program with it.
"""

import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


async def in_thread(call: Callable[[], Any], *, name: str) -> Any:
    """What `call` returns or raises. It runs in a daemon thread, under a copy of the context variables.

    It cannot be stopped: when the one who waits is cancelled, the thread ends when `call` does, and what it
    gives is dropped.
    """
    import asyncio  # noqa: PLC0415 (a quarter of the vocabulary's CPU; a run has it loaded)

    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
    context = contextvars.copy_context()

    def deliver(value: Any, error: BaseException | None) -> None:
        if not done.done():
            done.set_result((value, error))

    def work() -> None:
        value, error = None, None
        try:
            value = context.run(call)
        except BaseException as caught:  # also Pause, which the caller waits for
            error = caught
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, value, error)

    threading.Thread(target=work, name=name, daemon=True).start()
    value, error = await done
    if error is not None:
        raise error
    return value
