"""`FaultyServer`: a `ChatServer` that goes wrong when and how it is told. Knows no client.

    async with FaultyServer(faults="stall_mid_stream") as server:      # a row of `stretto.testing.ROWS`
        model = Model("compatible:x", base_url=server.url)

    FaultyServer("Hello.", faults=["429_after_2", None])               # the first request only
    FaultyServer(faults=lambda number: Fault("abort", after=5) if number % 3 == 0 else None)
    server.faults = "down"; ...; server.faults = None                  # for a time
    async with server: ...                                             # again, at the same port

As a process of its own: `python -m stretto.testing.faulty_server --faults down --first-token 0.05`.
`GET /counts` tells what it counted, and `PUT /faults` with a row, a fault, a list of them or null
changes what goes wrong; 400 says why it cannot.
"""

import argparse
import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable
from typing import Any, Self

import msgspec

from stretto.errors import ConfigError
from stretto.testing.chat_server import ChatServer, arguments, serve
from stretto.testing.faults import ADDRESS, Fault, Faults, fault_of
from stretto.testing.http_server import Exchange
from stretto.testing.scripted import Request, contract_answer

_Told = Fault | str | list[Fault | str | None] | None
"""What `PUT /faults` takes."""


class FaultyServer(ChatServer):
    """An endpoint with faults; each other argument is that of `ChatServer`.

    Args:
        turns: answers in order.
        faults: what goes wrong, see `Faults`.
        otherwise: answers once the turns are used up.

    A fault that breaks an answer breaks the one that the script says, or its own `answer`; a fault that comes
    instead of an answer uses up no turn.

    Raises:
        ConfigError: `faults` names a row that is not there.
    """

    def __init__(
        self,
        *turns: Any,
        faults: Faults = None,
        otherwise: Callable[[Request], Any] | None = contract_answer,
        **options: Any,
    ) -> None:
        super().__init__(*turns, otherwise=otherwise, **options)
        self.faults: Faults = faults
        """What goes wrong; may be changed at any time."""
        self._refusing: socket.socket | None = None
        _check(faults)

    @property
    def url(self) -> str:
        """Its `base_url`; for a fault of the address, one that fails so."""
        kind = self._address
        if kind == "plain":
            return super().url.replace("http:", "https:")
        if kind == "unknown_host":
            return super().url.replace("127.0.0.1", "no-such-host.invalid")
        if kind == "refused" and self._refusing is not None:
            return f"http://127.0.0.1:{self._refusing.getsockname()[1]}/v1"
        return super().url

    @property
    def _address(self) -> str:
        faults: Any = self.faults
        fault = fault_of(faults, 0) if isinstance(faults, str | Fault) else None
        return fault.kind if fault is not None and fault.kind in ADDRESS else ""

    async def __aenter__(self) -> Self:
        """Starts to listen, and takes a port at which nobody does."""
        self._refusing = socket.socket()
        self._refusing.bind(("127.0.0.1", 0))
        return await super().__aenter__()

    async def __aexit__(self, *of: object) -> None:
        """Stops, and ends what is still open: from now on a connection is refused."""
        if self._refusing is not None:
            self._refusing.close()
        await super().__aexit__(*of)

    def fault(self, number: int) -> Fault | None:
        """What `faults` says."""
        found = fault_of(self.faults, number)
        return None if found is None or found.kind in ADDRESS else found

    def counts(self) -> dict[str, int]:
        """What was counted: completions, connections (all, open), answers (now, most), clients that left."""
        return {
            "requests": len(self.requests),
            "connections": self.connections,
            "open": self.open,
            "active": self.active,
            "busiest": self.busiest,
            "left": self.left,
            "prefilled": len(self.prefilled),
        }

    async def answer(self, exchange: Exchange) -> bool:
        """Answers one request; returns whether the connection goes on."""
        path = exchange.served.path
        if path == "/counts":
            return exchange.json(200, self.counts())
        if path == "/faults":
            try:
                faults = msgspec.convert(exchange.served.body, _Told)
                _check(faults)
            except (ConfigError, msgspec.ValidationError) as error:
                return exchange.json(400, {"error": {"message": str(error)}})
            self.faults = faults
            return exchange.json(200, {})
        return await super().answer(exchange)


def _check(faults: Faults) -> None:
    """Raises ConfigError for a row that is not there; a function is asked when its time comes."""
    if not callable(faults):
        rows = 1 if faults is None or isinstance(faults, str | Fault) else len(faults)
        for number in range(rows):
            fault_of(faults, number)


def main(given: Iterable[str] | None = None) -> None:
    """The command `python -m stretto.testing.faulty_server`."""
    parser = argparse.ArgumentParser(description="A Chat Completions endpoint on 127.0.0.1 that goes wrong.")
    parser.add_argument("--faults", default=None, help="what goes wrong with each answer: a row by name")
    found, options = arguments(parser, given)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(FaultyServer(faults=found.faults, **options)))


if __name__ == "__main__":
    main()
