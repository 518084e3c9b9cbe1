"""The one bridge from synchronous code to our coroutines: a background event loop, started when first used.

Sockets, models and stores that a coroutine opened stay usable in the next call, and it works where a loop
is already running (a notebook).
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from stretto.errors import ConfigError

T = TypeVar("T")
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def _background_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="stretto-sync", daemon=True).start()
        return _loop


def run_sync(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs `coroutine` to its end and returns its value; an interrupt from the keyboard cancels it.

    Raises:
        ConfigError: It was called by what the bridge itself runs, which would wait for itself.
    """
    loop = _background_loop()
    if loop is asyncio._get_running_loop():
        coroutine.close()
        raise ConfigError("this call waits for what it is a part of; in async code await the async one")
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        raise
