"""The parent's side of a chat model's child process: starts it, shares it, queues calls, kills it at need.

Knows frames and processes, not messages. It belongs to no event loop: calls of several loops queue here, the
one that plays is told by its loop's `call_soon_threadsafe`.
"""

import asyncio
import atexit
import contextlib
import itertools
import os
import subprocess
import sys
import threading
from collections import deque
from typing import IO

import msgspec

from stretto.errors import ConfigError
from stretto.models.local.frames import (
    Ask,
    Cancel,
    Count,
    Counted,
    Done,
    Failed,
    Load,
    Order,
    Ready,
    Report,
    next_report,
    pack,
)

GRACE = 0.7
"""Seconds a cancelled answer has to stop by itself before its process is killed."""

_ids = itertools.count(1)


class Died(Exception):
    """The child process ended; `reason` is what it said last."""

    def __init__(self, reason: str, *, loaded: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.loaded = loaded


class Call:
    """One order and what came back for it. Made and read in one event loop, filled from any thread."""

    def __init__(self, order: Ask | Count) -> None:
        order.id = next(_ids)
        self.order = order
        self._loop = asyncio.get_running_loop()
        self._arrived: deque[Report | Died] = deque()
        self._news = asyncio.Event()
        self.timer: threading.Timer | None = None

    def deliver(self, report: Report | Died) -> None:
        """Hands a report over; a loop that is gone no longer wants it."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._put, report)

    def _put(self, report: Report | Died) -> None:
        self._arrived.append(report)
        self._news.set()

    async def reports(self) -> list[Report]:
        """All that has arrived since last asked, at least one; raises Died."""
        while not self._arrived:
            self._news.clear()
            await self._news.wait()
        taken: list[Report] = []
        while self._arrived:
            report = self._arrived[0]
            if isinstance(report, Died):
                if taken:
                    return taken
                raise report
            taken.append(report)
            self._arrived.popleft()
        return taken


class WorkerProcess:
    """One child process for one file and its settings; started when first needed, again after it died."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._lock = threading.RLock()
        self._child: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._waiting: deque[Call] = deque()
        self._playing: Call | None = None
        self._held: list[Order] = []
        self._counting: dict[int, Call] = {}
        self.users = 0

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        child = self._child
        return child.pid if child else None

    @property
    def busy(self) -> bool:
        """Whether an answer is being made."""
        return self._playing is not None

    def submit(self, call: Call) -> None:
        """Queues a call; reports come to the call itself."""
        with self._lock:
            if isinstance(call.order, Count):
                self._counting[call.order.id] = call
                self._send(call.order)
            else:
                self._waiting.append(call)
                self._next()

    def cancel(self, call: Call) -> None:
        """Gives a call up: at once while it waits, within `GRACE` seconds while it plays."""
        with self._lock:
            self._counting.pop(call.order.id, None)
            if call in self._waiting:
                self._waiting.remove(call)
            elif call is self._playing and not self._ready:
                self._held.clear()
                self._ended(call)
            elif call is self._playing:
                self._send(Cancel(call.order.id))
                call.timer = threading.Timer(GRACE, self._overdue, (call,))
                call.timer.daemon = True
                call.timer.start()

    def close(self) -> None:
        """Ends the child and waits for it. Blocks for milliseconds."""
        with self._lock:
            child = self._child
            if child is not None:
                child.kill()
        if child is not None:
            child.wait()

    def _overdue(self, call: Call) -> None:
        with self._lock:
            if call is self._playing and self._child is not None:
                self._child.kill()

    def _ended(self, call: Call) -> None:
        if call.timer is not None:
            call.timer.cancel()
        self._playing = None
        self._next()

    def _next(self) -> None:
        if self._playing is None and self._waiting:
            self._playing = self._waiting.popleft()
            self._send(self._playing.order)

    def _send(self, order: Order) -> None:
        try:
            child = self._child or self._start()
        except OSError as error:
            self._died(f"it could not be started: {error}")
            return
        if self._ready:
            _write(child, order)
        else:
            self._held.append(order)  # while it loads it does not read, and a full pipe would block us

    def _start(self) -> subprocess.Popen[bytes]:
        # A thread that spins long for one that has no core starves both: on a busy machine 1000 turns
        # kept 35 tokens a second where 100,000 came to a standstill.
        environment = {"GOMP_SPINCOUNT": "1000", **os.environ}
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "stretto.models.local.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # an interrupt from the keyboard is the parent's business
        )
        self._child, self._ready = child, False
        said: deque[str] = deque(maxlen=20)
        listener = threading.Thread(target=_keep_last, args=(child.stderr, said), daemon=True)
        listener.start()
        threading.Thread(target=self._read, args=(child, listener, said), daemon=True).start()
        _write(child, msgspec.structs.replace(self._load, threads=self._load.threads or usual_threads()))
        return child

    def _read(self, child: subprocess.Popen[bytes], listener: threading.Thread, said: deque[str]) -> None:
        assert child.stdout is not None
        reason = ""
        while (report := next_report(child.stdout)) is not None:
            if isinstance(report, Failed) and report.id == 0:
                reason = report.message
                break
            self._heard(report)
        child.kill()
        child.wait()
        listener.join()
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._died(" ".join([reason, *said]).strip() or f"exit code {child.returncode}")

    def _heard(self, report: Report) -> None:
        with self._lock:
            if isinstance(report, Ready):
                self._ready = True
                held, self._held = self._held, []
                for order in held:
                    self._send(order)
                return
            call = self._counting.get(report.id) or self._playing
            if call is None or call.order.id != report.id:
                return
            if isinstance(report, Done | Failed | Counted):
                self._counting.pop(report.id, None)
                if call is self._playing:
                    self._ended(call)
            call.deliver(report)

    def _died(self, reason: str) -> None:
        with self._lock:
            died = Died(reason, loaded=self._ready)
            lost = [*self._counting.values(), *([self._playing] if self._playing else [])]
            self._child, self._ready, self._playing = None, False, None
            self._counting.clear()
            self._held.clear()
            for call in lost:
                call.deliver(died)
            self._next()


