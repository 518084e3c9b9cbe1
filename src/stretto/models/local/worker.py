"""The child process that holds one chat model: `python -m stretto.models.local.worker`.

It hears frames on stdin and answers on stdout; it knows the runtime (xllamacpp) and nothing of our messages.
It ends as soon as its stdin does, so it never outlives its parent. Why a child: a crash of the runtime stays
in it, and killing it is the only bound that holds when the runtime does not come back in time.
"""

import http.client
import json
import os
import queue
import secrets
import sys
import threading
from collections.abc import Callable
from typing import IO, Any, cast

import xllamacpp  # pyright: ignore[reportMissingTypeStubs]

from stretto.models.local.frames import (
    Ask,
    Cancel,
    Count,
    Counted,
    Delta,
    Done,
    Failed,
    Load,
    Ready,
    Report,
    next_order,
    pack,
)

Send = Callable[[Report], None]


def open_runtime(load: Load) -> tuple[Any, str]:
    """The runtime with the file loaded, and the key of its HTTP side.

    The runtime always listens on a loopback port of its own. We need that for its tokenizer alone; a random
    key shuts it to everyone else.
    """
    x: Any = xllamacpp
    params = x.CommonParams()
    params.model.path = load.path
    params.n_ctx = load.context
    params.n_parallel = 1  # the context is divided by it
    params.n_batch = params.n_ubatch = load.batch
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = load.threads
    params.cache_ram_mib = load.cache_mb
    params.warmup = False
    params.verbosity = 1  # errors only
    params.endpoint_slots = False
    params.ui = False
    params.force_pure_content_parser = True  # we parse tool calls ourselves
    key = secrets.token_hex(16)
    params.api_keys = [key]
    return x.Server(params), key


class Worker:
    """Answers one request after the other; a thread of its own, so that orders are heard meanwhile."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._asked: queue.SimpleQueue[Ask] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._loaded = threading.Event()
        self._server: Any = None
        self._key = ""

    def load(self, order: Load) -> None:
        """Loads the file, then answers for ever."""
        threading.Thread(target=self._work, args=(order,), daemon=True).start()

    def ask(self, order: Ask) -> None:
        """Puts a request at the end of the queue."""
        self._asked.put(order)

    def cancel(self, order: Cancel) -> None:
        """The request is given up at the runtime's next call-back, or never begun."""
        self._cancelled.add(order.id)

    def count(self, order: Count) -> None:
        """Counts in a thread of its own: a cancel must not wait for it."""
        threading.Thread(target=self._count, args=(order,), daemon=True).start()

    def _work(self, order: Load) -> None:
        try:
            self._server, self._key = open_runtime(order)
        except Exception as error:
            self._send(Failed(0, str(error)))
            return
        self._loaded.set()
        self._send(Ready())
        while True:
            ask = self._asked.get()
            self._send(self._answer(ask))
            self._cancelled.discard(ask.id)

    def _answer(self, ask: Ask) -> Done | Failed:
        done = Done(ask.id)
        failed: list[Failed] = []

        def heard(chunk: dict[str, Any]) -> bool:
            if "error" in chunk:
                failed.append(_failure(ask.id, chunk["error"]))
                return True
            text = _take(chunk, done)
            if text:
                self._send(Delta(ask.id, text))
            return ask.id in self._cancelled  # True stops the runtime, also between two batches of a prompt

        if ask.id not in self._cancelled:
            try:
                self._server.handle_chat_completions(ask.body, heard)
            except (
                Exception
            ) as error:  # the runtime raises ValueError and RuntimeError, or reports: both occur
                return Failed(ask.id, str(error))
        return failed[0] if failed else done

    def _count(self, order: Count) -> None:
        self._loaded.wait()
        address = str(self._server.listening_address).removeprefix("http://")
        try:
            connection = http.client.HTTPConnection(address, timeout=30)
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
            connection.request("POST", "/tokenize", json.dumps({"content": order.text}), headers)
            tokens = json.loads(connection.getresponse().read())["tokens"]
            connection.close()
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            self._send(Failed(order.id, f"the tokenizer did not answer: {error}"))
        else:
            self._send(Counted(order.id, len(tokens)))


def _take(chunk: dict[str, Any], done: Done) -> str:
    """The text of a streamed chunk; what it says of finish and usage goes into `done`."""
    usage = chunk.get("usage")
    if usage:
        done.input_tokens = usage["prompt_tokens"]
        done.output_tokens = usage["completion_tokens"]
        details: dict[str, int] = usage.get("prompt_tokens_details") or {}
        done.cached_tokens = details.get("cached_tokens", 0)
    text = ""
    for choice in chunk.get("choices", ()):
        done.finish = choice.get("finish_reason") or done.finish
        text += choice["delta"].get("content") or ""
    return text


def _failure(id: int, error: Any) -> Failed:
    details = cast("dict[str, Any]", error) if isinstance(error, dict) else {"message": str(error)}
    return Failed(
        id,
        str(details.get("message", "")),
        str(details.get("type", "")),
        int(details.get("n_prompt_tokens", 0)),
    )


def main() -> None:
    """Hears orders until stdin ends."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the runtime prints must not come between frames
    lock = threading.Lock()

    def send(report: Report) -> None:
        with lock:
            out.write(pack(report))
            out.flush()

    _hear(sys.stdin.buffer, Worker(send))
    os._exit(0)  # at once, in the middle of whatever the runtime does


def _hear(orders: IO[bytes], worker: Worker) -> None:
    while (order := next_order(orders)) is not None:
        match order:
            case Load():
                worker.load(order)
            case Ask():
                worker.ask(order)
            case Cancel():
                worker.cancel(order)
            case Count():
                worker.count(order)


if __name__ == "__main__":
    main()
