"""Sees a member's recovery without traffic: asks it for one token whenever its breaker may be tried."""

import asyncio
import logging
from collections.abc import Callable

from stretto.errors import BadRequest
from stretto.messages import Message
from stretto.models.pool.member import Standing
from stretto.models.protocol import complete
from stretto.settings import ModelSettings

_log = logging.getLogger("stretto.models")
_QUESTION = (Message.user("Say yes."),)
_ASKED = ModelSettings(max_tokens=1, timeout=10.0)
_LOOK = 0.05
"""Seconds between looks at another's trial."""


class Prober:
    """The probes under way: a task for each member that is down, in the event loop that saw it fail."""

    def __init__(self, clock: Callable[[], float], changed: Callable[[], None]) -> None:
        self._clock, self._changed = clock, changed
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def watch(self, standing: Standing) -> None:
        """Begins to ask `standing`, until it answers."""
        task = self._tasks.get(standing.name)
        if task is None or task.done() or task.get_loop().is_closed():
            self._tasks[standing.name] = asyncio.create_task(self._ask(standing))

    async def _ask(self, standing: Standing) -> None:
        circuit = standing.circuit
        while circuit is not None and circuit.state != "closed":
            tried = circuit.state == "half_open"  # by a caller, and who knows for how long
            await asyncio.sleep(_LOOK if tried else max(0.01, circuit.until - self._clock()))
            if not circuit.admits(self._clock()):
                continue
            circuit.begun(self._clock())
            try:
                await complete(standing.model, _QUESTION, settings=_ASKED)
            except Exception as error:
                # A refusal of the request itself comes from an endpoint that works; a wrong key does not.
                if isinstance(error, BadRequest) and not error.misconfigured:
                    circuit.succeeded()
                else:
                    circuit.failed(self._clock())
                    self._changed()
            except BaseException:
                circuit.dropped(self._clock())
                raise
            else:
                circuit.succeeded()
        _log.info("`%s` answers again", standing.name)
        self._changed()

    async def close(self) -> None:
        """Ends the probes of this event loop."""
        loop = asyncio.get_running_loop()
        mine = [task for task in self._tasks.values() if task.get_loop() is loop and not task.done()]
        self._tasks = {}
        for task in mine:
            task.cancel()
        if mine:
            await asyncio.wait(mine)