def _write(child: subprocess.Popen[bytes], order: Order) -> None:
    assert child.stdin is not None
    with contextlib.suppress(OSError):  # it just died: its reader tells everyone
        child.stdin.write(pack(order))
        child.stdin.flush()


def _keep_last(stream: IO[bytes] | None, said: deque[str]) -> None:
    if stream is not None:
        for line in stream:
            said.append(line.decode(errors="replace").strip()[:300])


def wanted_threads() -> int:
    """What `STRETTO_LOCAL_THREADS` says; 0 where it is not set: chosen when the child starts."""
    wanted = os.environ.get("STRETTO_LOCAL_THREADS", "0")
    if not wanted.isdecimal():
        raise ConfigError(f"`STRETTO_LOCAL_THREADS` is `{wanted}`; give a whole number")
    return int(wanted)


def usual_threads() -> int:
    """Two at most, and one on a machine with twice the work it can do: two then wait for each other.

    Measured with two busy loops beside it on two cores: two threads read 60 tokens a second and write 20,
    one reads 38 and writes 47; reading is most of the time.
    """
    cores = os.cpu_count() or 1
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return 1 if busy > 2 * cores else min(2, cores)


_shared: dict[tuple[int, Load], WorkerProcess] = {}
_shared_lock = threading.Lock()


def acquire(load: Load) -> WorkerProcess:
    """The process for this file and these settings, shared by all who ask in this process."""
    key = (os.getpid(), load)  # a fork must not talk through its parent's pipes
    with _shared_lock:
        worker = _shared.get(key)
        if worker is None:
            worker = _shared[key] = WorkerProcess(load)
        worker.users += 1
        return worker


def release(worker: WorkerProcess) -> None:
    """Gives it back; the last one ends it. Blocks for milliseconds."""
    with _shared_lock:
        worker.users -= 1
        last = worker.users == 0
        if last:
            for key in [key for key, value in _shared.items() if value is worker]:
                del _shared[key]
    if last:
        worker.close()


@atexit.register
def _close_all() -> None:
    for (pid, _), worker in list(_shared.items()):
        if pid == os.getpid():
            worker.close()
