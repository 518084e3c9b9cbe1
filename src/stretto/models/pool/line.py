"""The line before a pool: calls that wait for a member, served by tenant in turn. Knows no member."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S")


class Ticket(Generic[T, S]):
    """A call that waits; `given` is what it was given at its turn."""

    __slots__ = ("_changed", "_loop", "call", "given", "tenant")

    def __init__(self, tenant: str, call: T) -> None:
        self.tenant, self.call = tenant, call
        self.given: S | None = None
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    @property
    def forsaken(self) -> bool:
        """Whether its event loop was closed while it waited: nobody comes for it."""
        return self._loop.is_closed()

    def give(self, what: S) -> None:
        """Its turn has come; from whichever thread."""
        self.given = what
        self.look()

    def look(self) -> None:
        """Wakes it, to look again whether it can still be served."""
        if asyncio.get_running_loop() is self._loop:
            self._changed.set()
        else:
            self._loop.call_soon_threadsafe(self._changed.set)

    async def wait(self, seconds: float) -> None:
        """Waits until it is woken, or for `seconds`."""
        self._changed.clear()
        if self.given is not None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._changed.wait()


class Line(Generic[T, S]):
    """Tickets by tenant. A tenant that was served goes behind the others."""

    def __init__(self) -> None:
        self._tenants: dict[str, deque[Ticket[T, S]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def join(self, tenant: str, call: T) -> Ticket[T, S]:
        """A ticket at the end of its tenant's line."""
        ticket = Ticket[T, S](tenant, call)
        self._tenants.setdefault(tenant, deque()).append(ticket)
        self._count += 1
        return ticket

    def before(self, ticket: Ticket[T, S]) -> int:
        """How many will be served before it, as things stand."""
        own = self._tenants[ticket.tenant].index(ticket)
        return sum(min(len(line), own + 1) for line in self._tenants.values()) - 1

    def in_turn(self) -> Iterator[Ticket[T, S]]:
        """The tickets in the order in which they are to be served."""
        lines = [list(line) for line in self._tenants.values()]
        for place in range(max(map(len, lines), default=0)):
            for line in lines:
                if place < len(line):
                    yield line[place]

    def leave(self, ticket: Ticket[T, S], *, served: bool) -> None:
        """Takes it out of the line."""
        line = self._tenants.get(ticket.tenant)
        if line is None or ticket not in line:
            return
        line.remove(ticket)
        self._count -= 1
        if not line:
            del self._tenants[ticket.tenant]
        elif served:
            self._tenants[ticket.tenant] = self._tenants.pop(ticket.tenant)
