"""The parent's side of the process that reads documents: starts it, waits within limits, kills it at need.

Knows frames and processes; no format and no store. One process reads one document after the other and is
started when first needed, and again after it was killed.
"""

import asyncio
import contextlib
import os
import sys
from types import TracebackType
from typing import Self

import msgspec

from stretto.errors import (
    DamagedMedia,
    MediaNotFound,
    MediaTooLarge,
    MissingExtra,
    ModelNotFound,
    StrettoError,
    UnsupportedMedia,
)
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.frames import LENGTH, Done, Failed, MoreTime, Read, answers, pack
from stretto.knowledge.loaders.worker import answer as answer_in_place
from stretto.knowledge.opened import off_loop

_STARTING = 30.0
"""Seconds that a new process may take until it hears, on top of its first document's."""
_PIECE = 1 << 16
_ERRORS: dict[str, type[StrettoError]] = {
    error.__name__: error
    for error in (MediaNotFound, MediaTooLarge, MissingExtra, ModelNotFound, UnsupportedMedia)
}
_SIMPLE = ("text/plain", "text/markdown")
SMALL = 1_000_000
"""Bytes up to which a plain text is read in this process."""


class Conversion:
    """Reads documents in a process of its own. Use it as an async context, in one event loop."""

    def __init__(self, limits: IngestLimits) -> None:
        self._limits = limits
        self._child: asyncio.subprocess.Process | None = None
        self._ready = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def pid(self) -> int | None:
        """The process, None while there is none."""
        return self._child.pid if self._child else None

    async def read(self, order: Read) -> Done:
        """What is in a document.

        Raises:
            MediaTooLarge: It took longer, or needed more memory, than is allowed.
            DamagedMedia: The process died of it.
            StrettoError: Whatever its loader raised.
        """
        try:
            answer = await (off_loop(answer_in_place, order) if _is_simple(order) else self._answer(order))
        except TimeoutError:
            await self.close()
            raise MediaTooLarge(
                f"`{order.name}` took longer than {self._limits.seconds:g} seconds to be read, "
                "which is what is allowed"
            ) from None
        except (EOFError, ConnectionError, msgspec.MsgspecError):
            await self.close()
            raise DamagedMedia(
                f"`{order.name}` cannot be read: the process that read it died; save the file again"
            ) from None
        except BaseException:  # cancelled in the middle of an answer: what comes next would be that one's
            await self.close()
            raise
        if isinstance(answer, Failed):
            raise _error(answer)
        return answer

    async def _answer(self, order: Read) -> Done | Failed:
        deadline = self._limits.seconds + (0.0 if self._ready else _STARTING)
        async with asyncio.timeout(deadline) as waiting:
            child = await self._running()
            stdin, stdout = child.stdin, child.stdout
            if stdin is None or stdout is None:
                raise EOFError
            stdin.write(pack(order))
            await stdin.drain()
            for _ in range(self._limits.ocr_pages + 2):
                length = int.from_bytes(await stdout.readexactly(LENGTH), "big")
                answer = answers.decode(await _body(stdout, length))
                self._ready = True
                if not isinstance(answer, MoreTime):
                    return answer
                waiting.reschedule(asyncio.get_running_loop().time() + self._limits.seconds)
            raise TimeoutError

    async def _running(self) -> asyncio.subprocess.Process:
        if self._child is None:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # nothing is imported from the folder we stand in, which may hold anything
                "-m",
                "stretto.knowledge.loaders.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        return self._child

    async def close(self) -> None:
        """Ends the process and waits for it. May be called twice."""
        child, self._child, self._ready = self._child, None, False
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        if child.stdin is not None:
            child.stdin.close()
            with contextlib.suppress(ConnectionError):
                await child.stdin.wait_closed()


def _is_simple(order: Read) -> bool:
    """Whether a document is a short plain text, which no parser can choke on: it is read in this process."""
    return not order.path and order.media_type in _SIMPLE and len(order.data) <= SMALL


async def _body(stream: asyncio.StreamReader, length: int) -> bytearray:
    body = bytearray()
    while len(body) < length:
        piece = await stream.read(min(_PIECE, length - len(body)))
        if not piece:
            raise EOFError
        body += piece
    return body


def _error(failed: Failed) -> StrettoError:
    """The error that the loader raised, as one of the same class."""
    found = _ERRORS.get(failed.error, DamagedMedia)
    error = found.__new__(found)
    StrettoError.__init__(error, failed.message)  # whole, whatever the class makes of its parts
    if isinstance(error, MissingExtra):
        error.extra = failed.message.rpartition("[")[2].partition("]")[0]
    return error
